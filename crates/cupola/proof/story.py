"""The whole life of a deployed model on real rows that drift, in minutes.

Usage: story.py CUPOLA_BINARY [--out docs/story.json] [--plot docs/story.svg] [--seed 7] [--home FOLDER]

Adult's census rows stand in for customers. A model learns from unmarried people alone and is deployed; then married people come, whose incomes it
never saw. The story goes: unmarried traffic - married traffic, the monitor raises an alarm, quality falls - labels come late - the server itself trains a
challenger from training rows and labels, compares it on the newest rows, tries it in the shadow, promotes it - quality is back - labels are
poisoned (30 % flipped) and the next challenger is refused - somebody promotes the first model by mistake, and one command takes it back while
requests go on. From the alarm to the promotion nobody does anything but ask and label.

Every claim is checked; a story that ends otherwise exits with 1. Needs Python's standard library only.
"""

import argparse
import csv
import gzip
import http.client
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROWS = 500  # of a window
TARGET = "income"


class Story:
    def __init__(self, binary, home, seed):
        self.binary, self.home, self.random = binary, home, random.Random(seed)
        self.windows, self.marks, self.labels, self.said = [], [], [], []
        self.began = time.perf_counter()

    def cupola(self, *words, codes=(0,)):
        ran = subprocess.run([self.binary, "--json", *words], env={**os.environ, "CUPOLA_HOME": self.home}, capture_output=True, text=True)
        if ran.returncode not in codes:
            sys.exit(f"cupola {' '.join(words)}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def mark(self, what):
        print(f"{time.perf_counter() - self.began:6.1f} s  {what}", flush=True)
        self.marks.append({"window": len(self.windows), "what": what})

    def serve(self):
        words = [self.binary, "--json", "serve", "adult", "http=127.0.0.1:0", "log=on", "refresh_s=0.1", "retrain_s=0.5"]
        self.server = subprocess.Popen(words, env={**os.environ, "CUPOLA_HOME": self.home}, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.server.stdout.readline())["address"]
        threading.Thread(target=lambda: self.said.extend(map(json.loads, self.server.stdout)), daemon=True).start()

    def post(self, path, body, kind="application/json", name=None):
        connection = http.client.HTTPConnection(*self.address.split(":"), timeout=60)
        headers = {"content-type": kind, "accept": "application/json", **({"x-request-id": name} if name else {})}
        connection.request("POST", path, body, headers)
        reply = connection.getresponse()
        answer = reply.read()
        if reply.status != 200:
            sys.exit(f"POST {path}: {reply.status} {answer.decode()}")
        return json.loads(answer)

    def get(self, path):
        connection = http.client.HTTPConnection(*self.address.split(":"), timeout=60)
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    def raised(self):
        """The alarms that the server has raised, once it has counted every row that it answered."""
        asked, deadline = ROWS * len(self.windows), time.perf_counter() + 30
        while time.perf_counter() < deadline:
            seen = self.get("/models/adult/monitor")
            # It begins anew with another champion: then the windows since that.
            counted = sum(window["rows"] for window in seen["history"]["windows"]) + (seen["present"] or {"rows": 0})["rows"]
            if counted >= asked:
                return seen["raised"]
            time.sleep(0.1)
        raise AssertionError(f"the monitor has counted {counted} of {asked} rows")

    def decided(self, kinds, traffic, limit):
        """Asks a window after another until the server has decided so."""
        for _ in range(limit):
            seen = [line["kind"] for line in self.decisions()]
            if all(kind in seen for kind in kinds):
                return True
            traffic()
        return False

    def decisions(self):
        return [json.loads(line) for line in Path(self.home, "deploy/adult/decisions.jsonl").read_text().splitlines()]

    def window(self, rows, phase, flip=0.0):
        """Asks for a window's rows, and measures what was answered; its labels wait."""
        scores, version = [], None
        for start in range(0, len(rows), 50):
            part = rows[start : start + 50]
            text = io.StringIO()
            writer = csv.DictWriter(text, [name for name in part[0] if name != TARGET], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(part)
            name = f"w{len(self.windows)}-{start}"
            answer = self.post("/predict", text.getvalue(), "text/csv", name)
            assert answer["logged"], answer
            version = answer["version"]
            for number, (row, said) in enumerate(zip(part, answer["predictions"])):
                scores.append((said["probability_>50K"], row[TARGET].strip() == ">50K"))
                label = row[TARGET].strip()
                if self.random.random() < flip:
                    label = "<=50K" if label == ">50K" else ">50K"
                self.labels.append({"id": f"{name}-{number + 1}", "label": label})
        married = sum(row["marital_status"].strip() == "Married-civ-spouse" for row in rows) / len(rows)
        self.windows.append({"auc": auc(scores), "accuracy": sum((p > 0.5) == y for p, y in scores) / len(scores), "married": married, "version": int(version), "phase": phase})
        return self.windows[-1]

    def feed(self):
        """The labels of all windows so far arrive."""
        for start in range(0, len(self.labels), 1000):
            self.post("/feedback", json.dumps({"labels": self.labels[start : start + 1000]}))
        self.labels = []


def auc(scores):
    ranked = sorted(scores)
    total, rank, place = 0.0, 0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        total += sum(y for _, y in ranked[place:end]) * (place + end + 1) / 2
        place = end
    good = sum(y for _, y in ranked)
    return (total - good * (good + 1) / 2) / (good * (len(ranked) - good))


def mean(windows):
    return sum(window["auc"] for window in windows) / len(windows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--out")
    parser.add_argument("--plot")
    parser.add_argument("--home", help="an empty folder to keep everything in; default: a temporary one")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with gzip.open(ROOT / "data/adult.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    chance = random.Random(given.seed)
    chance.shuffle(rows)
    is_married = lambda row: row["marital_status"].strip() == "Married-civ-spouse"
    married, single = [row for row in rows if is_married(row)], [row for row in rows if not is_married(row)]
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or folder
        story = Story(str(Path(given.binary).resolve()), home, given.seed)
        try:
            facts = tell(story, single, married, chance)
        finally:
            story.server.kill()
        facts["seconds"] = round(time.perf_counter() - story.began, 1)
    report = {"windows": story.windows, "marks": story.marks, "facts": facts}
    if given.out:
        Path(given.out).write_text(json.dumps(report, indent=1) + "\n")
    if given.plot:
        Path(given.plot).write_text(plot(report))
    print(json.dumps(facts))
    wrong = [name for name, holds in facts["checks"].items() if not holds]
    sys.exit(f"the story ends otherwise: {', '.join(wrong)}" if wrong else 0)


def tell(story, single, married, chance):
    table = Path(story.home, "unmarried.csv")
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, single[0].keys())
        writer.writeheader()
        writer.writerows(single[:6000])
    rest, couples = iter(single[6000:]), iter(married)
    calm = lambda: [next(rest) for _ in range(ROWS)]
    moved = lambda: [next(couples) if chance.random() < 0.8 else next(rest) for _ in range(ROWS)]

    watched = [f"monitor.window={ROWS}", "monitor.cooldown=0"]
    policy = ["retrain.mode=auto", "retrain.when=[alarm]", "retrain.shadow_rows=400", "retrain.cooldown=1h"]
    story.cupola("train", str(table), f"target={TARGET}", "model=gbdt", "name=adult", *watched, *policy)
    story.cupola("registry", "add", "latest", "name=adult")
    story.serve()
    story.mark("version 1 is deployed: it learned from unmarried people")
    before = [story.window(calm(), "as trained") for _ in range(4)]
    story.feed()
    quiet = story.raised()
    story.mark("married people come")
    fallen, raised = [], []
    while len(fallen) < 6:
        fallen.append(story.window(moved(), "drift"))
        if not raised:
            raised = story.raised()
            delay = len(fallen)
            if raised:
                story.mark(f"the monitor raises {len(raised)} alarms, first {raised[0]}")
    time.sleep(1)
    idle = [line["kind"] for line in story.decisions()]
    story.feed()
    story.mark("the labels of six windows come late; from here the server acts by itself")
    shadowed = []
    ask = lambda: (shadowed.append(story.window(moved(), "shadow")), time.sleep(1.5))
    promoted = story.decided(["retrain", "alias", "promote"], ask, 12)
    lines = story.decisions()
    tried = next((line["facts"] for line in lines if line["kind"] == "alias" and line["alias"] == "challenger"), {"gates": []})
    story.mark("the server has promoted version 2" if promoted else "the server has promoted nothing")
    if not promoted:
        print(*(json.dumps(line)[:1000] for line in story.said), sep="\n")
    time.sleep(0.5)
    after = [story.window(moved(), "restored") for _ in range(4)]
    story.feed()
    story.mark("30 % of the labels are flipped from here")
    for _ in range(5):
        story.window(moved(), "poisoned labels", flip=0.3)
    story.feed()
    poisoned = ["retrain", "adult", "--now", "retrain.window=30s", "retrain.data=log", "retrain.cooldown=0"]
    refused = story.cupola(*poisoned, codes=(0, 4))[-1]
    story.mark(f"retrain: {refused['event']}")
    rollback = roll_back(story, calm())
    story.window(moved(), "rolled back")
    story.server.send_signal(signal.SIGTERM)
    code = story.server.wait()
    checks = {
        "no alarm before the drift": quiet == [],
        "an alarm within two windows of it": bool(raised) and delay <= 2,
        "nothing is trained without labels": "retrain" not in idle,
        "quality fell with the drift": mean(fallen) < mean(before) - 0.05,
        "the challenger passed the backtest": bool(tried["gates"]) and all(gate["holds"] for gate in tried["gates"]),
        "the server promoted it after its trial": promoted,
        "version 2 answers": {window["version"] for window in after} == {2},
        "quality is back": mean(after) > mean(fallen) + 0.02,
        "poisoned labels are refused": refused["event"] == "refused",
        "rollback within a second": rollback["seconds"] < 1,
        "no request was lost": rollback["errors"] == 0,
        "the server ended well": code == 0,
    }
    return {
        "auc": {"before": mean(before), "drift": mean(fallen + shadowed), "after": mean(after)},
        "alarms": {"raised": raised, "rows_until": delay * ROWS},
        "tried": tried["gates"],
        "refused": [gate for gate in refused["gates"] if not gate["holds"]],
        "rollback": rollback,
        "decisions": len(story.decisions()),
        "checks": checks,
    }


def roll_back(story, rows):
    """Version 1 is promoted by mistake, and taken back, while clients ask."""
    body = json.dumps({name: value for name, value in rows[0].items() if name != TARGET} | {name: float(rows[0][name]) for name in ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")})
    seen, errors, stop = [], [], threading.Event()

    def client():
        connection = http.client.HTTPConnection(*story.address.split(":"), timeout=20)
        while not stop.is_set():
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                reply = connection.getresponse()
                answer = json.loads(reply.read())
                if reply.status == 200:
                    seen.append((time.perf_counter(), answer["version"]))
                else:
                    errors.append(answer)
            except (OSError, http.client.HTTPException, ValueError) as error:
                errors.append(str(error))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    story.cupola("registry", "promote", "adult", "1", "--why", "a mistake")
    while not any(version == "1" for _, version in seen[-20:]):
        time.sleep(0.01)
    began = time.perf_counter()
    story.cupola("registry", "rollback", "adult", "--why", "taken back")
    while not all(version == "2" for _, version in seen[-20:]):
        time.sleep(0.01)
    time.sleep(0.3)
    stop.set()
    for thread in clients:
        thread.join()
    last = max(at for at, version in seen if version == "1")
    story.mark("rollback under load")
    return {"seconds": round(last - began, 3), "requests": len(seen), "errors": len(errors)}


def plot(report):
    """The AUC of each window, who answered, and what happened, as an SVG."""
    windows, marks = report["windows"], report["marks"]
    width, height, left, top, bottom = 960, 420, 60, 30, 150
    x = lambda place: left + (place + 0.5) * (width - left - 20) / len(windows)
    y = lambda value: top + (1 - (value - 0.6) / 0.4) * (height - top - bottom)
    colours = {1: "#4472c4", 2: "#2e9e5b"}
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>']
    for tick in (0.6, 0.7, 0.8, 0.9, 1.0):
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/><text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>')
    out.append(f'<text x="16" y="{(top + height - bottom) / 2:.0f}" transform="rotate(-90 16 {(top + height - bottom) / 2:.0f})" text-anchor="middle">ROC AUC of a window of {ROWS} rows</text>')
    points = " ".join(f"{x(place):.1f},{y(window['auc']):.1f}" for place, window in enumerate(windows))
    out.append(f'<polyline points="{points}" fill="none" stroke="#999"/>')
    for place, window in enumerate(windows):
        out.append(f'<circle cx="{x(place):.1f}" cy="{y(window["auc"]):.1f}" r="5" fill="{colours.get(window["version"], "#c33")}"><title>{window["phase"]}: {window["auc"]:.3f}, {window["married"]:.0%} married, version {window["version"]}</title></circle>')
    seen = {}
    for number, mark in enumerate(marks):
        at = x(mark["window"] - 0.5)
        level = seen.get(mark["window"], 0)
        seen[mark["window"]] = level + 1
        if level == 0:
            out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{height - bottom + 8}" stroke="#c33" stroke-dasharray="3 3"/>')
        out.append(f'<text x="{at + 2:.1f}" y="{height - bottom + 22 + 15 * level:.1f}" fill="#c33" font-size="11">{number + 1}</text>')
    half = (len(marks) + 1) // 2
    for number, mark in enumerate(marks):
        column, line = divmod(number, half)
        text = mark["what"].replace("&", "&amp;").replace("<", "&lt;")
        out.append(f'<text x="{left + column * 440}" y="{height - 85 + 16 * line}">{number + 1}  {text}</text>')
    for place, (number, colour) in enumerate(colours.items()):
        out.append(f'<circle cx="{left + 10 + place * 160}" cy="14" r="5" fill="{colour}"/><text x="{left + 20 + place * 160}" y="18">version {number} answers</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


if __name__ == "__main__":
    main()
