"""Pooling, one thread: the kernels of crates/kernels against PyTorch's, contiguous and channels_last, alternating.

Usage: pool.py KERNEL_SPEED [--rounds 5]
KERNEL_SPEED is the example of crates/kernels: cargo build --release -p cupola-kernels --example kernel_speed. Needs torch. A number is the
fastest of all calls of all rounds, in microseconds: forwards alone (nothing recorded), and forwards with backwards.
"""

import argparse
import os
import re
import subprocess
import time

import torch
from torch.nn import functional as F

# The names of kernel_speed: tensor, and what becomes of it.
ROWS = {
    "max 3x3 s2 of 112": ((8, 64, 112, 112), lambda x: F.max_pool2d(x, 3, 2, 1)),
    "max 2x2 s2 of 112": ((8, 64, 112, 112), lambda x: F.max_pool2d(x, 2)),
    "max 2x2 s2 of 28": ((64, 6, 28, 28), lambda x: F.max_pool2d(x, 2)),
    "max 2x2 s2 of 14": ((8, 512, 14, 14), lambda x: F.max_pool2d(x, 2)),
    "max 3x3 s1 of 28": ((8, 192, 28, 28), lambda x: F.max_pool2d(x, 3, 1, 1)),
    "mean 2x2 s2 of 112": ((8, 64, 112, 112), lambda x: F.avg_pool2d(x, 2)),
    "mean 3x3 s2 of 112": ((8, 64, 112, 112), lambda x: F.avg_pool2d(x, 3, 2, 1)),
    "mean 3x3 s1 of 28": ((8, 192, 28, 28), lambda x: F.avg_pool2d(x, 3, 1, 1)),
    "mean 7x7 of 7": ((8, 2048, 7, 7), lambda x: F.adaptive_avg_pool2d(x, 1)),
}
LINE = re.compile(r"pool (.+?) +x +\d+ +answering +(\d+) us, forward +(\d+) us, backward +(\d+) us")


def fastest(call):
    began, best, calls = time.perf_counter(), float("inf"), 0
    while calls < 3 or (time.perf_counter() - began < 0.4 and calls < 1000):
        start = time.perf_counter()
        call()
        best, calls = min(best, time.perf_counter() - start), calls + 1
    return best * 1e6


def theirs(shape, pool, layout):
    x = torch.randn(shape).to(memory_format=layout).requires_grad_(True)
    gradient = torch.randn_like(pool(x))
    with torch.no_grad():
        forwards = fastest(lambda: pool(x))
    return forwards, fastest(lambda: torch.autograd.grad(pool(x), x, gradient))


def ours(program):
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    text = subprocess.run([program, "pool"], env=environment, capture_output=True, text=True, check=True).stdout
    rows = (match.groups() for match in map(LINE.match, text.splitlines()) if match)
    return {name: (float(answering), float(forward) + float(backward)) for name, answering, forward, backward in rows}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    best = {}
    for _ in range(options.rounds):
        rounds = {(name, "ours"): numbers for name, numbers in ours(options.program).items()}
        for name, (shape, pool) in ROWS.items():
            rounds[name, "torch"] = theirs(shape, pool, torch.contiguous_format)
            rounds[name, "channels_last"] = theirs(shape, pool, torch.channels_last)
        for key, numbers in rounds.items():
            best[key] = tuple(map(min, numbers, best.get(key, numbers)))
    print("| pooling | forwards: ours | torch | channels_last | ratio to the better | both: ours | torch | channels_last | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in ROWS:
        cells = []
        for which in (0, 1):
            numbers = [best[name, side][which] for side in ("ours", "torch", "channels_last")]
            cells += [f"{number:.0f}" for number in numbers] + [f"{numbers[0] / min(numbers[1:]):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
