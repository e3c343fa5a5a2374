"""Quality without labels: what `cupola monitor` expects of windows that drift, beside NannyML on the same answers, and what labels say.

Usage: bench.py CUPOLA_BINARY [--python PYTHON] [--write]

A model learns from a part of Adult's rows; the rest comes in windows of 500 rows whose older people are ever more (drift that the model has seen, so
that quality can be expected from scores), then in windows of married people to a model that never saw one (drift that it has not seen, where only
labels can tell). Classes: `income` (CBPE). Numbers: `hours_per_week` (DLE). Both sides get the same answers of the same model on the same rows, and
the model's test rows as reference. Told is the mean over windows of |expected - with labels|, and of |when made - with labels|, which is what
somebody without any estimate would expect. PYTHON needs nannyml and pandas; without it ours is told alone.
"""

import argparse
import csv
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WINDOW, WINDOWS = 500, 12
MEASURES = {"income": ["accuracy", "roc_auc", "f1"], "hours_per_week": ["mae", "rmse"]}

NANNYML = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import nannyml, pandas as pd
given = json.load(open(sys.argv[1]))
reference, analysis = (pd.DataFrame(given[side]) for side in ("reference", "analysis"))
size, target = given["window"], given["target"]
if target == "income":
    estimator = nannyml.CBPE(y_pred_proba="score", y_pred="said", y_true="truth", problem_type="classification_binary", metrics=["accuracy", "roc_auc", "f1"], chunk_size=size)
else:
    features = [name for name in reference if name not in ("said", "truth")]
    for name in features:
        if reference[name].dtype == object:
            kinds = pd.CategoricalDtype(sorted(set(reference[name]) | set(analysis[name])))
            reference[name], analysis[name] = reference[name].astype(kinds), analysis[name].astype(kinds)
    estimator = nannyml.DLE(feature_column_names=features, y_pred="said", y_true="truth", metrics=["mae", "rmse"], chunk_size=size)
estimator.fit(reference)
frame = estimator.estimate(analysis.drop(columns="truth")).filter(period="analysis").to_df()
print(json.dumps({name: [float(value) for value in frame[(name, "value")]] for name in given["measures"]}))
"""


def windows(kind, rows, chance):
    """Rows that drift, a window after another."""
    found = []
    for number in range(WINDOWS):
        share = 0.15 + 0.7 * number / (WINDOWS - 1)
        if kind == "older":
            old, young = [row for row in rows if float(row["age"]) >= 45], [row for row in rows if float(row["age"]) < 45]
        else:
            old, young = [row for row in rows if is_married(row)], [row for row in rows if not is_married(row)]
        found += [chance.choice(old if chance.random() < share else young) for _ in range(WINDOW)]
    return found


def is_married(row):
    return row["marital_status"] == "Married-civ-spouse"


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def duel(binary, python, home, target, kind):
    run = lambda *words: subprocess.run([binary, *words], env={**os.environ, "CUPOLA_HOME": str(home)}, capture_output=True, text=True)
    with gzip.open(ROOT / "data/adult.csv.gz", "rt") as file:
        rows = [{name: cell.strip() for name, cell in row.items()} for row in csv.DictReader(file)]
    chance = random.Random(7)
    chance.shuffle(rows)
    known, rest = rows[:16000], rows[16000:]
    if kind == "married":
        known = [row for row in known if not is_married(row)]
    # The last 4,000 are the test rows: reference of both.
    held = known[-4000:]
    write(home / "train.csv", known[:-4000])
    write(home / "test.csv", held)
    write(home / "rest.csv", windows(kind, rest, chance))
    trained = run("train", str(home / "train.csv"), f"test={home / 'test.csv'}", f"target={target}", "model=gbdt", "leaks=warn", "eval.importance=false", "-q")
    assert trained.returncode == 0, trained.stderr
    told = run("monitor", "latest", str(home / "rest.csv"), f"window={WINDOW}", "--json")
    reports = [json.loads(line)["report"]["targets"][0] for line in told.stdout.splitlines() if '"event":"window"' in line]
    assert len(reports) == WINDOWS, told.stderr
    of = lambda report, kind, measure: next((one for one in report[kind] if one["metric"] == measure), None)
    ours = {measure: [of(report, "estimated", measure) for report in reports] for measure in MEASURES[target]}
    true = {measure: [of(report, "live", measure)["value"] for report in reports] for measure in MEASURES[target]}
    made = {measure: of(reports[0], "reference", measure)["value"] for measure in MEASURES[target]}
    theirs = rival(run, python, home, target, held) if python else None
    line = {"target": target, "drift": kind, "rows_of_a_window": WINDOW, "windows": WINDOWS, "measures": {}}
    error = lambda found, measure: statistics.fmean(abs(a - b) for a, b in zip(found, true[measure]))
    for measure in MEASURES[target]:
        covered = sum(one["low"] <= truth <= one["high"] for one, truth in zip(ours[measure], true[measure]))
        line["measures"][measure] = {
            "when made": round(made[measure], 4),
            "first window": round(true[measure][0], 4),
            "last window": round(true[measure][-1], 4),
            "without an estimate": round(error([made[measure]] * WINDOWS, measure), 4),
            "cupola": round(error([one["value"] for one in ours[measure]], measure), 4),
            "nannyml": theirs and round(error(theirs[measure], measure), 4),
            "in our 95 % interval": f"{covered} of {WINDOWS}",
        }
    return line


def rival(run, python, home, target, held):
    """What NannyML expects, from the same model's answers."""
    sides = {}
    for side, path in (("reference", "test.csv"), ("analysis", "rest.csv")):
        said = run("predict", "latest", str(home / path), "--format", "csv")
        rows = list(csv.DictReader(said.stdout.splitlines()))
        numbers = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
        columns = {name: [float(row[name]) if name in numbers else row[name] for row in rows] for name in rows[0] if name != target and not name.startswith("pr")}
        if target == "income":
            columns = {"score": [float(row["probability_>50K"]) for row in rows], "said": [int(row["prediction"] == ">50K") for row in rows], "truth": [int(row[target] == ">50K") for row in rows]}
        else:
            columns |= {"said": [float(row["prediction"]) for row in rows], "truth": [float(row[target]) for row in rows]}
        sides[side] = columns
    path = home / "rival.json"
    path.write_text(json.dumps(sides | {"window": WINDOW, "target": target, "measures": MEASURES[target]}))
    ran = subprocess.run([python, "-c", NANNYML, str(path)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--python", help="one that has nannyml and pandas; default: this one, if it has them")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    binary, python = str(Path(given.binary).resolve()), given.python or sys.executable
    found = subprocess.run([python, "-c", "import nannyml; print(nannyml.__version__)"], capture_output=True, text=True)
    python = python if found.returncode == 0 else None
    lines = []
    for target, kind in (("income", "older"), ("hours_per_week", "older"), ("income", "married"), ("hours_per_week", "married")):
        with tempfile.TemporaryDirectory() as home:
            lines.append(duel(binary, python, Path(home), target, kind))
            print(json.dumps(lines[-1], indent=1), flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    if given.write:
        report = {"commit": commit, "nannyml": found.stdout.strip() or None, "lines": lines}
        (HERE / "results.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
