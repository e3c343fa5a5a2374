"""MNIST to 99 %, process start to finish: Cupola against PyTorch, the same network and recipe, alternating A B B A.

Usage: bench.py CUPOLA_BINARY [--rounds 2] [--python PYTHON] [--data FOLDER] [--epochs 6] [--threads 2] [--write]
Needs torch and numpy in that Python, and the digits (`just data` puts them into data/full/mnist). A round is two runs of each side.
Prints one JSON object: wall and CPU seconds, seconds of the epochs alone, peak memory, test accuracies, versions, commit. --write also
puts it into results.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data" / "full" / "mnist"
# What torch_mnist.py does, in our words; nothing else of the two recipes is a matter of taste.
RECIPE = ["model=lenet5_modern", "train.batch=64", "train.optimizer=adamw", "train.lr=0.003", "train.weight_decay=0.01", "train.schedule=one-cycle"]


def timed(command, environment):
    """Wall and CPU seconds and peak memory in MB of a process, and the last line that it prints."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environment})
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with exit code {child.returncode}: {output[-2000:]}")
    numbers = {"wall_s": time.perf_counter() - began, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}
    return numbers, json.loads(output.strip().splitlines()[-1])


def ours(options, seed):
    command = [options.binary, "train", options.data, *RECIPE, f"train.epochs={options.epochs}", f"threads={options.threads}", f"seed={seed}", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        numbers, last = timed(command, {"CUPOLA_HOME": folder})
    report = last["report"]
    scores = {score["name"]: score["test"]["value"] for score in report["targets"][0]["scores"]}
    stages = {stage["stage"]: stage["seconds"] for stage in report["timings"]}
    return {**numbers, "train_s": stages["train"], "accuracy": scores["accuracy"]}


def theirs(options, seed):
    command = [options.python, str(HERE / "torch_mnist.py"), options.data, *map(str, (options.epochs, options.threads, seed))]
    numbers, last = timed(command, {"OMP_NUM_THREADS": str(options.threads)})
    return {**numbers, "train_s": last["train_seconds"], "accuracy": last["accuracy"]}


def said(command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout.split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--data", default=str(DATA))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    runs = {"cupola": [], "pytorch": []}
    for turn in range(options.rounds):
        for place, (name, side) in enumerate([("cupola", ours), ("pytorch", theirs), ("pytorch", theirs), ("cupola", ours)]):
            runs[name].append(side(options, seed=1 + 2 * turn + (place > 1)))
            print(name, {key: round(value, 4) for key, value in runs[name][-1].items()}, file=sys.stderr)
    middle = {name: {key: statistics.median(run[key] for run in done) for key in done[0]} for name, done in runs.items()}
    versions = said([options.python, "-c", "import sys, torch, numpy; print(sys.version.split()[0], torch.__version__, numpy.__version__)"])
    result = {
        "commit": said(["git", "rev-parse", "--short", "HEAD"], cwd=HERE)[0],
        "versions": dict(zip(["python", "torch", "numpy"], versions)),
        "task": f"MNIST, lenet5_modern, {options.epochs} epochs of 53,333 rows in batches of 64, {options.threads} threads, {2 * options.rounds} runs a side",
        "wall_seconds_median": {name: round(side["wall_s"], 2) for name, side in middle.items()},
        "cpu_seconds_median": {name: round(side["cpu_s"], 2) for name, side in middle.items()},
        "train_seconds_median": {name: round(side["train_s"], 2) for name, side in middle.items()},
        "peak_mb_median": {name: round(side["peak_mb"]) for name, side in middle.items()},
        **{f"{key}_ratio": round(middle["cupola"][of] / middle["pytorch"][of], 3) for key, of in [("wall", "wall_s"), ("cpu", "cpu_s"), ("train", "train_s")]},
        "accuracies": {name: sorted(round(run["accuracy"], 4) for run in done) for name, done in runs.items()},
        "runs_at_99_percent": {name: sum(run["accuracy"] >= 0.99 for run in done) for name, done in runs.items()},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.write:
        (HERE / "results.json").write_text(text + "\n")


main()
