"""The opponent of bench.py: the modern LeNet-5 on MNIST in PyTorch, as one who wants it fast on a processor writes it.

Usage: torch_mnist.py FOLDER EPOCHS THREADS SEED

All images lie in memory as one tensor, and a batch is one indexing: no DataLoader, no worker processes. Rows, batch, optimiser,
schedule and first weights are what the recipe in bench.py says. It does less than the other side: no validation, no checkpoint, no
intervals, no report. Prints one JSON object: accuracy on the test images, seconds of the epochs alone.
"""

import gzip
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

BATCH, LR, DECAY = 64, 0.003, 0.01


def idx(folder, name):
    """An array out of an IDX file, packed or not."""
    plain = Path(folder, name)
    data = plain.read_bytes() if plain.exists() else gzip.decompress(Path(folder, name + ".gz").read_bytes())
    sides = np.frombuffer(data, ">u4", data[3], 4)
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sides.astype(int)).copy())


def pictures(folder, side):
    return idx(folder, f"{side}-images-idx3-ubyte").unsqueeze(1).float() / 255, idx(folder, f"{side}-labels-idx1-ubyte").long()


def network():
    """The layers of crates/nets/src/vision/lenet5_modern.rs."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def main(folder, epochs, threads, seed):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    images, labels = pictures(folder, "train")
    rows = torch.randperm(len(images))[: len(images) * 8 // 9]  # The other side keeps a ninth for validation.
    images, labels = images[rows], labels[rows]
    mean, deviation = images.mean(), images.std(correction=0)
    images = (images - mean) / deviation
    net = network()
    matrices = [parameter for parameter in net.parameters() if parameter.dim() > 1]
    biases = [parameter for parameter in net.parameters() if parameter.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": biases, "weight_decay": 0.0}], lr=LR)
    steps = epochs * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, cycle_momentum=False)
    loss_of = nn.CrossEntropyLoss()
    began = time.perf_counter()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = loss_of(net(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - began
    images, labels = pictures(folder, "t10k")
    net.eval()
    with torch.inference_mode():
        answers = torch.cat([net(part).argmax(1) for part in ((images - mean) / deviation).split(1000)])
    print(json.dumps({"accuracy": (answers == labels).double().mean().item(), "train_seconds": seconds}))


main(sys.argv[1], *map(int, sys.argv[2:5]))
