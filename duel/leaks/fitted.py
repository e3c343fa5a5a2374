"""Shows whose fitted statistics move when test rows change: python duel/leaks/fitted.py [CUPOLA] [OUTPUT.json]

The table is data/penguins.csv, cut into training and test rows by a column. In a second copy the numbers of every test row are
changed (tenfold, with other gaps) and the training rows are the same. Then the same preparation is learned from both copies:

- "fit on everything": scikit-learn's transformers fitted to all rows before the split, as many notebooks do;
- scikit-learn's pipelines fitted to the training rows;
- Ludwig, where it is installed: its `preprocess` with a fixed split, what its metadata say of each column, and how far the prepared training
  rows move, which are the same in both copies;
- Cupola, for each of its strategies: data/preparation.json of the run, which tells what was learned of each column, and what both
  models answer to the same fresh rows.

Needs scikit-learn, and for Ludwig `pip install ludwig` (which brings torch; 0.17.10 asks for Python 3.12, and runs on 3.11 with
--ignore-requires-python).
"""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import sklearn
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

warnings.simplefilter("ignore")
root = pathlib.Path(__file__).resolve().parents[2]
cupola = sys.argv[1] if len(sys.argv) > 1 else str(root / "target/release/cupola")
output = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
rng = np.random.default_rng(1)

rows = list(csv.DictReader((root / "data/penguins.csv").open()))
NUMBERS = [name for name in rows[0] if sum(row[name].replace(".", "", 1).isdigit() for row in rows) > len(rows) / 2]
TARGET = "species" if "species" in rows[0] else list(rows[0])[0]
SIDES = ["train", "train", "train", "valid", "test"]
for place, row in enumerate(rows):
    row["side"] = SIDES[place % 5]
    for name in NUMBERS:
        if rng.random() < 0.1 or row[name] == "NA":
            row[name] = ""


def changed(row):
    if row["side"] != "test":
        return dict(row)
    numbers = {name: "" if rng.random() < 0.3 else str(round(float(row[name] or 1) * 10, 2)) for name in NUMBERS}
    return dict(row) | numbers | {name: "elsewhere" for name in row if name in ("island", "sex")}


tables = {"as it is": rows, "test rows changed": [changed(row) for row in rows]}


def matrix(table, sides):
    return np.array([[float(row[name]) if row[name] else np.nan for name in NUMBERS] for row in table if row["side"] in sides])


PIPELINES = {
    "mean, standard": lambda: make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()),
    "median, robust": lambda: make_pipeline(SimpleImputer(strategy="median"), RobustScaler()),
    "mode, power": lambda: make_pipeline(SimpleImputer(strategy="most_frequent"), PowerTransformer()),
    "knn": lambda: make_pipeline(StandardScaler(), KNNImputer()),
    "iterative": lambda: make_pipeline(StandardScaler(), IterativeImputer()),
    "quantile": lambda: make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=100)),
    "bins": lambda: make_pipeline(SimpleImputer(), KBinsDiscretizer(encode="ordinal")),
}
fresh = matrix(rows, ["valid"])


def moved(sides):
    """For each pipeline how far its answers to the same fresh rows move, in the mean."""
    far = {}
    for name, make in PIPELINES.items():
        both = [make().fit(matrix(table, sides)).transform(fresh) for table in tables.values()]
        far[name] = float(np.nanmean(np.abs(both[0] - both[1])))
    return far


def write(path, table, columns):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)


STRATEGIES = (
    [["missing=" + word] for word in ["mean", "median", "mode", "constant", "ffill", "knn", "iterative"]]
    + [["missing=mean", "indicator=true"]]
    + [["scale=" + word] for word in ["standard", "minmax", "robust", "power", "quantile", "quantile_normal"]]
    + [["outliers=" + word] for word in ["clip", "flag", "drop"]]
    + [["bins=5", "bin_strategy=" + word] for word in ["uniform", "quantile", "kmeans"]]
    + [["encode=" + word] for word in ["onehot", "ordinal", "target", "hash"]]
    + [["select=" + word, "k=5"] for word in ["variance", "f_test", "mutual_info"]]
    + [["degree=2"], ["categories=fold"]]
)


def ours(folder):
    """For each strategy whether what was learned moved, and whether any answer to the same fresh rows did."""
    columns = [name for name in rows[0]]
    fresh_file = folder / "fresh.csv"
    write(fresh_file, [row for row in rows if row["side"] == "valid"], [name for name in columns if name not in (TARGET, "side")])
    found = {}
    for strategy in STRATEGIES:
        learned, answers = [], []
        for place, table in enumerate(tables.values()):
            data = folder / f"table{place}" / "penguins.csv"
            data.parent.mkdir(exist_ok=True)
            write(data, table, columns)
            keys = ["data.clean." + key for key in strategy]
            run = subprocess.run(
                [cupola, "train", str(data), f"target={TARGET}", "model=logistic", "data.split.by=column", "data.split.key=side",
                 "leaks=off", "eval.importance=false", "--json", *keys],
                cwd=data.parent, capture_output=True, text=True)
            if run.returncode != 0:
                sys.exit(f"{' '.join(strategy)}: {run.stderr}")
            latest = sorted((data.parent / "runs").glob("0*"))[-1]
            learned.append((latest / "data/preparation.json").read_text())
            said = subprocess.run([cupola, "predict", str(latest), str(fresh_file)], cwd=folder, capture_output=True, text=True)
            if said.returncode != 0:
                sys.exit(f"{' '.join(strategy)}: {said.stderr}")
            answers.append(said.stdout)
        found[" ".join(strategy)] = {"learned moved": learned[0] != learned[1], "answers moved": answers[0] != answers[1]}
    return found


def ludwig():
    """For each normalisation what moved: the statistics of number columns, the categories, and the prepared training rows (the largest change)."""
    try:
        import logging

        import pandas
        from ludwig.api import LudwigModel
        from ludwig.globals import LUDWIG_VERSION
    except ImportError:
        return None
    words = [name for name in rows[0] if name not in NUMBERS and name not in (TARGET, "side")]
    frames = []
    for table in tables.values():
        frame = pandas.DataFrame(table)
        frame["side"] = frame["side"].map({"train": 0, "valid": 1, "test": 2})
        frame[NUMBERS] = frame[NUMBERS].apply(pandas.to_numeric)
        frames.append(frame)
    found = {"version": LUDWIG_VERSION}
    for normalization in ["zscore", "minmax", "iq"]:
        number = {"normalization": normalization, "missing_value_strategy": "fill_with_mean"}
        config = {
            "input_features": [{"name": name, "type": "number", "preprocessing": number} for name in NUMBERS]
            + [{"name": name, "type": "category", "preprocessing": {"missing_value_strategy": "fill_with_mode"}} for name in words],
            "output_features": [{"name": TARGET, "type": "category"}],
            "preprocessing": {"split": {"type": "fixed", "column": "side"}},
        }
        learned, prepared = [], []
        for frame in frames:
            with tempfile.TemporaryDirectory() as scratch:
                made = LudwigModel(config, logging_level=logging.ERROR).preprocess(frame.copy(), skip_save_processed_input=True, output_directory=scratch)
            learned.append(made.training_set_metadata)
            prepared.append(made.training_set.to_df().to_numpy(float))
        told = lambda name: [{key: str(value) for key, value in one[name].items() if key != "preprocessing"} for one in learned]
        numbers = [name for name in NUMBERS if told(name)[0] != told(name)[1]]
        categories = [name for name in words if told(name)[0] != told(name)[1]]
        far = float(np.abs(prepared[0] - prepared[1]).max()) if prepared[0].shape == prepared[1].shape else float("nan")
        found[normalization] = {"numbers moved": f"{len(numbers)} of {len(NUMBERS)}", "categories moved": f"{len(categories)} of {len(words)}", "training rows moved by": far}
    return found


everything, training = moved(["train", "valid", "test"]), moved(["train"])
print(f"{'scikit-learn, how far answers to the same rows move':<55} fit on everything   fit on training rows")
for name in PIPELINES:
    print(f"  {name:<53} {everything[name]:>17.4f} {training[name]:>22.4f}")
with tempfile.TemporaryDirectory() as folder:
    own = ours(pathlib.Path(folder))
print(f"\n{'Cupola':<55} learned moved    answers moved")
for name, how in own.items():
    print(f"  {name:<53} {str(how['learned moved']):>13} {str(how['answers moved']):>16}")
others = ludwig()
if others is None:
    print("\nLudwig: not installed")
else:
    print(f"\n{'Ludwig ' + others['version']:<55} numbers moved   categories moved   training rows moved by")
    for name, how in others.items():
        if name != "version":
            print(f"  {name:<53} {how['numbers moved']:>13} {how['categories moved']:>18} {how['training rows moved by']:>24.4f}")
still = not any(how["learned moved"] or how["answers moved"] for how in own.values())
print(f"{len(own)} strategies of Cupola: {'none moved' if still else 'SOME MOVED'}")
if output:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()
    versions = {"cupola": commit, "scikit-learn": sklearn.__version__, "ludwig": others and others["version"], "python": sys.version.split()[0]}
    told = {"versions": versions, "fit on everything": everything, "fit on training rows": training, "ludwig": others, "cupola": own}
    output.write_text(json.dumps(told, indent=1) + "\n")
sys.exit(0 if still else 1)
