"""What goes wrong around the monitor, and what watching costs: predictions must not notice.

Usage: watched.py CUPOLA_BINARY [--pairs 20] [--seconds 5]

A boosted model of Adult's rows is deployed and served on one core. One after another: the store of labels is locked; the folder of what the
monitor keeps cannot be written; a million categories that training never saw; windows in which nothing comes; the process is killed and goes on.
Each time predictions go on with 200, the server says what does not work, and no longer says it when it works again. Then single rows are asked for
from the other core by turns: with the monitor and without, and with all that it writes to broken and with all of it whole. Prints a JSON line a row; exits 1 when one does not hold. Needs taskset and Python's
standard library.
"""

import argparse
import contextlib
import csv
import gzip
import http.client
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = "income"
NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")


class Server:
    running = []

    def __init__(self, binary, home, *words):
        self.home = home
        command = ["taskset", "-c", "0", binary, "--json", "serve", "adult", "http=127.0.0.1:0", "retrain_s=0", *words]
        self.process = subprocess.Popen(command, env={**os.environ, "CUPOLA_HOME": home}, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())["address"]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        Server.running.append(self)

    def ask(self, method, path, body=None, kind="application/json"):
        connection = http.client.HTTPConnection(*self.address.split(":"), timeout=60)
        connection.request(method, path, body, {"content-type": kind})
        reply = connection.getresponse()
        return reply.status, reply.read()

    def predict(self, rows):
        status, body = self.ask("POST", "/predict", json.dumps({"rows": rows}))
        assert status == 200, (status, body[:500])
        return json.loads(body)

    def seen(self):
        return json.loads(self.ask("GET", "/models/adult/monitor")[1])

    def until(self, what, holds, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen = self.seen()
            if holds(seen):
                return seen
            time.sleep(0.1)
        raise AssertionError(f"waited for {what}: {json.dumps(seen)[:800]}")

    def memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait()


def tell(row, found):
    print(json.dumps({row: found}), flush=True)


def cells(row):
    return {name: float(value) if name in NUMBERS else value.strip() for name, value in row.items() if name != TARGET}


def ask_rows(connection, asked, count):
    """How many nanoseconds each of so many requests took, one after another."""
    took = []
    for turn in range(count):
        begin = time.perf_counter_ns()
        connection.sendall(asked[turn % len(asked)])
        reply = connection.recv(4096)
        took.append(time.perf_counter_ns() - begin)
    assert reply.startswith(b"HTTP/1.1 200"), reply
    return took


def cost(servers_of, rows, pairs, seconds):
    """How much longer single-row requests take the first of two servers than the second, one after another as fast as they are answered.

    Both share a core, and are asked by turns of 400 requests from the other core. How memory came to lie moves a server's times by a hundredth for
    as long as it runs, so that each pair of servers counts once and is then started anew."""
    bodies = [json.dumps(cells(row)).encode() for row in rows[:200]]
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    asked = [head % len(body) + body for body in bodies]
    found = []
    for _ in range(pairs):
        with servers_of() as servers:
            os.sched_setaffinity(0, {1})
            connections = [socket.create_connection(server.address.split(":")) for server in servers]
            for connection in connections:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # So many that the monitor has used up what it keeps for bursts.
                ask_rows(connection, asked, 40_000)
            end, turns = time.monotonic() + seconds, []
            while time.monotonic() < end:
                took = {side: ask_rows(connections[side], asked, 400) for side in random.sample((0, 1), 2)}
                turns.append([math.log(middle(took[0]) / middle(took[1])) for middle in (statistics.median, statistics.mean)])
            found.append([statistics.median(turn[which] for turn in turns) for which in (0, 1)])
            os.sched_setaffinity(0, {0, 1})
    told = {"pairs of servers": pairs}
    for which, name in enumerate(("p50", "mean")):
        logs = [one[which] for one in found]
        # Two standard errors.
        told[f"{name}, percent more +-"] = [round(100 * math.expm1(statistics.mean(logs)), 2), round(200 * statistics.stdev(logs) / math.sqrt(pairs), 2)]
    return told


@contextlib.contextmanager
def with_and_without(binary, home):
    """Servers that watch their answers, and do not."""
    servers = [Server(binary, home, f"monitor={side}") for side in ("true", "false")]
    yield servers
    for server in servers:
        server.stop()


@contextlib.contextmanager
def broken_and_whole(binary, home, log, row):
    """Servers that watch their answers, and log them or not. The first may not write a byte to any file any more, as if the disk were full, somebody has locked its
    store, and there is a file where its monitor keeps what it knows."""
    with tempfile.TemporaryDirectory() as other:
        shutil.copytree(home, other, symlinks=True, dirs_exist_ok=True)
        servers = [Server(binary, place, f"log={log}") for place in (other, home)]
        store = sqlite3.connect(Path(other, "deploy/registry.sqlite"), isolation_level=None)
        store.execute("BEGIN EXCLUSIVE")
        folder = Path(other, "deploy/adult/monitor")
        folder.rename(folder.with_name("aside"))
        folder.write_text("in the way")
        resource.prlimit(servers[0].process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        yield servers
        logged = [server.predict([row]).get("logged", False) for server in servers]
        assert logged == [False, log == "on"], logged
        store.close()
        for server in servers:
            server.stop()


def faults(binary, home, rows):
    """One fault after another; each tells what was seen."""
    server = Server(binary, home, "log=on", "monitor.window=1s", "monitor.min_rows=1000000")
    asked = [cells(row) for row in rows[:50]]
    answer = server.predict(asked)

    # Whoever writes to the store waits: labels are refused, and nothing else notices.
    held = sqlite3.connect(Path(home, "deploy/registry.sqlite"), isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    label = json.dumps({"id": f"{answer['id']}-1", "label": rows[0][TARGET].strip()})
    refused = []
    feeding = threading.Thread(target=lambda: refused.append(server.ask("POST", "/feedback", label)[0]))
    feeding.start()
    slow = 0
    while feeding.is_alive():
        start = time.monotonic()
        server.predict(asked[:1])
        slow = max(slow, time.monotonic() - start)
    held.execute("ROLLBACK")
    held.close()
    status, _ = server.ask("POST", "/feedback", label)
    assert (refused, status) == ([503], 200), (refused, status)
    tell("store locked", {"feedback": [503, 200], "slowest prediction meanwhile, ms": round(slow * 1e3, 1)})

    folder = Path(home, "deploy/adult/monitor")
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("in the way")
    server.predict(asked)
    seen = server.until("the folder's fault", lambda seen: any("state" in note for note in seen["notes"]), 60)
    folder.unlink()
    aside.rename(folder)
    server.predict(asked)
    server.until("the folder to be there again", lambda seen: not any("state" in note for note in seen["notes"]), 60)
    tell("folder gone", {"said": [note for note in seen["notes"] if "state" in note]})

    server.until("empty windows", lambda seen: sum(window["rows"] == 0 for window in seen["history"]["windows"]) >= 2)
    tell("empty windows", {"predictions go on": len(server.predict(asked[:1])["predictions"])})
    server.stop()

    server = Server(binary, home, "monitor.window=5000", "monitor.cooldown=0")
    server.predict(asked)
    header = ",".join(asked[0])
    # As many known names first: what so large requests take anyway is no growth. Without the log, whose tables take more with more names.
    known = header + "\n" + "\n".join(",".join(map(str, asked[line % 50].values())) for line in range(5000))
    before = 0
    for _ in range(200):
        server.ask("POST", "/predict", known, "text/csv")
        before = max(before, server.memory())
    after = [0, 0]
    for number in range(200):
        lines = [",".join(str(value if name != "occupation" else f"job {number}-{line}") for name, value in asked[line % 50].items()) for line in range(5000)]
        status, body = server.ask("POST", "/predict", header + "\n" + "\n".join(lines), "text/csv")
        assert status == 200, body[:300]
        after[number // 100] = max(after[number // 100], server.memory())
    seen = server.until("the strange names to be told", lambda seen: any("occupation.unseen" in key for key in seen["raised"]), 120)
    tell("1,000,000 new categories", {"raised": [key for key in seen["raised"] if "occupation" in key], "notes": seen["notes"], "most memory with known names, the first and the second half of new ones, MiB": [round(most, 1) for most in (before, *after)]})
    windows = len(seen["history"]["windows"])
    # Kept, half a million names would be 30 MiB and more.
    assert max(after) < before + 16 and after[1] < after[0] + 8, "memory grows with names"
    # Who is told is told before it is kept: at worst twice.
    time.sleep(2)
    server.stop(signal.SIGKILL)
    server = Server(binary, home, "monitor.window=5000", "monitor.cooldown=0")
    seen = server.seen()
    assert len(seen["history"]["windows"]) >= windows - 1 and seen["raised"], seen
    tell("killed", {"windows before and after": [windows, len(seen["history"]["windows"])], "alarms still raised": len(seen["raised"])})
    assert server.stop() == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=5)
    given = parser.parse_args()
    if not shutil.which("taskset"):
        sys.exit("taskset is not there")
    binary = str(Path(given.binary).resolve())
    with gzip.open(ROOT / "data/adult.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if "?" not in {cell.strip() for cell in row.values()}]
    with tempfile.TemporaryDirectory() as home:
        run = lambda *words: subprocess.run([binary, "-q", *words], env={**os.environ, "CUPOLA_HOME": home}, check=True, capture_output=True)
        run("train", str(ROOT / "data/adult.csv.gz"), f"target={TARGET}", "model=gbdt", "name=adult", "eval.importance=false")
        run("registry", "add", "latest", "name=adult")
        try:
            faults(binary, home, rows)
            if given.pairs:
                tell("watching costs", cost(lambda: with_and_without(binary, home), rows, given.pairs, given.seconds))
                for log in ("off", "on"):
                    broken = cost(lambda: broken_and_whole(binary, home, log, cells(rows[0])), rows, given.pairs, given.seconds)
                    tell(f"what is broken costs, log={log}", broken)
        finally:
            for server in Server.running:
                server.process.kill()


if __name__ == "__main__":
    main()
