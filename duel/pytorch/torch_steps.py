"""The opponent of bench.py: the same steps of training in PyTorch.

Usage: torch_steps.py eager|best|compile THREADS [f32|bf16]
Reads lines `WORKLOAD STEPS` and answers each with a line of JSON: milliseconds of every step. `drop WORKLOAD` frees one, `peak` answers with the
most memory of the process in MB. eager: as tutorials write it. best: channels_last and fused optimiser. compile: torch.compile and fused
optimiser. bf16: under torch.autocast.
"""

import json
import resource
import sys
import time

import torch
from networks import ROWS, made
from torch.nn import functional as F

MODE, THREADS, IS_ROUNDED = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["bf16"]
FUSED = {"fused": True} if MODE != "eager" else {}
torch.set_num_threads(THREADS)
torch.manual_seed(1)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-4, **FUSED)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, **FUSED)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-4, **FUSED)


# Of those that have another than SGD.
OPTIMIZERS = {"lstm": adam, "gpt": adamw, "bert": adamw, "mlp": adam}


def running(name):
    net, images, labels = made(name, ROWS[name])
    if MODE == "best" and images.dim() == 4:
        net, images = net.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
    called = torch.compile(net) if MODE == "compile" else net
    optimizer = OPTIMIZERS.get(name, sgd)(net.parameters())

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=IS_ROUNDED):
            loss = F.cross_entropy(called(images), labels)
        loss.backward()
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
