"""Transfer learning on 263 photographs in six classes: MobileNetV2 from scratch against MobileNetV2 that begins with ImageNet's weights.

Usage: bench.py CUPOLA_BINARY FOLDER WEIGHTS [--seeds 3] [--epochs 6] [--side 96] [--write]
FOLDER and WEIGHTS are what prepare.py fetched: FOLDER_OF_IT/pictures and FOLDER_OF_IT/mobilenet_v2-b0353104.pth.

Both sides see the same rows, split and epochs. The pretrained one keeps its features frozen for two thirds of the epochs, while the
new last layer learns, and then trains the upper three blocks of them too. A seed decides the split as well, so that
each seed asks about other test pictures. Prints one JSON object; --write also puts it into results.json.
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


def sides(options):
    thaw = max(1, options.epochs * 2 // 3)
    return {
        "scratch": [],
        "pretrained": [
            f"train.weights={options.weights}",
            "model.normalize=imagenet",
            'train.freeze=["features.*"]',
            f'train.unfreeze=["features.16.*@{thaw}", "features.17.*@{thaw}", "features.18.*@{thaw}"]',
        ],
    }


def trained(options, keys, seed):
    """Test accuracy with its interval, wall and training seconds of one run."""
    command = [options.binary, "train", options.folder, "model=mobilenet_v2", f"inputs.image.size=[{options.side}, {options.side}]"]
    command += [f"train.epochs={options.epochs}", "train.batch=16", "train.lr=0.001", "data.split.by=stratified", "data.split.ratio=[0.6, 0.1, 0.3]"]
    command += ["augment.flip=0.5", *keys, f"seed={seed}", "--json"]
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUPOLA_HOME": home})
        wall = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}")
    report = json.loads(done.stdout.strip().splitlines()[-1])["report"]
    test = next(score for score in report["targets"][0]["scores"] if score["name"] == "accuracy")["test"]
    seconds = next(stage["seconds"] for stage in report["timings"] if stage["stage"] == "train")
    run = {"seed": seed, "accuracy": test["value"], "interval": [test["low"], test["high"]], "wall_s": wall, "train_s": seconds}
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in run.items()} | {
        "interval": [round(end, 3) for end in run["interval"]]
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder")
    parser.add_argument("weights")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    runs = {name: [] for name in sides(options)}
    for seed in range(1, options.seeds + 1):
        for name, keys in sides(options).items():
            runs[name].append(trained(options, keys, seed))
            print(name, runs[name][-1], file=sys.stderr)
    files = sum(path.suffix == ".png" for path in Path(options.folder).rglob("*"))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    mean = lambda name, key: round(statistics.mean(run[key] for run in runs[name]), 3)
    result = {
        "commit": commit,
        "task": f"{files} pictures in 6 classes, MobileNetV2 at {options.side} x {options.side}, {options.epochs} epochs, 60 % of rows train, 30 % test",
        "accuracy_mean": {name: mean(name, "accuracy") for name in runs},
        "accuracy_gain_by_seed": [round(new["accuracy"] - old["accuracy"], 3) for old, new in zip(runs["scratch"], runs["pretrained"])],
        "train_seconds_mean": {name: mean(name, "train_s") for name in runs},
        "runs": runs,
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.write:
        (HERE / "results.json").write_text(text + "\n")


main()
