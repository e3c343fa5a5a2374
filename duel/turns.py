"""Sides of a duel that take turns, A B B A: what the scripts with rows of workloads have in common.

Every side is a process of its own that waits while others work. It reads lines that ask for so many calls and answers each with a line of
JSON, milliseconds of every call. A block is about a second of calls; the number of a block is the median of its calls, and a ratio is the
median of the ratios round by round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

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


def duel(commands, line, options):
    """The sides' numbers for a workload; `line` and a number ask for so many calls of it."""
    sides = {name: Side(command, options.threads) for name, command in commands.items()}
    calls = {}
    for name, side in sides.items():
        side.ask(f"{line} 3")  # Compilers and caches warm up.
        calls[name] = max(2, min(20000, int(BLOCK_MS / min(side.ask(f"{line} 3")))))
    blocks = {name: [] for name in sides}
    for turn in range(options.rounds):
        for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
            blocks[name].append(statistics.median(sides[name].ask(f"{line} {calls[name]}")))
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


def revision(folder):
    """The commit that is checked out."""
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=folder).stdout.strip()


def measured_with(folder, python, packages):
    """What figures were measured with, for scripts that write their own results.json: the commit, and versions of those packages that are there."""
    code = "import sys\nfrom importlib.metadata import packages_distributions\nprint(*[name for name in sys.argv[1:] if name in {d for all in packages_distributions().values() for d in all}])"
    there = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True).stdout.split()
    return {"commit": revision(folder), **versions(python, there)}


def versions(python, packages):
    code = "import json, platform, sys\nfrom importlib.metadata import version\nprint(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))"
    found = json.loads(subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True).stdout)
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    wide = "avx512" if "avx512f" in open("/proc/cpuinfo").read() else "avx2"
    return dict(zip(("python", *packages), found)) | {"processor": f"{model} ({wide})"}


def arguments(description, workloads):
    """What every script is told: the program first, the example train_steps lies beside it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--workloads", type=lambda text: text.split(","), default=workloads)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--write", action="store_true", help="put rows into results.json, which keeps the others")
    parser.add_argument("--missing", action="store_true", help="leave out what results.json has of this commit: go on with a run that was cut off")
    return parser


def example(options):
    return [str(Path(options.binary).parent / "examples" / "train_steps")]


def run(folder, packages, options, rows):
    """Runs rows, each a key, the sides' commands and the line that asks for calls; prints them and puts them into results.json."""
    keep(folder, packages, options, [(key, partial(duel, commands, line, options)) for key, commands, line in rows])


def keep(folder, packages, options, rows):
    """Prints rows, each a key and the function that measures it, and puts them into results.json with commit and versions."""
    commit = revision(folder)
    results = folder / "results.json"
    known = json.loads(results.read_text()) if results.exists() else {}
    for key, measured in rows:
        key = f"{key}, {options.threads} threads"
        if options.missing and known.get(key, {}).get("commit") == commit:
            continue
        numbers = measured()
        known[key] = {"commit": commit, "threads": options.threads, **versions(options.python, packages), **numbers}
        print(f"{key:36} {numbers}", flush=True)
        if options.write:
            results.write_text(json.dumps(known, indent=1) + "\n")
