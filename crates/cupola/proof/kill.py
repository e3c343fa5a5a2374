"""Kills trainings at random moments and lets them go on: the model must come out as the same bytes.

Usage: kill.py CUPOLA_BINARY [--times 50] [--seed 7] [--epochs 12] [--data data/mnist-small] [--threads]

A small network with dropout, augmentation and averaged weights is trained once without interruption. Then, in each of `--times` rounds,
the same training is started, killed with SIGKILL at a moment drawn evenly over the length of the first, and resumed; a resumed run is
killed again with probability 1/2, at a moment drawn evenly over what is left, until one ends. Its model's hash, as run.lock and as `cupola verify` tell it, must be that of the
first. A process killed before its run folder holds recipe.toml leaves nothing to resume: such kills are counted apart, and the round
starts again. `--threads` instead trains with 1 and with 2 threads and compares the models.

Prints one JSON line with counts. Exits 1 when a hash differs or a run cannot go on; what is left of such a run stays, and its folder,
kills and messages are told.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NETWORK = [
    "model=layers",
    'model.layers=["conv 8 3 relu", "maxpool 2", "batchnorm", "flatten", "dense 32 relu dropout=0.2"]',
    "train.lr=0.003",
    "train.ema=0.99",
    "augment.crop=2",
    "save.every=10",
]
KILLED = -signal.SIGKILL


class Broken(Exception):
    """A run that could not go on, or came out otherwise."""


def ran(command, home, kill_after=None):
    """The exit code (-9 when killed) of a process, its seconds and what it printed."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "CUPOLA_HOME": str(home)})
        try:
            code = child.wait(timeout=kill_after)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        seconds = time.perf_counter() - began
        output.seek(0)
        return code, seconds, output.read().decode(errors="replace")


def run_folder(home):
    """The only run in a home that can go on, or none."""
    folders = [path for path in Path(home, "runs").glob("*") if path.is_dir() and not path.is_symlink() and (path / "recipe.toml").is_file()]
    return folders[0] if folders else None


def model_of(options, folder):
    """The hash of a finished run's model, which run.lock and `verify` must agree on."""
    locked = json.loads((folder / "run.lock").read_text())["model"]
    code, _, output = ran([options.binary, "verify", str(folder), "--json"], folder.parent.parent)
    if code != 0 or json.loads(output.strip().splitlines()[-1])["hash"] != locked:
        raise Broken(f"run.lock says {locked}, verify ends with {code}: {output[-500:]}")
    return locked


def train(options, *more):
    return [options.binary, "train", options.data, *NETWORK, f"train.epochs={options.epochs}", "--quiet", *more]


def whole(options, *more):
    """An uninterrupted run: its model and its seconds."""
    with tempfile.TemporaryDirectory() as home:
        code, seconds, output = ran(train(options, *more), home)
        if code != 0:
            sys.exit(f"the uninterrupted run ended with exit code {code}: {output[-2000:]}")
        return model_of(options, run_folder(home)), seconds


def one_round(options, home, draw, length, counts, kills):
    """Kills and resumes until a run ends, and gives its model."""
    command, resumed, left = train(options), False, length
    while True:
        chosen = not resumed or draw.random() < 0.5
        kill_after = draw.uniform(0.0, left) if chosen else None
        code, _, output = ran(command, home, kill_after)
        folder = run_folder(home)
        if code == KILLED:
            kills.append(round(kill_after, 3))
            counts["kills"] += 1
            if folder is None:
                counts["kills_before_a_run"] += 1
                continue
            if (folder / "run.lock").is_file():
                # Killed between the last file and the end of the process: nothing is missing.
                counts["kills_after_the_end"] += 1
                return model_of(options, folder)
            counts["kills_of_resumed"] += resumed
            command, resumed, left = [options.binary, "resume", str(folder), "--quiet"], True, max(left - kill_after, length / 10)
            continue
        if code != 0:
            raise Broken(f"{' '.join(command[1:])} ended with exit code {code}: {output[-2000:]}")
        counts["ends_without_a_kill"] += not kills
        counts["resumes_to_the_end"] += resumed
        return model_of(options, folder)


def kills(options):
    expected, length = whole(options)
    names = ["rounds", "kills", "kills_of_resumed", "kills_before_a_run", "kills_after_the_end", "ends_without_a_kill", "resumes_to_the_end", "same", "broken"]
    counts = dict.fromkeys(names, 0)
    for number in range(options.times):
        draw, done, home = random.Random(f"{options.seed} {number}"), [], tempfile.mkdtemp()
        counts["rounds"] += 1
        try:
            found = one_round(options, home, draw, length, counts, done)
            if found != expected:
                raise Broken(f"the model is {found}, without a kill it is {expected}")
            counts["same"] += 1
            shutil.rmtree(home)
        except Broken as error:
            counts["broken"] += 1
            folder = run_folder(home)
            held = sorted(path.name for path in folder.iterdir()) if folder else []
            print(f"round {number}: killed after {done} s of about {length:.1f}; {folder} holds {held}\n  {error}", file=sys.stderr)
        print(f"round {number}: {len(done)} kills, {counts['same']} same so far", file=sys.stderr)
    print(json.dumps({"uninterrupted_seconds": round(length, 1), **counts}))
    return counts["broken"] == 0


def threads(options):
    models = {count: whole(options, f"threads={count}")[0] for count in (1, 2)}
    print(json.dumps({"models": models, "same": models[1] == models[2]}))
    return models[1] == models[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--data", default=str(ROOT / "data" / "mnist-small"))
    parser.add_argument("--threads", action="store_true")
    options = parser.parse_args()
    sys.exit(0 if (threads if options.threads else kills)(options) else 1)


main()
