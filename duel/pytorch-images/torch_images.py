"""The opponent of bench.py: the same recipe in PyTorch, as one who wants it fast on a processor writes it.

Usage: torch_images.py RECIPE FOLDER THREADS SEED [eager|best|compile] [f32|bf16]

All images lie in memory as one tensor, and a batch is one indexing, mirrored and shifted images too: no DataLoader, no worker processes.
Network, rows, batch, optimiser, schedule, augmentation and first weights are what the recipe says. It does less than the other side: no
validation, no checkpoint, no intervals, no report. eager: as tutorials write it. best: channels_last and fused optimiser. compile: that and
torch.compile. bf16: under torch.autocast. Prints one JSON object: accuracy on the test images, seconds of the epochs alone.
"""

import gzip
import json
import math
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def idx(folder, name):
    """An array out of an IDX file, packed or not."""
    plain = Path(folder, name)
    data = plain.read_bytes() if plain.exists() else gzip.decompress(Path(folder, name + ".gz").read_bytes())
    sides = np.frombuffer(data, ">u4", data[3], 4)
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sides.astype(int)).copy())


def pictures(folder, side):
    return idx(folder, f"{side}-images-idx3-ubyte").unsqueeze(1).float() / 255, idx(folder, f"{side}-labels-idx1-ubyte").long()


def lenet5_modern():
    """The layers of crates/nets/src/vision/lenet5_modern.rs."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def listed(texts):
    """The layers of a list such as that of recipes/fashion-mnist.toml, and the dense layer that follows by itself."""
    layers, maps = [], 1
    for text in texts:
        match text.split():
            case ["conv", out, side, "padding=same", "bias=false"]:
                layers.append(nn.Conv2d(maps, int(out), int(side), padding="same", bias=False))
                maps = int(out)
            case ["maxpool", side]:
                layers.append(nn.MaxPool2d(int(side)))
            case ["batchnorm", "relu"]:
                layers += [nn.BatchNorm2d(maps), nn.ReLU(inplace=True)]
            case ["flatten"]:
                layers.append(nn.Flatten())
            case _:
                sys.exit(f"no layer for {text!r}")
    return nn.Sequential(*layers, nn.LazyLinear(10))


class Batches:
    """Normalised images of rows, each mirrored with a probability and cut out of a black border."""

    def __init__(self, images, black, crop=0, flip=0.0):
        sides = images.shape[2:]
        padded = F.pad(images, [crop] * 4, value=black)
        self.changes, self.crop, self.flip = crop > 0 or flip > 0, crop, flip
        self.images = torch.stack([padded, padded.flip(3)]).unfold(3, sides[0], 1).unfold(4, sides[1], 1) if self.changes else images

    def read(self, rows):
        if not self.changes:
            return self.images[rows]
        mirrored, shifts = (torch.rand(len(rows)) < self.flip).long(), torch.randint(2 * self.crop + 1, (2, len(rows)))
        return self.images[mirrored, rows, :, shifts[0], shifts[1]]


def trained(recipe, net, batches, labels, mode, precision):
    said, fast = recipe["train"], mode != "eager"
    assert (said["optimizer"], said["schedule"]) == ("adamw", "one-cycle"), "what this script knows"
    matrices = [parameter for parameter in net.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in net.parameters() if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": said["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=said["lr"], **({"fused": True} if fast else {}))
    steps = said["epochs"] * math.ceil(len(labels) / said["batch"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, said["lr"], total_steps=steps, cycle_momentum=False)
    called = torch.compile(net) if mode == "compile" else net
    for _ in range(said["epochs"]):
        for rows in torch.randperm(len(labels)).split(said["batch"]):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(called(batches.read(rows)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def main(recipe, folder, threads, seed, mode="best", precision="f32"):
    recipe = tomllib.loads(Path(recipe).read_text())
    torch.set_num_threads(int(threads))
    torch.manual_seed(int(seed))
    images, labels = pictures(folder, "train")
    rows = torch.randperm(len(images))[: len(images) * 8 // 9]  # The other side keeps a ninth for validation.
    images, labels = images[rows], labels[rows]
    mean, deviation = images.mean(), images.std(correction=0)
    net = lenet5_modern() if recipe["model"]["name"] == "lenet5_modern" else listed(recipe["model"]["layers"])
    net.eval()(images[:1])  # The last layer learns how wide it is.
    net.train()
    if mode != "eager":
        net = net.to(memory_format=torch.channels_last)
    batches = Batches((images - mean) / deviation, -mean / deviation, **recipe.get("augment", {}))
    began = time.perf_counter()
    trained(recipe, net, batches, labels, mode, precision)
    seconds = time.perf_counter() - began
    images, labels = pictures(folder, "t10k")
    net.eval()
    with torch.inference_mode():
        answers = torch.cat([net(part).argmax(1) for part in ((images - mean) / deviation).split(1000)])
    print(json.dumps({"accuracy": (answers == labels).double().mean().item(), "train_seconds": seconds}))


main(*sys.argv[1:])
