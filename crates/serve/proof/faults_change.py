"""Models exchanged, and the end of a server, while clients ask as fast as they can. See `faults.py`."""

import json
import random
import socket
import tempfile
import threading
import time
from pathlib import Path

from faults_input import read_answer, status_of
from server import Server, runner, table

BODY = json.dumps({"a": 0.3, "b": 0.6}).encode()
REQUEST = b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


class Asker(threading.Thread):
    """Asks on one connection until it is told to stop, or, when the server ends, until nobody takes a connection any more."""

    def __init__(self, port, is_over):
        super().__init__(daemon=True)
        self.port, self.is_over = port, is_over
        self.answers, self.refusals, self.lost = [], [], []
        # When nobody took a connection any more.
        self.ended = None

    def run(self):
        stream = None
        while not self.is_over.is_set():
            if stream is None:
                try:
                    stream = socket.create_connection(("127.0.0.1", self.port), 20)
                except OSError:
                    self.ended = time.monotonic()
                    return
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                count = 0
            began = time.monotonic()
            try:
                stream.sendall(REQUEST)
                answer = read_answer(stream, 20)
            except OSError as error:
                answer = repr(error).encode()
            status = status_of(answer)
            if status == 200 and answer.endswith(b"}"):
                count += 1
                head = answer.split(b"\r\n\r\n", 1)[0].decode()
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
                self.answers.append((began, time.monotonic(), fields["x-model-hash"]))
                if fields.get("connection") == "close":
                    stream.close()
                    stream = None
                continue
            (self.refusals if status else self.lost).append((began, count, answer[:200]))
            stream.close()
            stream = None


def askers(port, count):
    over = threading.Event()
    made = [Asker(port, over) for _ in range(count)]
    for asker in made:
        asker.start()
    return over, made


def models(given, home, seeds):
    """Files of models that differ."""
    run = runner(given.binary, home)
    made = []
    for seed in seeds:
        run("train", table(Path(home, f"table-{seed}.csv"), seed), "target=c", "model=gbdt", "model.n_estimators=20", f"name=m{seed}", "eval.importance=false", "-q")
        made.append(next(Path(home, "runs").glob(f"*-m{seed}")) / "model.cupola")
    return made


def corrupt(whole, draw):
    """A model file as disks, networks and strangers leave it."""
    ways = [
        lambda: whole[: draw.randrange(len(whole))],
        lambda: flipped(whole, draw),
        lambda: b"",
        lambda: draw.randbytes(len(whole)),
        lambda: whole + b"\0" * 100,
        lambda: whole[len(whole) // 2 :],
        lambda: b"PK\x03\x04" + whole,
    ]
    return draw.choice(ways)()


def flipped(whole, draw):
    place = draw.randrange(len(whole))
    return whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :]


def reloads(given, times=200, broken=50, clients=8):
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as home:
        contents = [path.read_bytes() for path in models(given, home, (1, 2, 3))]
        live, fresh = Path(home, "live.cupola"), Path(home, "fresh")

        def put(content):
            fresh.write_bytes(content)
            fresh.rename(live)

        put(contents[0])
        with Server(given.binary, home, str(live), "refresh_s=0.01") as server:
            about = lambda: json.loads(server.ask("GET", "/health")[2])["models"][0]
            hashes, present = {0: about()["hash"]}, 0
            over, made = askers(server.port, clients)
            # When a model was put, and when it was seen to answer: before, no answer may be its own; a little after the next, none any more.
            spans, failed_before, waits = [[hashes[0], 0.0, None]], server.counter('cupola_reloads_total'), []
            order = [True] * broken + [False] * (times - broken)
            draw.shuffle(order)
            unnoticed = 0
            for is_broken in order:
                number = present if is_broken else draw.choice([one for one in range(len(contents)) if one != present])
                count = server.counter("cupola_reloads_total")
                began = time.monotonic()
                put(corrupt(contents[number], draw) if is_broken else contents[number])
                while server.counter("cupola_reloads_total") == count and time.monotonic() - began < 10:
                    time.sleep(0.002)
                if server.counter("cupola_reloads_total") == count and not is_broken:
                    unnoticed += 1
                waits.append(time.monotonic() - began)
                if not is_broken:
                    hashes[number] = about()["hash"]
                    spans[-1][2] = time.monotonic()
                    spans.append([hashes[number], began, None])
                    present = number
                elif about()["hash"] != hashes[present]:
                    unnoticed += 1
            time.sleep(0.2)
            over.set()
            for asker in made:
                asker.join()
            done = server.counter('cupola_reloads_total')
            text = server.ask("GET", "/metrics")[2]
        spans[-1][2] = time.monotonic()
    answers = [answer for asker in made for answer in asker.answers]
    failed = [one for asker in made for one in asker.refusals + asker.lost]
    strange = sum(not any(hash_ == name and first <= end and begin <= last for name, first, last in spans) for begin, end, hash_ in answers)
    outcomes = {outcome: int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines() for outcome in ("done", "failed") if line.startswith("cupola_reloads_total") and outcome in line}
    found = {"reloads": outcomes.get("done"), "refused_files": outcomes.get("failed"), "of_corrupt_files": broken, "not_noticed": unnoticed, "requests": len(answers), "failed_requests": len(failed), "answers_of_another_model": strange, "longest_reload_s": round(max(waits), 3)}
    holds = outcomes.get("done") == times - broken and not failed and not strange and not unnoticed
    return [dict(row="21", what=f"{times} exchanges of a model file under load, {broken} of them corrupt", wanted="no request fails, each answer names a model that was there, a corrupt file leaves the old one", found=found, holds=holds, notes=[str(one) for one in failed[:3]])]


def drains(given, times=100, clients=8):
    """The system makes connections in the instant between the server's last look for them and the end of listening, and resets them. A client cannot tell
    those from ones that the server took and dropped, so requests that are the first of their connection, get no answer, and were sent within 5 ms of
    the moment at which connections are refused are counted apart: at most one in ten ends, else the row is missed."""
    draw, untaken = random.Random(7), 0
    with tempfile.TemporaryDirectory() as home:
        model = str(models(given, home, (1,))[0])
        codes, seconds, answered, lost, refused = [], [], 0, [], []
        for _ in range(times):
            server = Server(given.binary, home, model)
            over, made = askers(server.port, clients)
            time.sleep(draw.uniform(0.05, 0.3))
            code, took = server.end()
            codes.append(code)
            seconds.append(took)
            for asker in made:
                asker.join(30)
                answered += len(asker.answers)
                refused += asker.refusals
            closed = min((asker.ended for asker in made if asker.ended), default=0)
            for one in (one for asker in made for one in asker.lost):
                if one[1] == 0 and abs(one[0] - closed) < 0.005:
                    untaken += 1
                else:
                    lost.append(one)
            over.set()
    found = {"signals": times, "exit_codes": sorted(set(codes)), "slowest_exit_s": round(max(seconds), 2), "answered": answered, "lost": len(lost), "refused": len(refused), "sent_as_listening_ended": untaken}
    return [dict(row="22", what=f"{times} SIGTERM under load", wanted="every request is answered, but for one in ten ends at most that is sent in the 5 ms around the end of listening; exit code 0 within 10 s", found=found, holds=set(codes) == {0} and max(seconds) <= 10 and not lost and not refused and untaken <= times / 10, notes=[str(one) for one in lost[:3] + refused[:3]])]
