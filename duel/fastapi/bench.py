"""Requests for one row of Adult to a boosted model: `cupola serve` beside FastAPI with LightGBM.

Usage: bench.py CUPOLA_BINARY [--python PYTHON] [--rounds 3] [--seconds 5] [--write]

Both models have 100 trees of 31 leaves, trained on the same file. Each server is one worker pinned to the first core; wrk, with one thread, is
pinned to the second and keeps 1, 8 or 64 connections busy with the rows of the file in turn. Sides take turns, A B B A. Answers are read
before the first block: a label and two probabilities each, and the two models must agree on at least 95 % of 200 rows. Needs wrk and taskset;
PYTHON needs fastapi, uvicorn[standard], lightgbm and pandas. `rival.py` says what the two forms of the rival are.
"""

import argparse
import csv
import gzip
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = "income"
CONNECTIONS = (1, 8, 64)
PORTS = {"cupola": 8971, "cupola, logged": 8972, "fastapi, usual": 8973, "fastapi, best": 8974}

TRAIN = """
import json, sys
import lightgbm, pandas as pd
frame = pd.read_csv(sys.argv[1], na_values="?", skipinitialspace=True)
y = frame.pop("income").str.startswith(">").astype(int)
columns = {name: None if pd.api.types.is_numeric_dtype(frame[name]) else sorted(frame[name].dropna().unique()) for name in frame}
frame = frame.astype({name: pd.CategoricalDtype(classes) for name, classes in columns.items() if classes is not None})
model = lightgbm.train({"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame, y), num_boost_round=100)
model.save_model(f"{sys.argv[2]}/model.txt")
json.dump(columns, open(f"{sys.argv[2]}/columns.json", "w"))
print(json.dumps([lightgbm.__version__, __import__("fastapi").__version__, __import__("uvicorn").__version__]))
"""

LUA = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local place = 0
request = function()
  place = place %% #bodies + 1
  return wrk.format("POST", "/predict", {["content-type"] = "application/json"}, bodies[place])
end
"""


def rows_of(path, count=200):
    """Rows as both sides read them: numbers as numbers, no missing cells."""
    with gzip.open(path, "rt") as file:
        rows = [{name: value.strip() for name, value in row.items() if name != TARGET} for row in csv.DictReader(file)]
    whole = [row for row in rows if "?" not in row.values()][:count]
    numbers = [name for name, value in whole[0].items() if re.fullmatch(r"-?\d+(\.\d+)?", value)]
    return [row | {name: float(row[name]) for name in numbers} for row in whole]


def pinned(core, command, **more):
    return subprocess.Popen(["taskset", "-c", str(core), *command], **more)


def ask(port, row):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/predict", json.dumps(row), {"content-type": "application/json"})
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != 200:
        sys.exit(f"port {port}: {reply.status} {body.decode()}")
    return json.loads(body)["predictions"][0]


def wait(port, row):
    for _ in range(300):
        try:
            return ask(port, row)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"no server on port {port}")


def load(port, connections, seconds, script):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s", script, f"http://127.0.0.1:{port}"]
    text = subprocess.run(["taskset", "-c", "1", *command], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(text)
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    at = lambda share: (lambda found: float(found[1]) * unit[found[2]])(re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", text))
    return {"requests_per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), "p50_ms": at(50), "p99_ms": at(99)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    binary = str(Path(given.binary).resolve())
    data = ROOT / "data/adult.csv.gz"
    rows = rows_of(data)
    servers = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CUPOLA_HOME": folder}
        train = [binary, "train", str(data), f"target={TARGET}", "model=gbdt", "model.n_estimators=100", "model.num_leaves=31", "name=adult", "eval.importance=false", "-q"]
        subprocess.run(train, env=environment, check=True, stdout=subprocess.DEVNULL)
        versions = json.loads(subprocess.run([given.python, "-c", TRAIN, str(data), folder], check=True, capture_output=True, text=True).stdout)
        bodies, script = Path(folder, "bodies"), Path(folder, "ask.lua")
        bodies.write_text("\n".join(map(json.dumps, rows)) + "\n")
        script.write_text(LUA % bodies)
        try:
            for name, port in PORTS.items():
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                if name.startswith("cupola"):
                    log = ["log=on"] if "logged" in name else []
                    command = [binary, "serve", f"{folder}/runs/0001-adult", f"http=127.0.0.1:{port}", *log]
                    servers.append(pinned(0, command, env=environment, **quiet))
                else:
                    command = [given.python, "-m", "uvicorn", "rival:app", "--port", str(port), "--log-level", "error", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
                    own = {**os.environ, "MODEL": folder, "FORM": name.split(", ")[1], "OMP_NUM_THREADS": "1"}
                    servers.append(pinned(0, command, env=own, cwd=HERE, **quiet))
            answers = {name: [wait(port, row) for row in rows] for name, port in PORTS.items()}
            for name, said in answers.items():
                same = sum(one["prediction"] == other["prediction"] for one, other in zip(said, answers["cupola"])) / len(rows)
                if same < 0.95 or set(said[0]) != set(answers["cupola"][0]):
                    sys.exit(f"{name} answers otherwise: {same:.0%} alike, {said[0]}")
            blocks = {(name, count): [] for name in PORTS for count in CONNECTIONS}
            for turn in range(given.rounds):
                for name, port in list(PORTS.items())[:: 1 if turn % 2 == 0 else -1]:
                    for count in CONNECTIONS:
                        blocks[name, count].append(load(port, count, given.seconds, script))
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait()
    median = lambda name, count, what: statistics.median(block[what] for block in blocks[name, count])
    report = {
        "lightgbm": versions[0], "fastapi": versions[1], "uvicorn": versions[2], "python": platform.python_version(),
        "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip(),
        "rows": {f"{name}, {count} connections": {what: round(median(name, count, what), 3) for what in ("requests_per_s", "p50_ms", "p99_ms")} for name in PORTS for count in CONNECTIONS},
        "requests_ratio": {f"{ours} to {theirs}, {count} connections": round(statistics.median(a["requests_per_s"] / b["requests_per_s"] for a, b in zip(blocks[ours, count], blocks[theirs, count])), 1) for ours in list(PORTS)[:2] for theirs in list(PORTS)[2:] for count in CONNECTIONS},
    }
    print(json.dumps(report, indent=1))
    if given.write:
        (HERE / "results.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
