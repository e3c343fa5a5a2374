"""The share of the machine's arithmetic peak that each row of results.json reached.

Usage: share.py KERNEL_SPEED [--write]
KERNEL_SPEED is the example of crates/kernels, which measures the peak: multiply-adds of registers, on as many threads as a row had. It is
measured now and rows were before, so that on a machine whose speed moves a share moves with it. A row's operations are those of its products and
convolutions forwards and backwards, two a multiply-add, as PyTorch counts them: of convolutions as they are defined, not of Winograd's, and of
attention in full where half is masked. Backwards they are twice those forwards at most: PyTorch counts those of grouped convolutions as if
there were no groups. Prints a table and, with --write, puts `gflop` and `share_of_peak` into the rows. Rows in bf16 have another
peak and are left out. Needs torch and torchvision.
"""

import argparse
import json
import os
import re
import subprocess
from pathlib import Path

import torch
from networks import NETWORKS, ROWS, made
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

RESULTS = Path(__file__).resolve().parent / "results.json"


def recurrent():
    """Of the LSTM forwards, which the counter does not see: four gates of inputs and states, at every step."""
    time, inputs = NETWORKS["lstm"][1]
    return 2 * 4 * 128 * (inputs + 128) * time * ROWS["lstm"]


def operations(name):
    net, images, labels = made(name, ROWS[name])
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss = F.cross_entropy(net(images), labels)
        forwards = counter.get_total_flops()
        loss.backward()
    return min(counter.get_total_flops(), 3 * forwards) + (3 * recurrent() if name == "lstm" else 0)


def peak(program, threads):
    """Billion operations a second at most."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    said = subprocess.run([program, "nothing"], capture_output=True, text=True, check=True, env=environment).stdout
    return float(re.search(r"(\d+) billion operations", said)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel_speed")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(1)
    results = json.loads(RESULTS.read_text())
    rows = {key: row for key, row in results.items() if "bf16" not in key}
    peaks = {threads: peak(options.kernel_speed, threads) for threads in {row["threads"] for row in rows.values()}}
    counts = {name: operations(name) / 1e9 for name in {key.split(",")[0] for key in rows}}
    for key, row in rows.items():
        count = counts[key.split(",")[0]]
        speed = 1000 * count / row["ms"]["cupola"]
        row.update(gflop=round(count, 3), share_of_peak=round(speed / peaks[row["threads"]], 2))
        print(f"{key:28} {count:9.3f} billion operations, {speed:6.0f} of {peaks[row['threads']]:.0f} a second, {row['share_of_peak']:.2f}")
    if options.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


main()
