"""Cupola's gbdt and forest beside LightGBM and scikit-learn: time to fit (binning included) and quality, side by side.

Usage: bench.py PATH/TO/gbdt_speed [--rounds N] [--adult FOLDER] [speed] [threads] [adult] [forest]

`gbdt_speed` is `cargo build --release -p cupola-classic --example gbdt_speed`. Each fit runs in a process of its own, in the
order A B B A, so that a drift of the machine's clock meets both. CPU seconds are user + system time of the fit alone: reading the
data and importing Python are not counted for either side.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np


def write(folder, train, test, kinds):
    """Columns as `gbdt_speed` reads them: a list of f64 arrays, the target last."""
    with open(f"{folder}/columns.txt", "w") as file:
        file.write("\n".join(kinds) + "\n")
    for name, columns in (("train", train), ("test", test)):
        np.concatenate([np.asarray(column, dtype="<f8") for column in columns]).tofile(f"{folder}/{name}.f64")


def read(folder, name, columns):
    return np.fromfile(f"{folder}/{name}.f64", dtype="<f8").reshape(columns, -1)


def dense(folder, rows, features, informative, seed, numbers="f4"):
    from sklearn.datasets import make_classification

    x, y = make_classification(rows * 5 // 4, features, n_informative=informative, n_redundant=2, n_clusters_per_class=8,
                               class_sep=0.5, flip_y=0.05, random_state=seed)
    x = x.astype(numbers).astype("f8")
    split = lambda part: [*x[part].T, y[part]]
    write(folder, split(slice(rows)), split(slice(rows, None)), ["number"] * features + ["target 2"])


def adult(folder, source):
    import pandas as pd

    train, test = (pd.read_csv(f"{source}/{name}.csv", na_values="?", skipinitialspace=True) for name in ("train", "test"))
    sides, kinds = ([], []), []
    for name in train.columns:
        if name == "income":
            sides[0].append(train[name].str.startswith(">").astype(float))
            sides[1].append(test[name].str.startswith(">").astype(float))
            kinds.append("target 2")
        elif pd.api.types.is_numeric_dtype(train[name]):
            sides[0].append(train[name].astype(float))
            sides[1].append(test[name].astype(float))
            kinds.append("number")
        else:
            classes = sorted(train[name].dropna().unique())
            for side, frame in zip(sides, (train, test)):
                codes = pd.Categorical(frame[name], categories=classes).codes.astype(float)
                side.append(np.where(codes < 0, np.nan, codes))
            kinds.append(f"category {len(classes)}")
    write(folder, *sides, kinds)


def child(who, folder, threads, settings):
    """The other side, in this process: prints what `gbdt_speed` prints."""
    kinds = open(f"{folder}/columns.txt").read().split("\n")[:-1]
    train, test = read(folder, "train", len(kinds)), read(folder, "test", len(kinds))
    x, y, x_test = np.ascontiguousarray(train[:-1].T, dtype="f4"), train[-1], np.ascontiguousarray(test[:-1].T, dtype="f4")
    categories = [i for i, kind in enumerate(kinds[:-1]) if kind.startswith("category")]
    if who == "lightgbm":
        import lightgbm

        def fit():
            data = lightgbm.Dataset(x, y, categorical_feature=categories, params={"verbose": -1})
            parameters = {"objective": "binary", "learning_rate": 0.1, "num_leaves": 31, "verbose": -1, "num_threads": threads, **settings}
            return lightgbm.train(parameters, data, 100)

        answer = lambda model: model.predict(x_test, num_threads=threads)
    elif who == "hist":
        from sklearn.ensemble import HistGradientBoostingClassifier as Model

        fit = lambda: Model(categorical_features=categories or None, early_stopping=False, random_state=1).fit(x, y)
        answer = lambda model: model.predict_proba(x_test)[:, 1]
    else:
        from sklearn import ensemble

        fit = lambda: getattr(ensemble, who)(100, n_jobs=threads, random_state=1).fit(x, y)
        answer = lambda model: model.predict_proba(x_test)[:, 1]
    usage = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    wall, cpu = time.perf_counter(), usage()
    model = fit()
    cpu, wall = usage() - cpu, time.perf_counter() - wall
    start = time.perf_counter()
    answers = answer(model)
    print(json.dumps({"cpu_s": cpu, "wall_s": wall, "predict_s": time.perf_counter() - start}))
    np.asarray(answers, dtype="<f8").tofile(f"{folder}/answers.f64")


def measured(command, folder, threads):
    from sklearn.metrics import accuracy_score, roc_auc_score

    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    result = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    truth = np.fromfile(f"{folder}/test.f64", dtype="<f8")
    answers = np.fromfile(f"{folder}/answers.f64", dtype="<f8")
    truth = truth[-len(answers):]
    return {**result, "auc": roc_auc_score(truth, answers), "accuracy": accuracy_score(truth, answers > 0.5)}


def duel(title, folder, ours, theirs, rounds, threads=1):
    """Runs both sides `rounds` times each way and prints the medians."""
    other = [sys.executable, os.path.abspath(__file__), "--child", theirs, folder, str(threads)]
    runs = {"cupola": [], theirs: []}
    for turn in range(rounds):
        order = [("cupola", [*ours, f"threads={threads}"]), (theirs, other)]
        for name, command in order if turn % 2 == 0 else order[::-1]:
            runs[name].append(measured(command, folder, threads))
    print(f"\n{title}, {threads} thread(s), {rounds} runs each")
    median = lambda name, key: float(np.median([run.get(key, float("nan")) for run in runs[name]]))
    for name in runs:
        keys = ("cpu_s", "wall_s", "predict_s", "one_row_us", "auc", "accuracy")
        print(f"  {name:24}" + "  ".join(f"{key} {median(name, key):.4f}" for key in keys))
    print("  ratio theirs / ours:     " + "  ".join(f"{key} {median(theirs, key) / median('cupola', key):.2f}" for key in ("cpu_s", "wall_s", "predict_s")))


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], sys.argv[3], int(sys.argv[4]), {})
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--adult")
    parser.add_argument("what", nargs="*")
    options = parser.parse_intermixed_args()
    what = options.what or ["speed", "threads", "adult", "forest"]
    import lightgbm
    import sklearn

    print(f"lightgbm {lightgbm.__version__}, scikit-learn {sklearn.__version__}, numpy {np.__version__}")
    gbdt = ["n_estimators=100", "early_stopping_rounds=0"]
    with tempfile.TemporaryDirectory() as folder:
        if {"speed", "threads"} & {*what}:
            dense(folder, 200_000, 28, 10, 7)
        for threads in [1] * ("speed" in what) + [2] * ("threads" in what):
            duel("200k x 28, 100 trees", folder, [options.binary, folder, "gbdt", *gbdt], "lightgbm", options.rounds, threads)
        if "adult" in what and options.adult:
            adult(folder, options.adult)
            for other in ("lightgbm", "hist"):
                duel("adult", folder, [options.binary, folder, "gbdt", *gbdt], other, 2)
        if "forest" in what:
            dense(folder, 20_000, 20, 10, 7)
            duel("forest 20k x 20", folder, [options.binary, folder, "forest"], "RandomForestClassifier", 2)
            duel("extra trees 20k x 20", folder, [options.binary, folder, "extra_trees"], "ExtraTreesClassifier", 2)


if __name__ == "__main__":
    main()
