"""The opponent of bench.py: the same steps of training in PyTorch.

Usage: torch_steps.py eager|best|compile THREADS
Reads lines `WORKLOAD STEPS` and answers each with a line of JSON: milliseconds of every step. `drop WORKLOAD` frees one, `peak` answers with the
most memory of the process in MB. eager: as tutorials write it. best: channels_last and fused optimiser. compile: torch.compile and fused
optimiser.
"""

import json
import resource
import sys
import time

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

MODE, THREADS = sys.argv[1], int(sys.argv[2])
FUSED = {"fused": True} if MODE != "eager" else {}
torch.set_num_threads(THREADS)
torch.manual_seed(1)


class Block(nn.Module):
    """The block of He et al., section 4.2, with shortcuts without parameters (option A)."""

    def __init__(self, inputs, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if self.stride != 1:
            half = self.more // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        return F.relu(y + x, inplace=True)


def small_resnet(blocks):
    layers, inputs = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)], 16
    for stage, out in enumerate((16, 32, 64)):
        for block in range(blocks):
            layers.append(Block(inputs, out, 2 if stage and not block else 1))
            inputs = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def lenet5_modern():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, **FUSED)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-4, **FUSED)


WORKLOADS = {
    "mlp": (mlp, (1, 28, 28), 128, 10, adam),
    "lenet5_modern": (lenet5_modern, (1, 28, 28), 64, 10, sgd),
    "resnet8": (lambda: small_resnet(1), (3, 32, 32), 32, 10, sgd),
    "resnet20": (lambda: small_resnet(3), (3, 32, 32), 32, 10, sgd),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=10), (3, 32, 32), 32, 10, sgd),
    "resnet50": (torchvision.models.resnet50, (3, 224, 224), 8, 1000, sgd),
    "vgg16": (torchvision.models.vgg16, (3, 224, 224), 8, 1000, sgd),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, (3, 224, 224), 8, 1000, sgd),
}


def running(name):
    make, sides, rows, classes, optimizer = WORKLOADS[name]
    net, images, labels = make(), torch.rand(rows, *sides), torch.arange(rows) % classes
    if MODE == "best":
        net, images = net.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
    called = torch.compile(net) if MODE == "compile" else net
    optimizer = optimizer(net.parameters())

    def step():
        optimizer.zero_grad()
        F.cross_entropy(called(images), labels).backward()
        optimizer.step()

    return step


def main():
    opened = {}
    for line in sys.stdin:
        name, _, rest = line.strip().partition(" ")
        if name == "drop":
            answer = [] if opened.pop(rest, None) else None
        elif name == "peak":
            answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        else:
            step = opened.setdefault(name, None) or opened.update({name: running(name)}) or opened[name]
            answer = []
            for _ in range(int(rest)):
                began = time.perf_counter()
                step()
                answer.append((time.perf_counter() - began) * 1000)
        print(json.dumps(answer), flush=True)


main()
