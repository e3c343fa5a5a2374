"""Images to a promised accuracy, process start to finish: Cupola against PyTorch, the same network and recipe, alternating A B B A.

Usage: bench.py CUPOLA_BINARY [--workloads mnist,fashion] [--rounds 2] [--threads 2] [--modes eager,best,compile] [--precision f32]
    [--data FOLDER] [--python PYTHON] [--write] [--missing]
Needs torch and numpy in that Python, and the pictures (`just data` puts them into data/full). A round is one run of each side. Prints a
row of each workload: wall and CPU seconds, seconds of the epochs alone, peak memory, test accuracies. --write puts it into results.json.
--precision bf16 holds ours against torch.autocast.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
import turns  # noqa: E402

# The recipe that both sides read, the folder of its pictures, and the share of the fastest other's time that we want to need at most.
WORKLOADS = {
    "mnist": (HERE / "mnist.toml", "mnist", 0.5),
    "fashion": (ROOT / "recipes" / "fashion-mnist.toml", "fashion-mnist", 0.9),
}


def timed(command, environment):
    """Wall and CPU seconds and peak memory in MB of a process, and the last line that it prints."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environment})
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with exit code {child.returncode}: {output[-2000:]}")
    numbers = {"wall_s": time.perf_counter() - began, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}
    return numbers, json.loads(output.strip().splitlines()[-1])


def ours(options, recipe, folder, seed):
    # A run that misses the recipe's gate counts as one that misses it, not as a failure.
    said = ["gates.accuracy=>= 0", f"data.train={folder}", f"train.precision={options.precision}", f"threads={options.threads}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as home:
        numbers, last = timed([options.binary, "train", str(recipe), *said, "--json"], {"CUPOLA_HOME": home})
    report = last["report"]
    scores = {score["name"]: score["test"]["value"] for score in report["targets"][0]["scores"]}
    stages = {stage["stage"]: stage["seconds"] for stage in report["timings"]}
    return {**numbers, "train_s": stages["train"], "accuracy": scores["accuracy"]}


def theirs(mode, options, recipe, folder, seed):
    said = [str(recipe), folder, str(options.threads), str(seed), mode, options.precision]
    command = [options.python, str(HERE / "torch_images.py"), *said]
    numbers, last = timed(command, {"OMP_NUM_THREADS": str(options.threads)})
    return {**numbers, "train_s": last["train_seconds"], "accuracy": last["accuracy"]}


def measured(name, options):
    """The sides' numbers for a workload; each run has its own seed, the same for all sides."""
    recipe, pictures, mark = WORKLOADS[name]
    wanted = float(tomllib.loads(recipe.read_text())["gates"]["accuracy"].removeprefix(">="))
    sides = {"cupola": ours, **{f"torch {mode}": partial(theirs, mode) for mode in options.modes}}
    runs = {side: [] for side in sides}
    for turn in range(options.rounds):
        for side in list(sides)[:: 1 if turn % 2 == 0 else -1]:
            runs[side].append(sides[side](options, recipe, str(Path(options.data) / pictures), seed=1 + turn))
            print(name, side, {key: round(value, 4) for key, value in runs[side][-1].items()}, file=sys.stderr)
    middle = {side: {key: statistics.median(run[key] for run in done) for key in done[0]} for side, done in runs.items()}
    fastest = min((side for side in sides if side != "cupola"), key=lambda side: middle[side]["wall_s"])
    return {
        "runs": options.rounds,
        **{key: {side: round(numbers[key], 1) for side, numbers in middle.items()} for key in ("wall_s", "cpu_s", "train_s", "peak_mb")},
        **{f"{key}_ratio_to_fastest": round(middle["cupola"][f"{key}_s"] / middle[fastest][f"{key}_s"], 3)
           for key in ("wall", "cpu", "train")},
        "wall_mark": mark,
        "accuracies": {side: sorted(round(run["accuracy"], 4) for run in done) for side, done in runs.items()},
        "accuracy_wanted": wanted,
    }


def main():
    parser = turns.arguments(__doc__, list(WORKLOADS))
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["best"])
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--data", default=str(ROOT / "data" / "full"), help="the folder that holds mnist and fashion-mnist")
    parser.set_defaults(rounds=2)
    options = parser.parse_args()
    rounded = ", bf16" if options.precision == "bf16" else ""
    turns.keep(HERE, ["torch", "numpy"], options, [(f"{name}{rounded}", partial(measured, name, options)) for name in options.workloads])


main()
