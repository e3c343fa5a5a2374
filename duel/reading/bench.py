"""How long a CSV file takes to become a typed table: Cupola against pandas and polars.

Usage: bench.py CUPOLA_BINARY [--bytes 1e9] [--rounds 5] [--python PYTHON] [--json FILE]

One file of 16 numbers, an id, a date and categories a row (the one of crates/cupola/proof/memory.py), in the page cache. Every system reads it whole into
memory with types found out: `cupola train` from the start of its stage `read` to the start of `split` (then it is ended), `pandas.read_csv` and
`polars.read_csv` in a fresh process each, imports not counted. All may use all cores; pandas' reader uses one, `engine="pyarrow"` all. Systems take turns;
what counts is the median of the ratios within a round. Needs pandas, pyarrow and polars in PYTHON.

Cupola's time includes BLAKE3 of the file, why each column has its type, and the number of its distinct values; the others' does not.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crates/cupola/proof"))
import memory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import turns

READ = {
    "pandas": "import pandas as p; read = lambda path: p.read_csv(path)",
    "pandas, engine=pyarrow": "import pandas as p; read = lambda path: p.read_csv(path, engine='pyarrow')",
    "polars": "import polars as p; read = lambda path: p.read_csv(path, try_parse_dates=True)",
}


def theirs(python, setup, path):
    code = f"{setup}\nimport sys, time\nbegan = time.perf_counter()\ntable = read(sys.argv[1])\nprint(time.perf_counter() - began, len(table))"
    ran = subprocess.run([python, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return float(ran.stdout.split()[0])


def ours(binary, home, path):
    words = [binary, "--json", "train", str(path), "target=bought", "model=baseline"]
    process = subprocess.Popen(words, env={**os.environ, "CUPOLA_HOME": str(home)}, stdout=subprocess.PIPE, text=True)
    began = None
    for line in process.stdout:
        event = json.loads(line)
        if event.get("event") == "stage" and event["name"] == "read":
            began = time.perf_counter()
        if event.get("event") == "stage" and event["name"] == "split":
            seconds = time.perf_counter() - began
            process.kill()
            process.wait()
            return seconds
    sys.exit(f"cupola ended with {process.wait()} before it had read the file")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--bytes", type=float, default=1e9)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "table.csv"
        rows = memory.write(path, asked.bytes)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {rows} rows", flush=True)
        path.read_bytes()
        rounds = []
        for _ in range(asked.rounds):
            seconds = {"cupola": ours(asked.binary, home, path)}
            seconds |= {name: theirs(asked.python, setup, path) for name, setup in READ.items()}
            rounds.append(seconds)
            print("  ".join(f"{name} {value:.2f} s" for name, value in seconds.items()), flush=True)
    ratios = {name: statistics.median(one[name] / one["cupola"] for one in rounds) for name in READ}
    for name, ratio in ratios.items():
        print(f"{name}: takes {ratio:.2f} times as long as cupola")
    if asked.json:
        measured_with = turns.measured_with(Path(__file__).resolve().parent, asked.python, ["pandas", "polars", "pyarrow"])
        Path(asked.json).write_text(json.dumps({**measured_with, "bytes": asked.bytes, "rows": rows, "rounds": rounds, "ratios": ratios}, indent=1) + "\n")


if __name__ == "__main__":
    main()
