"""Kills servers with SIGKILL under load: what they said is kept must be there.

Usage: kill.py CUPOLA_BINARY [--times 100] [--seed 7] [--clients 8] [--durability process]

A small model is trained, added to a registry, and served with its prediction log on. In each of `--times` rounds clients ask for predictions and
label them as fast as they can; the server is killed at a moment drawn evenly over half a second after the first answer, and started again. At
the end every answer that said `"logged": true` must stand in `cupola log export`, once, with what was asked, and every label that was answered
with 200 must stand beside it. Segments are small, so that many kills come while tables are made.

Prints one JSON line with counts; exits 1 when a record is lost, stands twice, or says something else.
"""

import argparse
import csv
import http.client
import io
import json
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from server import Server, train


class Client(threading.Thread):
    """Asks and labels until the server is gone; remembers what it was promised."""

    def __init__(self, number, address, round_, seed, started):
        super().__init__(daemon=True)
        self.prefix, self.address, self.started = f"k{round_}-{number}-", address, started
        self.random = random.Random(f"{seed} {round_} {number}")
        self.answers, self.labels, self.unlogged, self.errors = {}, {}, 0, []

    def run(self):
        host, port = self.address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        count = 0
        try:
            while True:
                count += 1
                name = f"{self.prefix}{count}"
                a, b = round(self.random.random(), 6), round(self.random.random(), 6)
                connection.request("POST", "/predict", json.dumps({"a": a, "b": b}), {"x-request-id": name, "content-type": "application/json"})
                reply = connection.getresponse()
                answer = json.loads(reply.read())
                if reply.status != 200:
                    self.errors.append((reply.status, answer))
                    continue
                self.started.set()
                if answer["logged"]:
                    self.answers[name] = (a, b)
                else:
                    self.unlogged += 1
                if count % 2:
                    label = self.random.choice(["yes", "no"])
                    connection.request("POST", "/feedback", json.dumps({"id": name, "label": label}), {"content-type": "application/json"})
                    reply = connection.getresponse()
                    body = reply.read()
                    if reply.status == 200:
                        self.labels[name] = label
                    else:
                        self.errors.append((reply.status, body.decode()))
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the server is gone: what it did not finish saying, it did not say


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary")
    arguments.add_argument("--times", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--durability", default="process", choices=["process", "power"])
    given = arguments.parse_args()
    binary = str(Path(given.binary).resolve())
    moments = random.Random(given.seed)
    answers, labels, unlogged, errors = {}, {}, 0, []
    with tempfile.TemporaryDirectory() as home:
        run = train(binary, home)
        settings = ["small", "log=on", f"log.durability={given.durability}", "log.segment_bytes=4096", "queue=1000", "log.wait_ms=2000"]
        for round_ in range(given.times):
            server = Server(binary, home, *settings)
            started = threading.Event()
            clients = [Client(number, server.address, round_, given.seed, started) for number in range(given.clients)]
            for client in clients:
                client.start()
            started.wait(30)
            time.sleep(moments.uniform(0, 0.5))
            server.end(signal.SIGKILL)
            for client in clients:
                client.join()
                answers.update(client.answers)
                labels.update(client.labels)
                unlogged += client.unlogged
                errors += client.errors
        table = run("log", "export", "small").stdout
        rows = list(csv.DictReader(io.StringIO(table)))
    kept = {}
    twice = 0
    for row in rows:
        twice += row["prediction_id"] in kept
        kept[row["prediction_id"]] = row
    lost = [name for name in answers if name not in kept]
    other = [name for name, (a, b) in answers.items() if name in kept and (float(kept[name]["a"]), float(kept[name]["b"])) != (a, b)]
    lost_labels = [name for name, label in labels.items() if name in answers and (name not in kept or kept[name]["c"] != label)]
    told = {
        "kills": given.times,
        "durability": given.durability,
        "answers_logged": len(answers),
        "answers_not_logged": unlogged,
        "answers_lost": len(lost),
        "answers_twice": twice,
        "answers_changed": len(other),
        "labels_accepted": len(labels),
        "labels_lost": len(lost_labels),
        "refusals": len(errors),
    }
    print(json.dumps(told))
    for what in errors[:3] + lost[:3] + lost_labels[:3]:
        print(what, file=sys.stderr)
    sys.exit(bool(lost or twice or other or lost_labels))


if __name__ == "__main__":
    main()
