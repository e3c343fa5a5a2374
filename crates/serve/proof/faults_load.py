"""Slow clients, ten times the load, and a million requests. See `faults.py`.

Server and load are pinned to a core each. Where what is asked about is a ratio, blocks of both sides take turns and the medians count: other
programs on the machine then weigh on both.
"""

import contextlib
import csv
import gzip
import itertools
import json
import math
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from faults_input import read_answer, status_of
from server import Server, runner, table, train

HERE = Path(__file__).resolve().parent
ROW = {"a": 0.3, "b": 0.6}
FILES = 8192


def request_of(body):
    return b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


# --- 19: slow clients -----------------------------------------------------------------------------------------------------------------------------


class Normal(threading.Thread):
    """A client that asks 200 times a second on one connection, and times each answer in milliseconds."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.times, self.failed, self.is_over = port, [], 0, threading.Event()

    def run(self):
        request, stream = request_of(json.dumps(ROW).encode()), None
        while not self.is_over.is_set():
            began = time.monotonic()
            try:
                stream = stream or socket.create_connection(("127.0.0.1", self.port), 10)
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream.sendall(request)
                is_answered = status_of(read_answer(stream, 10)) == 200
            except OSError:
                is_answered = False
            if is_answered:
                self.times.append(1000 * (time.monotonic() - began))
            else:
                self.failed, stream = self.failed + 1, None
            time.sleep(max(0, began + 0.005 - time.monotonic()))

    def end(self):
        self.is_over.set()
        self.join()
        return self.times


def normal_for(port, seconds):
    client = Normal(port)
    client.start()
    time.sleep(seconds)
    return client.end(), client.failed


def slow(given):
    """The server cuts those off whose headers or bodies come too slowly after 5 s: 230 come each second, so that 1,000 are there. They have the lowest
    priority on the core that they share with the normal client, which they are not to slow down."""
    if not shutil.which("slowhttptest"):
        return []
    share = max(8, given.seconds // 3)
    stream = ["-c", str(230 * (share + 12)), "-r", "230"]
    ways = {
        "headers": ["-H", "-i", "2", "-x", "24", "-p", "3", *stream],
        "bodies": ["-B", "-i", "2", "-x", "10", "-s", "8192", "-p", "3", "-t", "POST", *stream],
        "reading": ["-X", "-w", "1", "-y", "8", "-n", "1", "-z", "4", "-k", "3", "-p", "3", "-c", "1000", "-r", "500"],
    }
    rows = []
    with tempfile.TemporaryDirectory() as home:
        train(given.binary, home)
        for name, words in ways.items():
            path = "/predict" if name == "bodies" else "/docs"
            with Server(given.binary, home, "small", core=0, files=FILES) as server:
                rows.append(beside(server, name, [*words, "-u", f"http://127.0.0.1:{server.port}{path}"], share))
        rows.append(trickle(given, home))
    return rows


def beside(server, name, words, share, rounds=3):
    """A normal client without and with slow ones, in turns."""
    calm, busy, there, failed = [], [], [], 0
    command = ["nice", "-n", "19", "taskset", "-c", "1", "slowhttptest", "-l", str(share + 12), *words]
    normal_for(server.port, 2)
    before = server.kilobytes()
    for _ in range(rounds):
        calm.append(normal_for(server.port, share)[0])
        attack = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)))
        time.sleep(6)
        there.append(connections(server.pid))
        times, lost = normal_for(server.port, share)
        there.append(connections(server.pid))
        busy.append(times)
        failed += lost
        grew = server.kilobytes() - before
        attack.terminate()
        attack.wait()
        time.sleep(2)
    p99 = lambda blocks: [percentile(times, 0.99) for times in blocks]
    growth = statistics.median(one / other for one, other in zip(p99(busy), p99(calm))) - 1
    found = {
        "connections": min(there), "requests": sum(map(len, busy)), "failed": failed, "p99_ms_without": round(statistics.median(p99(calm)), 3),
        "p99_ms_with": round(statistics.median(p99(busy)), 3), "p99_grows_percent": round(100 * growth, 1), "memory_grew_mib": round(grew / 1024, 1),
    }
    holds = growth <= 0.2 and not failed and min(there) >= 900
    return dict(row="19", what=f"1,000 clients with slow {name}, {rounds} times {share} s", wanted="a normal client's p99 grows by at most 20 %, none of its requests fails", found=found, holds=holds)


def connections(pid):
    return sum(os.readlink(one).startswith("socket:") for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink())


def trickle(given, home):
    """A body that comes a byte each 200 ms is given up when its grace is over, far before the deadline of the request."""
    with Server(given.binary, home, "small") as server, server.connect() as stream:
        stream.sendall(b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n")
        began = time.monotonic()
        stream.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - began < 30:
            try:
                stream.sendall(b" ")
                answer = stream.recv(4096)
            except TimeoutError:
                pass
        took = time.monotonic() - began
    return dict(row="19", what="a body of 5 bytes a second", wanted="408 after a grace of 5 s: 1 KiB a second is the least", found={"status": status_of(answer), "after_s": round(took, 2)}, holds=status_of(answer) == 408 and took < 7)


# --- 20: ten times the load -----------------------------------------------------------------------------------------------------------------------


class Watched(threading.Thread):
    """What a process holds in memory while something goes on, ten times a second."""

    def __init__(self, kilobytes):
        super().__init__(daemon=True)
        self.kilobytes, self.sizes, self.is_over = kilobytes, [], threading.Event()

    def __enter__(self):
        self.start()
        return self

    def run(self):
        while not self.is_over.wait(0.1):
            self.sizes.append(self.kilobytes())

    def __exit__(self, *_):
        self.is_over.set()
        self.join()

    def changes(self):
        """By how much it strays from the middle, once the load has been there for a third of the time."""
        later = self.sizes[len(self.sizes) // 3 :]
        middle = statistics.median(later)
        return max(abs(size / middle - 1) for size in later)


def load(port, connections, pause_ms, seconds, bodies, warm=1):
    """What wrk found: for each status how many answers a second and how long they took, in milliseconds. Begins when the server is free again."""
    with socket.create_connection(("127.0.0.1", port), 60) as stream:
        stream.sendall(request_of(bodies.read_bytes().splitlines()[0]))
        read_answer(stream, 60)
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{port}", "--", str(bodies), str(pause_ms), str(warm)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=limit).stdout
    counts = {}
    for status, bucket, count in re.findall(r"^at (\S+) (-?\d+) (\d+)$", text, re.M):
        counts.setdefault(status, {})[int(bucket)] = int(count)
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    said = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    result = {}
    for status, buckets in counts.items():
        total = sum(buckets.values())
        # A server that does not say the id again has one kind of answer: wrk's own percentile is that of all.
        p99 = float(said[1]) * unit[said[2]] if -1 in buckets else at(buckets, 0.99 * total)
        result[status] = {"per_s": total / (seconds - (warm if -1 not in buckets else 0)), "p99_ms": p99, "count": total}
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    result["broken"] = sum(map(int, broken.groups())) if broken else 0
    return result


def at(buckets, wanted):
    seen = 0
    for bucket, count in sorted(buckets.items()):
        seen += count
        if seen >= wanted:
            return math.exp((bucket + 0.5) / 50) / 1000
    return 0.0


def good(result):
    return result.get("200", {"per_s": 0.0, "p99_ms": math.inf})


def overload(given):
    """Servers on the first core, wrk on the second."""
    with tempfile.TemporaryDirectory() as home:
        run = runner(given.binary, home)
        bodies = Path(home, "bodies")
        bodies.write_text(json.dumps(ROW) + "\n")
        # A refusal costs 0.03 to 0.13 ms of the core, with caches that the model has emptied, so that nine for each answer weigh on a short answer more than on a long one: both are shown.
        for trees in (15_000, 100_000):
            run("train", table(Path(home, "table.csv")), "target=c", "model=forest", f"model.n_estimators={trees}", f"name=forest{trees}", "eval.importance=false", "-q")
            with Server(given.binary, home, str(next(Path(home, "runs").glob(f"*-forest{trees}"))), "workers=1", core=0, files=FILES) as server:
                yield queued(given, server, bodies, trees, home)
        adult = given.root / "data/adult.csv.gz"
        run("train", str(adult), "target=income", "model=gbdt", "model.n_estimators=100", "model.num_leaves=31", "name=adult", "eval.importance=false", "-q")
        asked = Path(home, "asked")
        asked.write_text("\n".join(map(json.dumps, rows_of(adult))) + "\n")
        with Server(given.binary, home, str(next(Path(home, "runs").glob("*-adult"))), core=0, files=FILES) as server:
            quick = inline(given, "a quick model (gbdt, 100 trees) that answers where requests are read", server.port, asked, server.kilobytes)
        yield quick
        yield from rivals(given, home, adult, asked)
        yield from floor(home, asked, quick["found"]["peak_per_s"])


def queued(given, server, bodies, trees, home):
    """A model that takes a worker: ten times what it can answer, as random arrivals."""
    blocks = {"peak": [], "80": [], "1000": []}
    share = max(5, given.seconds // 3)
    capacity = good(load(server.port, 2, 0, 5, bodies))["per_s"]
    memory = []
    for _ in range(3):
        blocks["peak"].append(load(server.port, 2, 0, share, bodies))
        capacity = statistics.median(good(block)["per_s"] for block in blocks["peak"])
        blocks["80"].append(load(server.port, 64, 1000 * 64 / (0.8 * capacity), share, bodies))
        with Watched(server.kilobytes) as watched:
            blocks["1000"].append(load(server.port, 1000, 1000 * 1000 / (10 * capacity), share, bodies))
        memory.append(watched.changes())
    middle = lambda name, what: statistics.median(good(block)[what] for block in blocks[name])
    shed = [block[status] for block in blocks["1000"] for status in block if status in ("429+retry", "503+retry")]
    others = sum(block[status]["count"] for block in blocks["1000"] for status in block if status not in ("200", "429+retry", "503+retry", "broken"))
    ratio = statistics.median(good(over)["p99_ms"] / good(calm)["p99_ms"] for over, calm in zip(blocks["1000"], blocks["80"]))
    goodput = statistics.median(good(over)["per_s"] / good(peak)["per_s"] for over, peak in zip(blocks["1000"], blocks["peak"]))
    offered = statistics.median(sum(block[status]["per_s"] for status in block if status != "broken") for block in blocks["1000"])
    found = {
        "peak_per_s": round(middle("peak", "per_s"), 1), "ms_of_an_answer": round(1000 / middle("peak", "per_s"), 1), "offered_per_s": round(offered), "refused_p99_ms": round(statistics.median(one["p99_ms"] for one in shed), 2) if shed else None,
        "p99_ms_at_80_percent": round(middle("80", "p99_ms"), 1), "p99_ms_accepted": round(middle("1000", "p99_ms"), 1), "p99_ratio": round(ratio, 2),
        "goodput_of_peak": round(goodput, 3), "goodput_while_nginx_refuses": beside(home, server, bodies, share),
        "memory_changes_percent": round(100 * max(memory), 1), "other_answers": others,
    }
    marks = {"refusals within 5 ms": bool(shed) and found["refused_p99_ms"] <= 5, "accepted p99 <= 2x": ratio <= 2, "goodput >= 95 %": goodput >= 0.95, "memory +-5 %": found["memory_changes_percent"] <= 5, "nothing else": not others}
    return dict(row="20", what=f"10 times the load on a model that takes a worker (forest, {trees:,} trees; workers=1), random arrivals on 1,000 connections", wanted="429 or 503 with Retry-After within 5 ms (p99), accepted p99 at most twice that at 80 % load, goodput at least 95 % of peak, memory flat within 5 %", found=found, holds=all(marks.values()), notes=[name for name, held in marks.items() if not held])


def inline(given, what, port, bodies, kilobytes):
    """A model whose answers are made where requests are read: what waits are the connections, up to max_connections, and none is refused before.
    wrk asks again as soon as it has an answer, so this is ten times the connections that fill the core, not ten times the requests."""
    share = max(4, given.seconds // 5)
    few, many, all_ = 8, 80, 1000
    blocks = {"peak": [], "80": [], "many": [], "before": [], "all": []}
    load(port, few, 0, 3, bodies)
    memory = []
    for _ in range(3):
        blocks["peak"].append(load(port, few, 0, share, bodies))
        capacity = statistics.median(good(block)["per_s"] for block in blocks["peak"])
        blocks["80"].append(load(port, 64, 1000 * 64 / (0.8 * capacity), share, bodies))
        with Watched(kilobytes) as watched:
            blocks["many"].append(load(port, many, 0, share, bodies))
        memory.append(watched.changes())
    for _ in range(3):
        blocks["before"].append(load(port, few, 0, share, bodies))
        blocks["all"].append(load(port, all_, 0, share, bodies))
    middle = lambda name, key: statistics.median(good(block)[key] for block in blocks[name])
    pairs = lambda name, other, key: statistics.median(good(one)[key] / good(two)[key] for one, two in zip(blocks[name], blocks[other]))
    failed = sum(block["broken"] + sum(block[status]["count"] for status in block if status not in ("200", "broken")) for name in ("many", "all") for block in blocks[name])
    found = {
        "peak_per_s": round(middle("peak", "per_s")), "p99_ms_at_80_percent": round(middle("80", "p99_ms"), 2),
        "p99_ms_80_connections": round(middle("many", "p99_ms"), 2), "p99_ratio_80_connections": round(pairs("many", "80", "p99_ms"), 2), "goodput_80_connections": round(pairs("many", "peak", "per_s"), 3),
        "p99_ms_1000_connections": round(middle("all", "p99_ms"), 2), "p99_ratio_1000_connections": round(pairs("all", "80", "p99_ms"), 2), "goodput_1000_connections": round(pairs("all", "before", "per_s"), 3),
        "memory_changes_percent": round(100 * max(memory), 1), "refused_or_broken": failed,
    }
    marks = {
        "excess refused": failed > 0, "accepted p99 <= 2x with 80": found["p99_ratio_80_connections"] <= 2, "accepted p99 <= 2x with 1,000": found["p99_ratio_1000_connections"] <= 2,
        "goodput >= 95 % with 80": found["goodput_80_connections"] >= 0.95, "goodput >= 95 % with 1,000": found["goodput_1000_connections"] >= 0.95, "memory +-5 %": found["memory_changes_percent"] <= 5,
    }
    return dict(row="20", what=f"10 times the connections that fill the core (80), and 1,000, on {what}", wanted="429 or 503 with Retry-After within 5 ms, accepted p99 at most twice that at 80 % load, goodput at least 95 % of peak, memory flat within 5 %", found=found, holds=all(marks.values()), notes=[name for name, held in marks.items() if not held])


def rows_of(path, count=200):
    with gzip.open(path, "rt") as file:
        rows = [{name: value.strip() for name, value in row.items() if name != "income"} for row in csv.DictReader(file)]
    whole = [row for row in rows if "?" not in row.values()][:count]
    numbers = [name for name, value in whole[0].items() if re.fullmatch(r"-?\d+(\.\d+)?", value)]
    return [row | {name: float(row[name]) for name in numbers} for row in whole]


def rivals(given, home, adult, asked):
    """FastAPI with LightGBM as `duel/fastapi` serves it."""
    if not given.python:
        return []
    duel = given.root / "duel/fastapi"
    sys.path.insert(0, str(duel))
    import bench

    subprocess.run([given.python, "-c", bench.TRAIN, str(adult), home], check=True, capture_output=True)
    rows = []
    for form in ("usual", "best"):
        port = free_port()
        command = ["taskset", "-c", "0", given.python, "-m", "uvicorn", "rival:app", "--port", str(port), "--log-level", "error", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
        server = subprocess.Popen(command, env={**os.environ, "MODEL": home, "FORM": form, "OMP_NUM_THREADS": "1"}, cwd=duel, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit)
        try:
            bench.wait(port, bench.rows_of(adult, 1)[0])
            memory = lambda: int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1])
            row = inline(given, f"FastAPI with LightGBM, {form} form", port, asked, memory)
            rows.append(row | {"wanted": "for comparison", "holds": None})
        finally:
            server.terminate()
            server.wait()
    return rows


NGINX = """daemon off;
pid {home}/nginx.pid;
error_log stderr crit;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ add_header Retry-After 1 always; return 429; }}
    }}
}}
"""


@contextlib.contextmanager
def refusing(home):
    """The port of an nginx on the server's core that refuses everything; None where there is no nginx."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not nginx:
        yield None
        return
    port, plan = free_port(), Path(home, "nginx.conf")
    plan.write_text(NGINX.format(home=home, port=port))
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    server = subprocess.Popen(["taskset", "-c", "0", nginx, "-p", home, "-c", str(plan)], stderr=subprocess.DEVNULL, preexec_fn=limit)
    try:
        time.sleep(1)
        yield port
    finally:
        server.terminate()
        server.wait()


def beside(home, server, bodies, seconds):
    """What a model still answers while nginx refuses nine times as much on the same core, for comparison."""
    shares = []
    with refusing(home) as port:
        if port is None:
            return None
        for _ in range(3):
            capacity = good(load(server.port, 2, 0, seconds, bodies))["per_s"]
            others = threading.Thread(target=load, args=(port, 1000, 1000 * 1000 / (9 * capacity), seconds + 2, bodies))
            others.start()
            time.sleep(1)
            shares.append(good(load(server.port, 2, 0, seconds, bodies))["per_s"] / capacity)
            others.join()
    return round(statistics.median(shares), 3)


def floor(home, asked, peak):
    """What refusing takes of a core at the least: nginx, which refuses all and answers nothing."""
    with refusing(home) as port:
        if port is None:
            return []
        refused = statistics.median(load(port, 80, 0, 5, asked)["429+retry"]["per_s"] for _ in range(3))
    found = {"refusals_per_s": round(refused), "us_each": round(1e6 / refused, 1), "wanted_beside_the_quick_models_peak_per_s": 9 * peak, "share_of_the_core": round(9 * peak / refused, 2)}
    return [dict(row="20", what="nginx that refuses everything, on the same core: what 10 times the load costs at the least", wanted="for comparison", found=found, holds=None)]


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


# --- memory over a million requests -----------------------------------------------------------------------------------------------------------------


def slope(given, requests=1_000_000, steps=10):
    """Bytes of memory that a request leaves behind: the median slope between what is held after two tenths (Theil and Sen), without the first.
    A segment of the log that becomes a table takes memory for a moment: a line through squares follows that, and the most that was held says it.
    The first table is made on the way through the first million, and brings the code that makes it into memory; the second million has made some already."""
    rows = []
    for name, words in {"log off": [], "log on": ["log=on"]}.items():
        with tempfile.TemporaryDirectory() as home:
            train(given.binary, home)
            bodies = Path(home, "bodies")
            bodies.write_text(json.dumps(ROW) + "\n")
            with Server(given.binary, home, "small", *words) as server:
                held = [(0, server.kilobytes())]
                began = time.monotonic()
                for step in range(1, 2 * steps + 1):
                    while (asked := server.counter("cupola_rows_total")) < step * requests / steps:
                        rate = asked / (time.monotonic() - began) if asked > 20_000 else 5000
                        left = step * requests / steps - asked
                        load(server.port, 8, 0, min(10, max(2, math.ceil(left / rate))), bodies, 0)
                    held.append((asked, server.kilobytes()))
                most = server.kilobytes("VmHWM")
        for which, points in {"from the start": held[: steps + 1], "after as many": held[steps:]}.items():
            each, line = slopes(points[2:])
            found = {"requests": int(points[-1][0] - points[0][0]), "memory_mib": [round(size / 1024, 1) for _, size in points], "bytes_per_request": round(each, 3), "by_least_squares": round(line, 3), "most_mib": round(most / 1024, 1)}
            rows.append(dict(row="memory", what=f"{requests:,} requests for a row, {name}, {which}", wanted="less than a byte of memory for each request", found=found, holds=each < 1))
    return rows


def slopes(points):
    """Bytes a request, of requests and KiB: the median of the slopes of pairs, and that of least squares."""
    pairs = [pair for pair in itertools.combinations(points, 2) if pair[0][0] < pair[1][0]]
    each = statistics.median((later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairs)
    mean = [statistics.mean(one) for one in zip(*points)]
    line = sum((x - mean[0]) * (y - mean[1]) for x, y in points) / sum((x - mean[0]) ** 2 for x, _ in points)
    return 1024 * each, 1024 * line
