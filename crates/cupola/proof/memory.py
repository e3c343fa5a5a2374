"""A table ten times larger than `data.max_memory`: how much memory of its own the program takes, and whether the answers stay the same.

Usage: memory.py CUPOLA_BINARY [--ceiling 100M] [--times 10] [--words "profile=..."] [--home FOLDER] [--limit] [--whole]

Writes a CSV file of numbers, categories and a target that follows from them, `times` as large as the ceiling. Then `cupola train` learns from it
with `max_memory`, a `gbdt` and a `logistic`; RssAnon of the process (its own memory; a mapped file's pages do not count, the system may write them out
at any time) is read every few milliseconds. Fails when the most is above 1.1 times the ceiling. With `--limit` (root, Linux control groups) the kernel
holds the whole process, files' pages included, below 1.5 times the ceiling, so that "may write them out" is seen. With `--whole` the same training
without a ceiling must give the same model file. Needs Python's standard library only, and some twelve times the file on the disk.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

GROUPS = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
MODELS = {"gbdt": ["model=gbdt", "model.n_estimators=50"], "logistic": ["model=logistic"]}


def size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(float(text[:-1]) * units[text[-1]]) if text[-1] in units else int(text)


def write(path, bytes_wanted):
    """Rows of an id, 16 numbers (one in twenty missing), 3 categories, a date, and a class that follows from some of them."""
    draw = random.Random(7)
    jobs, cities = ["clerk", "nurse", "smith", "baker", "pilot"], [f"city{place}" for place in range(60)]
    # Numbers are put together from drawn beginnings and ends: thousands of each make millions of values, and take little time.
    begins = [(f"{value:.2f}", value) for value in (draw.gauss(0, 1) for _ in range(2000))] + [("", 0.0)] * 100
    ends = [f"{value:03}" for value in range(1000)]
    names = ["id"] + [f"x{place}" for place in range(16)] + ["job", "city", "day", "plan", "bought"]
    written = rows = 0
    with open(path, "w") as file:
        file.write(",".join(names) + "\n")
        while written < bytes_wanted:
            lines = []
            for numbers, tails in zip(zip(*[iter(draw.choices(begins, k=16 * 5000))] * 16), zip(*[iter(draw.choices(ends, k=16 * 5000))] * 16)):
                job, city, plan = rows * 7919 % 5, rows * 104729 % 60, rows * 1299709 % 3
                likes = numbers[0][1] + 0.5 * numbers[1][1] * numbers[2][1] + (0.8 if job == 1 else 0) - (0.6 if city < 10 else 0) + draw.random()
                shown = ",".join([begin and begin + tail for (begin, _), tail in zip(numbers, tails)])
                day = f"20{10 + rows % 14}-{1 + rows % 12:02}-{1 + rows % 28:02}"
                lines.append(f"r{rows},{shown},{jobs[job]},{cities[city]},{day},{'abc'[plan]},{'yes' if likes > 1 else 'no'}")
                rows += 1
            block = "\n".join(lines) + "\n"
            file.write(block)
            written += len(block)
    return rows


def own(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {name: int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssFile", "VmRSS") if name in fields}


class Group:
    """A control group whose processes the kernel holds below a limit, the pages of files included."""

    def __init__(self, limit):
        self.is_old = (GROUPS[0] / "memory.limit_in_bytes").exists()
        self.folder = (GROUPS[0] if self.is_old else GROUPS[1]) / f"cupola-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / ("memory.limit_in_bytes" if self.is_old else "memory.max")).write_text(str(limit))

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def end(self):
        peak = (self.folder / ("memory.max_usage_in_bytes" if self.is_old else "memory.peak")).read_text()
        self.folder.rmdir()
        return int(peak)


def train(binary, home, words, group=None):
    began = time.perf_counter()
    enter = {"preexec_fn": group.enter} if group else {}
    environment = {**os.environ, "CUPOLA_HOME": str(home)}
    process = subprocess.Popen([binary, "--json", "train", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **enter)
    peaks, stages = {}, [("start", 0)]

    def watch():
        while process.poll() is None:
            for name, value in own(process.pid).items():
                peaks[name] = max(peaks.get(name, 0), value)
                if name == "RssAnon":
                    stages[-1] = (stages[-1][0], max(stages[-1][1], value))
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = []
    errors = threading.Thread(target=lambda: said.append(process.stderr.read()))
    errors.start()
    last = {}
    for line in process.stdout:
        last = json.loads(line)
        if last.get("event") == "stage":
            stages.append((last["name"], 0))
    process.wait()
    watcher.join()
    errors.join()
    if process.returncode:
        sys.exit(f"cupola train {' '.join(words)}: exit code {process.returncode}\n{json.dumps(last)[:2000]}\n{said[0]}")
    return {"seconds": time.perf_counter() - began, "hash": last["hash"], "peaks": peaks, "stages": stages}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--ceiling", default="100M")
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--words", nargs="*", default=[])
    parser.add_argument("--home")
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--whole", action="store_true")
    asked = parser.parse_args()
    ceiling, failures = size(asked.ceiling), []
    with tempfile.TemporaryDirectory(dir=asked.home) as home:
        table = Path(home) / "table.csv"
        rows = write(table, int(ceiling * asked.times))
        print(f"{table.stat().st_size / 1e6:.0f} MB, {rows} rows; ceiling {ceiling / 1e6:.0f} MB", flush=True)
        for model in asked.models:
            words = [str(table), "target=bought", *MODELS[model], *asked.words]
            group = Group(ceiling * 3 // 2) if asked.limit else None
            held = train(asked.binary, home, [*words, f"data.max_memory={ceiling}"], group)
            most = held["peaks"]["RssAnon"]
            print(f"{model}: {held['seconds']:.0f} s, most memory of its own {most / 1e6:.1f} MB, {most / ceiling:.2f} of the ceiling", flush=True)
            print("   by stage: " + ", ".join(f"{name} {value / 1e6:.0f}" for name, value in held["stages"]), flush=True)
            if group:
                print(f"   the kernel let it have {group.end() / 1e6:.0f} MB of memory, the pages of files included", flush=True)
            if most > 1.1 * ceiling:
                failures.append(f"{model}: {most / 1e6:.1f} MB is above 1.1 times the ceiling")
            if asked.whole:
                whole = train(asked.binary, home, words)
                most = whole["peaks"]["RssAnon"]
                print(f"   without a ceiling {whole['seconds']:.0f} s, {most / 1e6:.0f} MB", flush=True)
                if whole["hash"] != held["hash"]:
                    failures.append(f"{model}: another model file with the ceiling than without")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
