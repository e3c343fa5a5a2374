"""A step of training (forwards, backwards, optimiser) of the same networks: Cupola against PyTorch, alternating A B B A.

Usage: bench.py CUPOLA_BINARY [--workloads mlp,resnet8] [--rounds 4] [--threads 2] [--precision f32] [--modes eager,best,compile]
       [--python PYTHON] [--write]
What runs is the example train_steps of crates/nets, which lies beside the program: cargo build --release --workspace --example train_steps.
Needs torch and torchvision in that Python. Every side is a process of its own that waits while others work. A block is a second of steps; the
number of a block is the median of its steps, and a ratio is the median of the ratios round by round. Prints a table and, with --write,
puts each workload's row into results.json, which keeps rows of workloads that were not run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKLOADS = ["mlp", "lstm", "gpt", "bert", "lenet5_modern", "resnet8", "resnet20", "resnet9", "resnet18", "mobilenet_v2", "resnet50", "vgg16"]
BLOCK_MS = 1000


class Side:
    def __init__(self, command, threads):
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.process.args[0]} ended at {line!r}")
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def duel(options, workload):
    commands = {"cupola": [str(Path(options.binary).parent / "examples" / "train_steps"), options.precision]}
    commands |= {f"torch {mode}": [options.python, str(HERE / "torch_steps.py"), mode, str(options.threads), options.precision] for mode in options.modes}
    sides = {name: Side(command, options.threads) for name, command in commands.items()}
    steps = {}
    for name, side in sides.items():
        side.ask(f"{workload} 3")  # Compilers and caches warm up.
        steps[name] = max(2, min(500, int(BLOCK_MS / min(side.ask(f"{workload} 3")))))
    blocks = {name: [] for name in sides}
    for turn in range(options.rounds):
        for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
            blocks[name].append(statistics.median(sides[name].ask(f"{workload} {steps[name]}")))
    peaks = {name: round(side.ask("peak")) for name, side in sides.items()}
    for side in sides.values():
        side.end()
    ratios = {name: statistics.median(ours / theirs for ours, theirs in zip(blocks["cupola"], blocks[name])) for name in sides if name != "cupola"}
    return {
        "ms": {name: round(statistics.median(times), 2) for name, times in blocks.items()},
        "spread_ms": {name: [round(min(times), 2), round(max(times), 2)] for name, times in blocks.items()},
        "ratio": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "ratio_to_fastest": round(max(ratios.values()), 3),
        "peak_mb": peaks,
    }


def versions(python):
    code = "import json, platform, torch, torchvision; print(json.dumps([platform.python_version(), torch.__version__, torchvision.__version__]))"
    found = json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    wide = "avx512" if "avx512f" in open("/proc/cpuinfo").read() else "avx2"
    return dict(zip(("python", "torch", "torchvision"), found)) | {"processor": f"{model} ({wide})"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--workloads", type=lambda text: text.split(","), default=WORKLOADS)
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["eager", "best", "compile"])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    results = HERE / "results.json"
    rows = json.loads(results.read_text()) if results.exists() else {}
    for workload in options.workloads:
        row = {"commit": commit, "threads": options.threads, **versions(options.python), **duel(options, workload)}
        rounded = ", bf16" if options.precision == "bf16" else ""
        rows[f"{workload}, {options.threads} threads{rounded}"] = row
        print(f"{workload:14} {row['ms']}  ratios {row['ratio']}  MB {row['peak_mb']}", flush=True)
        if options.write:
            results.write_text(json.dumps(rows, indent=1) + "\n")


main()
