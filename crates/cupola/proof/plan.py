"""What `cupola plan` tells beside what `cupola train` takes: time of all stages together, and most memory of the process.

Usage: plan.py CUPOLA_BINARY [--json FILE] [--rows N] [--models a,b,...] [--trainings N]

Tables are Adult (of the repository) and two that are made: `numbers`, N rows of 20 columns of numbers for a target of numbers, and `mixed`, N rows of 10
columns of numbers and 5 of categories for three classes. Every plan is made once and told beside the median of some trainings, each a process of its own;
time is that of the whole process, and so is memory (`ru_maxrss`). A ratio is told / taken: 1 is right, 2 twice too much.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def numbers(path, rows):
    chance = random.Random(1)
    with open(path, "w") as file:
        file.write(",".join(f"x{place}" for place in range(20)) + ",y\n")
        for _ in range(rows):
            row = [chance.gauss(0, 1) for _ in range(20)]
            y = row[0] * row[1] + math.sin(row[2]) + row[3] + chance.gauss(0, 0.5)
            file.write(",".join(f"{value:.5f}" for value in [*row, y]) + "\n")


def mixed(path, rows):
    chance = random.Random(2)
    with open(path, "w") as file:
        file.write(",".join([*(f"x{place}" for place in range(10)), *(f"c{place}" for place in range(5)), "y"]) + "\n")
        for _ in range(rows):
            row = [chance.gauss(0, 1) for _ in range(10)]
            codes = [int(chance.random() ** 2 * 30) for _ in range(5)]
            score = row[0] + codes[0] / 10 + chance.gauss(0, 1)
            kind = "low" if score < 0.5 else "mid" if score < 1.5 else "high"
            file.write(",".join([*(f"{value:.4f}" for value in row), *(f"k{code}" for code in codes), kind]) + "\n")


def ran(command, home):
    """Seconds, most bytes, and the last line of standard output."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "CUPOLA_HOME": home}, text=True)
    lines = child.stdout.read().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024, lines[-1] if lines else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--json")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--models", default="gbdt,forest,logistic,ridge,naive_bayes,tree,knn")
    parser.add_argument("--trainings", type=int, default=3)
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as home:
        made = {name: Path(home) / f"{name}.csv" for name in ["numbers", "mixed"]}
        numbers(made["numbers"], asked.rows)
        mixed(made["mixed"], asked.rows)
        tables = {
            "adult": (str(ROOT / "data/adult.csv.gz"), "income", {"gbdt", "forest", "logistic", "naive_bayes", "tree", "knn"}),
            "numbers": (str(made["numbers"]), "y", {"gbdt", "forest", "ridge", "tree"}),
            "mixed": (str(made["mixed"]), "y", {"gbdt", "logistic", "naive_bayes", "tree"}),
        }
        for table, (path, target, able) in tables.items():
            for model in [model for model in asked.models.split(",") if model in able]:
                said = [path, f"target={target}", f"model={model}", "-q", "--json"]
                planned, _, line = ran([asked.binary, "plan", *said], home)
                told = json.loads(line)["forecast"]
                taken = [ran([asked.binary, "train", *said], home)[:2] for _ in range(asked.trainings)]
                seconds, memory = (statistics.median(one[place] for one in taken) for place in (0, 1))
                row = {
                    "table": table,
                    "model": model,
                    "rows": told["rows_train"],
                    "rehearsed": told["rehearsed"],
                    "planned_seconds": planned,
                    "told_seconds": told["seconds"]["value"],
                    "low": told["seconds"]["low"],
                    "high": told["seconds"]["high"],
                    "seconds": seconds,
                    "told_bytes": told["memory_bytes"],
                    "bytes": memory,
                    "time_ratio": told["seconds"]["value"] / seconds,
                    "memory_ratio": told["memory_bytes"] / memory if told["memory_bytes"] else None,
                }
                found.append(row)
                print(
                    f"{table:8} {model:12} time: told {row['told_seconds']:7.2f} s ({row['low']:.2f} to {row['high']:.2f}), took {seconds:7.2f} s, "
                    f"ratio {row['time_ratio']:.2f}; memory: told {(row['told_bytes'] or 0) / 1e6:6.0f} MB, took {memory / 1e6:6.0f} MB, "
                    f"ratio {row['memory_ratio'] or float('nan'):.2f}; planned in {planned:.1f} s",
                    flush=True,
                )
    for name in ["time_ratio", "memory_ratio"]:
        ratios = [row[name] for row in found if row[name]]
        if ratios:
            print(f"{name}: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    inside = sum(row["low"] <= row["seconds"] <= row["high"] for row in found)
    print(f"{inside} of {len(found)} times lie in the range that was told")
    if asked.json:
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
