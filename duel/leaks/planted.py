"""Plants 20 known leaks in real tables and counts what Cupola, deepchecks and Ludwig find, with each table as it was beside it:

    python duel/leaks/planted.py CUPOLA [FOLDER]

Both are given the same training and test rows. A leak is found when something is told about it (its column, or rows that are shared) that is not told
of the clean table; what is told of clean tables is counted as a false alarm. Writes duel/leaks/results.json.

Needs scikit-learn and pandas; deepchecks where it is installed (0.19.1 wants setuptools < 80, scikit-learn < 1.6 and category-encoders < 2.7).
Ludwig where it is installed (0.17.10 on Python 3.11: --ignore-requires-python): its only check of leaks is `check_dataset_quality`, which no command
of it calls and no training does; here it is called by hand, with all rows, as it takes one table. It has no check of rows. The two cannot live in one environment:
what results.json holds of the one that is missing is kept, and the tables are the same.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

warnings.simplefilter("ignore")
root = pathlib.Path(__file__).parents[2]
cupola = pathlib.Path(sys.argv[1]).resolve()
folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else pathlib.Path(tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)


def sk(load):
    return load(as_frame=True).frame.rename(columns={"target": "y"})


def adult():
    frame = pd.read_csv(root / "data/adult.csv.gz").sample(6000, random_state=1).reset_index(drop=True)
    return frame.rename(columns={frame.columns[-1]: "y"})


def cancer():
    frame = sk(load_breast_cancer)
    frame["y"] = np.where(frame["y"] == 1, "benign", "malignant")
    return frame


def wine():
    frame = sk(load_wine)
    frame["y"] = "cultivar" + frame["y"].astype(str)
    return frame


def diabetes():
    return sk(load_diabetes)


def penguins():
    frame = pd.read_csv(root / "data/penguins.csv")
    return frame.rename(columns={"species": "y"})


def reviews():
    frame = pd.read_csv(root / "data/reviews.tsv.gz", sep="\t")
    frame = frame[frame["rating"].abs() >= 1].sample(2000, random_state=1).reset_index(drop=True)
    frame["y"] = np.where(frame["rating"] > 0, "positive", "negative")
    return frame[["text", "y"]]


def split(frame):
    test = np.random.default_rng(3).random(len(frame)) < 0.2
    return frame[~test].reset_index(drop=True), frame[test].reset_index(drop=True)


def column(make, plant, name="leak"):
    """A column that is computed from the whole table."""

    def build():
        frame = make()
        frame.insert(1, name, plant(frame))
        return split(frame)

    return make, build, name


def flips(values, share):
    values = values.copy()
    wrong = rng.choice(len(values), max(1, int(share * len(values))), replace=False)
    values[wrong] = 1 - values[wrong]
    return values


def one_class(frame):
    return (frame["y"] == frame["y"].value_counts().index[-1]).to_numpy()


def dates(frame):
    return pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, len(frame)), "D")


def copied(make, share, change=None):
    """Test rows that are training rows, wholly or but for a change."""

    def build():
        train, test = split(make())
        rows = int(share * len(test))
        test = test.copy()
        taken = train.sample(rows, random_state=2).reset_index(drop=True)
        test.iloc[:rows] = (change(taken) if change else taken).to_numpy()
        return train, test.astype(train.dtypes.to_dict(), errors="ignore")

    return make, build, None


def before_split(make):
    def build():
        frame = make()
        return split(pd.concat([frame, frame.sample(frac=0.4, random_state=2)]).sample(frac=1, random_state=4).reset_index(drop=True))

    return make, build, None


def one_cell(frame):
    frame = frame.copy()
    for row in range(len(frame)):
        at = row % (frame.shape[1] - 1)
        values = frame.iloc[:, at].to_numpy()
        frame.iat[row, at] = values[(row + 1) % len(values)]
    return frame


def few_words(frame):
    frame = frame.copy()
    frame["text"] = [t.replace(" the ", " that ", 1) + " Thanks." for t in frame["text"]]
    return frame


def in_text(plant):
    def build():
        frame = reviews()
        frame["text"] = [plant(text, y) for text, y in zip(frame["text"], frame["y"])]
        return split(frame)

    return reviews, build, "text"


def in_order():
    frame = adult().sort_values("y", kind="stable").reset_index(drop=True)
    frame.insert(0, "seq", 3 * np.arange(len(frame)) + rng.integers(0, 3, len(frame)) + 100000)
    return split(frame)


def noted():
    frame = diabetes()
    frame.insert(0, "note", [f"visit {i % 17}, progression {y:.0f} after a year" for i, y in enumerate(frame["y"])])
    return split(frame)


def parts():
    frame = diabetes()
    part = rng.uniform(0.2, 0.8, len(frame))
    frame.insert(0, "part_b", frame["y"] * (1 - part))
    frame.insert(0, "part_a", frame["y"] * part)
    return split(frame)


LEAKS = {
    "copy of the target under codes": column(adult, lambda f: (f["y"] == f["y"].iloc[0]).astype(int)),
    "copy with one cell in two hundred wrong": column(adult, lambda f: flips((f["y"] == f["y"].iloc[0]).astype(int).to_numpy(), 0.004)),
    "classes under other names": column(penguins, lambda f: f["y"].map(dict(zip(f["y"].unique(), ["north", "south", "east"])))),
    "classes as a finer code": column(wine, lambda f: f["y"].astype("category").cat.codes * 10 + rng.integers(0, 2, len(f))),
    "target in another unit": column(diabetes, lambda f: f["y"] * 2.54 + 1),
    "target, rounded": column(diabetes, lambda f: (f["y"] / 5).round() * 5),
    "logarithm of the target": column(diabetes, lambda f: np.log(f["y"])),
    "a score made from the target": column(cancer, lambda f: one_class(f) + rng.normal(0, 0.18, len(f))),
    "whether another column is filled in": column(cancer, lambda f: np.where(one_class(f), rng.normal(50, 9, len(f)).round(1), np.nan), "dose"),
    "a date that only one class has": column(adult, lambda f: dates(f).where(one_class(f)).strftime("%Y-%m-%d"), "closed_on"),
    "row numbers of a sorted file": (adult, in_order, "seq"),
    "the class in a text": in_text(lambda t, y: f"{t} Rated {y}."),
    "a mark in the texts of one class": in_text(lambda t, y: f"#flag {t}" if y == "positive" else t),
    "the number in a text": (diabetes, noted, "note"),
    "a tenth of the test rows from training": copied(adult, 0.1),
    "a third of the test rows from training": copied(wine, 0.34),
    "rows copied before the split": before_split(cancer),
    "test rows with one cell changed": copied(cancer, 0.3, one_cell),
    "test texts with two words changed": copied(reviews, 0.2, few_words),
    "two columns that add up to the target": (diabetes, parts, "part_a"),
}


def ours(train, test):
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    command = [cupola, "--json", "data", "leaks", folder / "train.csv", f"test={folder / 'test.csv'}", "target=y"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    if "findings" not in answer:
        raise SystemExit(f"{answer}")
    told = {(f["column"] or "rows", f["check"]) for f in answer["findings"]}
    return told, done.returncode == 3


def theirs(train, test):
    try:
        from deepchecks.tabular import Dataset
        from deepchecks.tabular.suites import data_integrity, train_test_validation
    except ImportError:
        return None
    numbers = set(train.select_dtypes("number").columns) - {"y"}
    classes = train["y"].dtype.kind not in "if"
    common = {"label": "y", "cat_features": [c for c in train if c not in numbers and c not in ("y", "text", "note")], "label_type": "multiclass" if classes else "regression"}
    a, b = Dataset(train, **common), Dataset(test, **common)
    told = set()
    leaky = ["Feature Label Correlation", "Feature Label Correlation Change", "Train Test Samples Mix", "Identifier Label Correlation", "Index Train Test Leakage", "Date Train Test Leakage Duplicates", "Date Train Test Leakage Overlap", "Data Duplicates"]
    # Suites without the checks that look at other things, which take most of the time.
    suites = [train_test_validation(), data_integrity()]
    for suite in suites:
        [suite.remove(index) for index, check in list(suite.checks.items()) if check.name() not in leaky]
    for suite in [suites[0].run(a, b), suites[1].run(a)]:
        for result in suite.get_not_passed_checks(fail_if_warning=True):
            name = result.check.name()
            if name not in leaky:
                continue
            details = " ".join(c.details for c in result.conditions_results if not c.is_pass())
            columns = [c for c in train if c != "y" and f"'{c}'" in details]
            told |= {(c, name) for c in columns} or {("rows", name)}
    return told


def ludwigs(train, test):
    try:
        from ludwig.utils.dataset_quality import check_dataset_quality
    except ImportError:
        return None
    # It takes one table: both sides together, so that it has all there is to see.
    checks = check_dataset_quality(pd.concat([train, test], ignore_index=True), target_column="y").checks
    told = set()
    for check in checks:
        if check.status.name == "PASS" or check.name not in ("target_leakage", "id_columns", "near_duplicate_columns"):
            continue
        told |= {(c, check.name) for c in train if c != "y" and f"'{c}'" in str(check.details)}
    return told


RIVALS = {"deepchecks": theirs, "ludwig": ludwigs}
RESULTS = pathlib.Path(__file__).parent / "results.json"
before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"leaks": [], "clean": {}}
before_rows = {row["leak"]: row for row in before["leaks"]}


def is_found(told, clean, name):
    new = told - clean
    return any(where == (name or "rows") for where, _ in new)


rows, alarms = [], {}
clean = {}
listed = lambda told: sorted(map(list, told))
for title, (make, build, name) in LEAKS.items():
    table = make.__name__
    if table not in clean:
        whole = split(make())
        told, stops = ours(*whole)
        others = {rival: ask(*whole) for rival, ask in RIVALS.items()}
        clean[table] = {"cupola": told} | others
        alarms[table] = {"cupola": listed(told), "cupola_stops": stops}
        for rival, other in others.items():
            alarms[table][rival] = before["clean"].get(table, {}).get(rival) if other is None else listed(other)
    train, test = build()
    told, stops = ours(train, test)
    row = {"leak": title, "table": table, "rows": len(train) + len(test), "cupola": is_found(told, clean[table]["cupola"], name), "stopped": stops}
    row["told"] = listed(told - clean[table]["cupola"])
    for rival, ask in RIVALS.items():
        other, kept = ask(train, test), before_rows.get(title, {})
        if other is None:
            row[rival], row[f"told_{rival}"] = kept.get(rival), kept.get(f"told_{rival}")
        else:
            row[rival], row[f"told_{rival}"] = is_found(other, clean[table][rival], name), listed(other - clean[table][rival])
    rows.append(row)
    said = " ".join(f"{rival} {row[rival]}" for rival in RIVALS)
    print(f"{title:42} {table:9} cupola {'found' if row['cupola'] else '-':6}{'stop' if stops else '':5} {said}", flush=True)
count = lambda key: sum(bool(row[key]) for row in rows)
print(f"cupola {count('cupola')} of {len(rows)}, {count('stopped')} stopped; " + ", ".join(f"{rival} {count(rival)}" for rival in RIVALS))
print("told of clean tables:", json.dumps(alarms))


def version(package):
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return before.get("versions", {}).get(package)


commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()
versions = {"cupola": commit} | {rival: version(rival) for rival in RIVALS}
RESULTS.write_text(json.dumps({"versions": versions, "leaks": rows, "clean": alarms}, indent=1) + "\n")
