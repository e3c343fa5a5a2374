"""The main job, process start to finished report: Cupola against a Python script with LightGBM, alternating A B B A.

Usage: bench.py CUPOLA_BINARY [--rounds 5] [--python PYTHON]
Needs pandas, scikit-learn and lightgbm in that Python. Prints one JSON object: wall and CPU seconds, ratios, AUCs, versions.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data"


def timed(command, folder):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "CUPOLA_HOME": folder}).stdout
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, cpu, output.strip().splitlines()[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    train, test = str(DATA / "adult.csv.gz"), str(DATA / "adult.test.csv.gz")
    with tempfile.TemporaryDirectory() as folder:
        ours = [options.binary, "train", train, "target=income", f"test={test}", "model=gbdt", "--json"]
        theirs = [options.python, str(HERE / "lightgbm_adult.py"), train, test, folder + "/python"]
        times = {"cupola": [], "lightgbm": []}
        last = {}
        for _ in range(options.rounds):
            for name, command in [("cupola", ours), ("lightgbm", theirs), ("lightgbm", theirs), ("cupola", ours)]:
                wall, cpu, line = timed(command, folder)
                times[name].append((wall, cpu))
                last[name] = json.loads(line)
    best = {name: [min(values) for values in zip(*pairs)] for name, pairs in times.items()}
    middle = {name: [statistics.median(values) for values in zip(*pairs)] for name, pairs in times.items()}
    scores = {score["name"]: score["test"]["value"] for score in last["cupola"]["report"]["targets"][0]["scores"]}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    versions = subprocess.run(
        [options.python, "-c", "import lightgbm, sklearn, pandas, sys; print(sys.version.split()[0], lightgbm.__version__, sklearn.__version__, pandas.__version__)"],
        capture_output=True,
        text=True,
    ).stdout.split()
    print(
        json.dumps(
            {
                "commit": commit,
                "versions": dict(zip(["python", "lightgbm", "scikit-learn", "pandas"], versions)),
                "wall_seconds_median": {name: round(pair[0], 3) for name, pair in middle.items()},
                "cpu_seconds_median": {name: round(pair[1], 3) for name, pair in middle.items()},
                "wall_ratio_of_medians": round(middle["cupola"][0] / middle["lightgbm"][0], 3),
                "wall_ratio_of_bests": round(best["cupola"][0] / best["lightgbm"][0], 3),
                "cpu_ratio_of_medians": round(middle["cupola"][1] / middle["lightgbm"][1], 3),
                "roc_auc": {"cupola": round(scores["roc_auc"], 5), "lightgbm": round(last["lightgbm"]["roc_auc"], 5)},
            },
            indent=1,
        )
    )


main()
