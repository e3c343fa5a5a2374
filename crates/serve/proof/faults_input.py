"""What a request may not do: reach for files and addresses, grow the server, or write where it is repeated. See `faults.py`."""

import base64
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from server import Server, runner, table, train

MIB = 1 << 20
REFUSED = {400, 404, 405, 413, 414, 415, 422}


def status_of(answer):
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


def read_answer(stream, patience=10):
    """One answer, head and body; what came when the server closed or was silent for so long."""
    stream.settimeout(patience)
    answer = b""
    try:
        while b"\r\n\r\n" not in answer:
            piece = stream.recv(65536)
            if not piece:
                return answer
            answer += piece
        length = re.search(rb"content-length: (\d+)", answer, re.I)
        whole = answer.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
        while len(answer) < whole:
            piece = stream.recv(65536)
            if not piece:
                break
            answer += piece
    except OSError:
        pass
    return answer


def raw(server, request, patience=10):
    """Bytes as they are, and the answer."""
    with server.connect() as stream:
        try:
            stream.sendall(request)
        except OSError:
            pass
        return read_answer(stream, patience)


def post(path, body, kind="application/json", more=""):
    head = f"POST {path} HTTP/1.1\r\nhost: t\r\ncontent-type: {kind}\r\n{more}"
    return head.encode("latin-1", "replace") + f"content-length: {len(body)}\r\n\r\n".encode() + body


# --- 16: no path and no address of a request is opened ---------------------------------------------------------------------------------------


def traversals(canary):
    """Ways to write the path of a file that must not be opened."""
    away = str(canary)
    climbs = ["/".join([".."] * depth) for depth in (1, 2, 3, 5, 8, 13)]
    ends = [away.lstrip("/"), "etc/passwd"]
    plain = [f"{climb}/{end}" for climb, end in itertools.product(climbs, ends)] + [away, "/etc/passwd", f"//{away}", f"./{away}", "....//....//etc/passwd"]
    ways = [
        lambda path: path,
        lambda path: path.replace("/", "%2f"),
        lambda path: path.replace(".", "%2e").replace("/", "%2f"),
        lambda path: path.replace(".", "%252e").replace("/", "%252f"),
        lambda path: path.replace("/", "\\"),
        lambda path: path.replace("/", "%5c"),
        lambda path: path.replace(".", "%c0%ae").replace("/", "%c0%af"),
        lambda path: path.replace(".", "%e0%80%ae"),
        lambda path: path.replace("/", "%u2215"),
        lambda path: path + "%00",
        lambda path: path + "\0.cupola",
        lambda path: path + "%00.cupola",
    ]
    drives = ["C:\\Windows\\win.ini", "C:/Windows/win.ini", "C%3a%5cWindows%5cwin.ini", "\\\\host\\share\\x", "\\\\?\\C:\\x"]
    addresses = [f"file://{away}", f"file://localhost{away}", "http://127.0.0.1:1/x", "http://169.254.169.254/latest/meta-data/", "ftp://127.0.0.1:1/x", "gopher://127.0.0.1:1/_x"]
    return [way(path) for way in ways for path in plain] + drives + addresses


def requests(payload, pictures):
    """Where a payload may stand."""
    text = json.dumps(payload).encode()
    yield "model", f"POST /models/{payload}/predict HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n{{}}".encode("utf-8", "surrogateescape")
    yield "version", f"POST /v2/models/small/versions/{payload}/infer HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n{{}}".encode()
    yield "admin model", f"GET /admin/models/{payload} HTTP/1.1\r\nhost: t\r\n\r\n".encode()
    yield "version, as a segment", post(f"/models/small/versions/{quote(payload, safe='')}/predict", b"{}")
    yield "version to promote", post("/admin/models/small/promote", b'{"version": %s}' % text)
    yield "alias", post("/admin/models/small/alias", b'{"alias": %s, "version": "1"}' % text)
    yield "version behind an alias", post("/admin/models/small/alias", b'{"alias": "challenger", "version": %s}' % text)
    yield "key of the model", post("/predict", b'{"a": 1, "b": 2, %s: 3}' % text)
    if pictures:
        yield "picture in JSON", post(f"/models/{pictures}/predict", b'{"image": %s}' % text)
        yield "picture in a form", post(f"/models/{pictures}/predict", b'--b\r\ncontent-disposition: form-data; name="image"\r\n\r\n%s\r\n--b--\r\n' % payload.encode(), "multipart/form-data; boundary=b")
        yield "picture in CSV", post(f"/models/{pictures}/predict", b"image\n%s\n" % json.dumps(payload).replace("\\", "").encode(), "text/csv")
        tensor = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [payload]}]}
        yield "picture in a tensor", post(f"/v2/models/{pictures}/infer", json.dumps(tensor).encode())


class Traced:
    """The files a process opens and the addresses it connects to, by strace; none where there is no strace."""

    def __init__(self, pid):
        self.log = Path(tempfile.mkstemp()[1])
        self.process = None
        if shutil.which("strace"):
            command = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,creat,connect,execve", "-s", "4096", "-o", str(self.log), "-p", str(pid)]
            self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            time.sleep(1)

    def end(self):
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if re.search(r"\b(open|openat|openat2|creat|connect|execve)\(", line)]
        self.log.unlink()
        return lines


def paths(given):
    rows = []
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as away:
        train(given.binary, home)
        canary = Path(away, "canary.png")
        canary.write_bytes(base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="))
        pictures = picture_model(given, home)
        with Server(given.binary, home, "small", *([pictures] if pictures else [])) as server:
            server.predict({"a": 0.5, "b": 0.5})
            traced = Traced(server.pid)
            sent, others, places = 0, [], {}
            for payload in traversals(canary):
                for place, request in requests(payload, Path(pictures).name if pictures else None):
                    answer = raw(server, request)
                    sent += 1
                    status = status_of(answer)
                    places[place] = places.get(place, 0) + 1
                    if status not in REFUSED or b"root:" in answer:
                        others.append((place, payload, status))
            # What the server opens by itself shows that opening is seen.
            raw(server, post("/feedback", b'{"id": "x", "label": "yes"}'))
            lines = traced.end()
            is_up = server.predict({"a": 0.5, "b": 0.5})[0] == 200
        strange = [line for line in lines or [] if home not in line and not re.search(r'"/(proc/self|proc/meminfo|sys/(fs/cgroup|devices/system/cpu))', line)]
        seen = len(lines) if lines is not None else "not traced"
        found = {"payloads": len(traversals(canary)), "requests": sent, "places": len(places), "not_refused": len(others), "files_opened": seen, "files_or_addresses_outside": len(strange) if lines is not None else "not traced"}
        is_seen = lines is None or any(home in line for line in lines)
        rows.append(dict(row="16", what="paths and addresses in names, versions, aliases, bodies and picture cells", wanted="all refused (4xx), none opened", found=found, holds=not others and not strange and is_seen and is_up, notes=[str(one) for one in (others + strange)[:5]]))
        rows.append(open_addresses(given, home))
    return rows


def picture_model(given, home):
    """A run that looks at pictures; none where one cannot be trained in a minute."""
    data = given.root / "data/mnist-small"
    try:
        runner(given.binary, home)("train", str(data), "model=lenet5", "name=pictures", "train.epochs=1", "eval.importance=false", "-q")
    except subprocess.CalledProcessError:
        return None
    return str(next(Path(home, "runs").glob("*-pictures")))


def open_addresses(given, home):
    """What is open to others starts with both of encryption and tokens only."""
    cert, key, tokens = (str(Path(home, name)) for name in ("cert.pem", "key.pem", "tokens"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
    Path(tokens).write_text("a predict 0123456789abcdef0123\n")
    tls, held = [f"tls_cert={cert}", f"tls_key={key}"], [f"tokens={tokens}"]
    codes = {}
    for name, words in {"nothing": [], "tokens alone": held, "encryption alone": tls}.items():
        command = [given.binary, "serve", "small", "http=0.0.0.0:0", *words]
        codes[name] = subprocess.run(command, env={**os.environ, "CUPOLA_HOME": home}, capture_output=True, timeout=30).returncode
    for name, words in {"both": [*tls, *held], "insecure=true": ["insecure=true"]}.items():
        try:
            with Server(given.binary, home, "small", "http=0.0.0.0:0", *words):
                codes[name] = "starts"
        except RuntimeError:
            codes[name] = "does not start"
    holds = [codes[name] for name in ("nothing", "tokens alone", "encryption alone")] == [2, 2, 2] and codes["both"] == codes["insecure=true"] == "starts"
    return dict(row="16", what="listening on 0.0.0.0", wanted="exit code 2 without encryption and tokens", found=codes, holds=holds)


# --- 17: giants ------------------------------------------------------------------------------------------------------------------------------


class Sender:
    """Sends pieces until the server answers; knows when the limit was met and when the answer came."""

    def __init__(self, server, head, limit):
        self.stream = server.connect()
        self.stream.sendall(head)
        self.limit, self.sent = limit, 0
        self.met = time.monotonic() if limit == 0 else None

    def send(self, pieces, share):
        """`share` of the bytes of a piece are of the body."""
        for piece in pieces:
            view = memoryview(piece)
            while view:
                readable, writable, _ = select.select([self.stream], [self.stream], [], 10)
                if readable:
                    return
                if not writable:
                    return
                count = self.stream.send(view)
                view = view[count:]
                self.sent += count * share
                if self.met is None and self.sent >= self.limit:
                    self.met = time.monotonic()

    def finish(self):
        answer = b""
        readable, _, _ = select.select([self.stream], [], [], 20)
        came = time.monotonic()
        if readable:
            answer = read_answer(self.stream)
        self.stream.close()
        return status_of(answer), 1000 * (came - (self.met or came))


def giants(given):
    limit = 12 * MIB
    # Chunks of six bytes are refused once this many bytes are more than 32 a piece.
    crumbs = 30_250
    chunk = b"6\r\nxxxxxx\r\n" * 5000
    block = b"x" * MIB
    head = b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
    chunked = head + b"transfer-encoding: chunked\r\n\r\n"
    streams = {
        "100 MB in chunks of 6 bytes": (chunked, crumbs, itertools.repeat(chunk, 100_000_000 // 30_000), 6 / 11),
        "1 GiB, announced": (head + b"content-length: 1073741824\r\n\r\n", 0, itertools.repeat(block, 1024), 1),
        "1 GiB, not announced": (chunked, limit, itertools.repeat(b"100000\r\n" + block + b"\r\n", 1024), 1),
    }
    deep = 10_000
    many = 1_000_000
    pair = lambda item: b"[" + b",".join([item] * many) + b"]"
    wholes = {
        "depth 10,000, lists": ("/predict", b"[" * deep + b"]" * deep),
        "depth 10,000, objects": ("/predict", b'{"a":' * deep + b"1" + b"}" * deep),
        "depth 10,000 in a cell": ("/predict", b'{"a":' + b"[" * deep + b"]" * deep + b',"b":1}'),
        "depth 10,000, tensors": ("/v2/models/small/infer", b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":' + b"[" * deep + b"]" * deep + b"}]}"),
        "depth 10,000, labels": ("/feedback", b"[" * deep + b"]" * deep),
        "1,000,000 cells in a row": ("/predict", b'{"a":1,"b":1' + b',"x":1' * many + b"}"),
        "1,000,000 rows": ("/predict", pair(b'{"a":1,"b":1}')),
        "800,000 rows, which are within the bytes allowed": ("/predict", b"[" + b",".join([b'{"a":1,"b":1}'] * 800_000) + b"]"),
        "1,000,000 rows of CSV": ("/predict", b"a,b\n" + b"1,1\n" * many),
        "1,000,000 values in a tensor": ("/v2/models/small/infer", b'{"inputs":[{"name":"a","shape":[1000000],"datatype":"FP64","data":' + pair(b"1") + b"}]}"),
        "1,000,000 texts in a tensor": ("/v2/models/small/infer", b'{"inputs":[{"name":"a","shape":[1000000],"datatype":"BYTES","data":' + pair(b'""') + b"}]}"),
        "1,000,000 outputs": ("/v2/models/small/infer", b'{"inputs":[],"outputs":' + pair(b'{"name":""}') + b"}"),
        "1,000,000 values as labels": ("/feedback", pair(b"1")),
        "6,000,000 values as labels": ("/feedback", b"[" + b"1," * 5_999_998 + b"1]"),
        "1e999": ("/predict", b'{"a":1e999,"b":1}'),
        "-1e999 in a tensor": ("/v2/models/small/infer", b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[-1e999]}]}'),
        "NaN": ("/predict", b'{"a":NaN,"b":1}'),
        "Infinity": ("/predict", b'{"a":Infinity,"b":1}'),
        "a key twice": ("/predict", b'{"a":1,"a":2,"b":1}'),
        "rows twice": ("/predict", b'{"rows":[{"a":1,"b":1}],"rows":1}'),
        "an input twice": ("/v2/models/small/infer", json.dumps({"inputs": [{"name": name, "shape": [1], "datatype": "FP64", "data": [1]} for name in "aab"]}).encode()),
    }
    cases = {}
    with tempfile.TemporaryDirectory() as home:
        train(given.binary, home)
        with Server(given.binary, home, "small") as server:
            for _ in range(3):
                server.predict({"a": 0.5, "b": 0.5})
            for name, (head, limit, pieces, share) in streams.items():
                cases[name] = measured(server, lambda: stream(server, head, limit, pieces, share))
            for name, (path, body) in wholes.items():
                kind = "text/csv" if "CSV" in name else "application/json"
                cases[name] = measured(server, lambda: whole(server, post(path, body, kind)))
            after = server.predict({"a": 0.5, "b": 0.5})[0]
    worst = lambda what: max(case[what] for case in cases.values())
    found = {"requests": len(cases), "slowest_ms": worst("ms"), "memory_grew_mib": worst("grew_mib"), "statuses": sorted({case["status"] for case in cases.values()}), "cases": cases}
    missed = [name for name, case in cases.items() if not (case["status"] in (400, 413, 422) and case["ms"] <= 100 and case["grew_mib"] <= 16)]
    return [dict(row="17", what="giant, deep and ambiguous bodies", wanted="refused (400, 413 or 422) within 100 ms of the limit being met; memory grows by at most 16 MiB (a body has 12 MiB at most)", found=found | {"answers_after": after}, holds=after == 200 and not missed, notes=missed)]


def stream(server, head, limit, pieces, share):
    sender = Sender(server, head, limit)
    sender.send(pieces, share)
    return sender.finish()


def whole(server, request):
    with server.connect() as stream:
        stream.sendall(request)
        sent = time.monotonic()
        answer = read_answer(stream)
        return status_of(answer), 1000 * (time.monotonic() - sent)


def measured(server, send):
    """Status, time, and by how much the most memory it held exceeds what it held before."""
    time.sleep(0.5)
    before = server.kilobytes()
    server.forget_peak()
    status, took = send()
    grew = (server.kilobytes("VmHWM") - before) / 1024
    return dict(status=status, ms=round(took, 1), grew_mib=round(grew, 1))


# --- 18: objects and forms -------------------------------------------------------------------------------------------------------------------


def forms(given):
    def form(boundary, parts):
        part = f'--{boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'.encode()
        return post("/predict", part * parts + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")

    pickle = b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."
    kinds = ["application/x-pickle", "application/python-pickle", "application/octet-stream", "application/vnd.bentoml+pickle", "application/x-java-serialized-object", "application/x-msgpack", "application/yaml", "application/xml"]
    cases = {
        "a boundary of 70 bytes, 64 parts": (form("b" * 70, 64), {422}),
        "a boundary of 71 bytes": (form("b" * 71, 1), {400}),
        "a boundary of 8,000 bytes": (form("b" * 8000, 1), {400}),
        "a boundary of 50,000 bytes": (form("b" * 50_000, 1), {400, 431}),
        "two boundaries": (post("/predict", b"--b--\r\n", f'multipart/form-data; x="boundary=b"; boundary={"b" * 71}'), {400}),
        "65 parts": (form("b", 65), {413}),
        "100,000 parts": (form("b", 100_000), {413}),
        "no boundary": (post("/predict", b"x", "multipart/form-data"), {400}),
        "a boundary that never comes, 12 MB": (post("/predict", b"-" * 12_000_000, "multipart/form-data; boundary=-----------------------x"), {400}),
        "12 MB of carriage returns": (post("/predict", b"\r" * 12_000_000, "multipart/form-data; boundary=x"), {400}),
        **{f"an object as {kind}": (post("/predict", pickle, kind), {415}) for kind in kinds},
        "an object as JSON": (post("/predict", pickle), {400}),
    }
    found = {}
    with tempfile.TemporaryDirectory() as home:
        train(given.binary, home)
        with Server(given.binary, home, "small") as server:
            server.predict({"a": 0.5, "b": 0.5})
            for name, (request, wanted) in cases.items():
                row = measured(server, lambda: whole(server, request))
                found[name] = row | {"wanted": sorted(wanted)}
            after = server.predict({"a": 0.5, "b": 0.5})[0]
    missed = [name for name, row in found.items() if row["status"] not in row["wanted"] or row["ms"] > 100]
    return [dict(row="18", what="forms and serialised objects", wanted="boundary at most 70 bytes, 64 parts, no object read; refused within 100 ms", found={"requests": len(found), "slowest_ms": max(row["ms"] for row in found.values()), "answers_after": after, "cases": found}, holds=after == 200 and not missed, notes=missed)]


# --- B5: tokens, lines, labels, descriptors -----------------------------------------------------------------------------------------------------


def tokens(given):
    with tempfile.TemporaryDirectory() as home:
        train(given.binary, home)
        Path(home, "tokens").write_text("a predict 0123456789abcdef0123\n")
        row, kind = json.dumps({"a": 0.5, "b": 0.5}), {"content-type": "application/json"}
        with Server(given.binary, home, "small", f"tokens={home}/tokens") as server:
            ask = lambda token: server.ask("POST", "/predict", row, kind | ({"authorization": f"Bearer {token}"} if token else {}))[0]
            codes = {"none": ask(None), "wrong": ask("0123456789abcdef0124"), "right": ask("0123456789abcdef0123")}
            guesses = [ask(f"{number:020}") for number in range(60)]
    found = codes | {"guesses": len(guesses), "guesses_answered_401": guesses.count(401), "guesses_answered_429": guesses.count(429)}
    holds = list(codes.values()) == [401, 401, 200] and set(guesses) == {401, 429} and guesses.count(401) <= 30
    return dict(row="B5", what="tokens that are missing, wrong or guessed", wanted="401; 429 to an address that tries many", found=found, holds=holds)


def lines(given):
    """What a client sends must not begin a line of its own where it is repeated."""
    with tempfile.TemporaryDirectory() as home:
        run = train(given.binary, home)
        errors = Path(home, "errors")
        marks, statuses = "injected-line", {}
        body = b'{"a":0.5,"b":0.5}'
        with errors.open("w") as told, Server(given.binary, home, "small", "log=on", errors=told) as server:
            for name in ("x-request-id", "x-key", "user-agent", "content-type", "accept"):
                for ending in ("\r\n ", "\r", "\n", "\0", "%0d%0a", "\x1b[31m", "\u2028"):
                    head = f"POST /predict HTTP/1.1\r\nhost: t\r\n{name}: a{ending}{marks}: 1\r\ncontent-length: {len(body)}\r\n\r\n"
                    answer = raw(server, head.encode() + body, 3)
                    status = status_of(answer)
                    statuses[status] = statuses.get(status, 0) + 1
                    if re.search(rb"\r\n" + marks.encode(), answer.split(b"\r\n\r\n")[0]):
                        statuses["answered with a line of its own"] = statuses.get("answered with a line of its own", 0) + 1
            metrics = server.ask("GET", "/metrics")[2]
        exported = run("log", "export", "small").stdout
        own = [line for text in (exported, errors.read_text(), metrics) for line in text.splitlines() if line.startswith(marks)]
    holds = not own and 0 not in statuses and "answered with a line of its own" not in statuses
    return dict(row="B5", what="line ends, escapes and NUL in headers", wanted="no line of their own in answers, log, messages and metrics", found={"statuses": {str(key): value for key, value in statuses.items()}, "own_lines": len(own)}, holds=holds)


def labels(given):
    with tempfile.TemporaryDirectory() as home:
        train(given.binary, home)
        with Server(given.binary, home, "small", "log=on") as server:
            count = lambda: sum(not line.startswith("#") for line in server.ask("GET", "/metrics")[2].splitlines())
            for number in range(3000):
                path = [f"/p{number}", f"/models/m{number}/predict", f"/v2/models/m{number}/infer", f"/models/small/versions/{number}/predict"][number % 4]
                request = post(path, b"{}", more=f"x-request-id: r{number}\r\nx-key: k{number}\r\n")
                if number % 5 == 0:
                    request = request.replace(b"POST", f"M{number}".encode(), 1)
                if number % 7 == 0:
                    request = post("/predict", f'{{"a":{number},"b":1,"x{number}":1}}'.encode())
                raw(server, request, 5)
            series = count()
    return dict(row="B5", what="3,000 paths, methods, names, columns and ids that differ", wanted="at most 1,000 series of metrics", found={"series": series}, holds=series <= 1000)


def descriptors(given):
    with tempfile.TemporaryDirectory() as home:
        train(given.binary, home)
        with Server(given.binary, home, "small", files=64) as server:
            server.predict({"a": 0.5, "b": 0.5})
            held = []
            for _ in range(200):
                try:
                    held.append(server.connect(2))
                except OSError:
                    break
            time.sleep(1)
            began, spent = time.monotonic(), server.cpu_seconds()
            time.sleep(3)
            share = (server.cpu_seconds() - spent) / (time.monotonic() - began)
            for stream in held:
                stream.close()
            began = time.monotonic()
            status = server.predict({"a": 0.5, "b": 0.5})[0]
            back = time.monotonic() - began
    holds = share <= 0.05 and status == 200 and back < 2
    return dict(row="B5", what="200 connections to a server that may open 64 files", wanted="accepting waits, without spinning, and goes on after", found={"connections": len(held), "share_of_a_core": round(share, 3), "answers_again_after_s": round(back, 3)}, holds=holds)


def others(given):
    return [check(given) for check in (tokens, lines, labels, descriptors)]
