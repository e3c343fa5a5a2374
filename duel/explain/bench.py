"""SHAP values and SHAP interaction values of 1,000 rows: Cupola beside `shap` and LightGBM's own `pred_contrib`, on models of equal size.

Usage: bench.py PATH/TO/gbdt_speed [--rounds N] [--threads N] [--rows N]

`gbdt_speed` is `cargo build --release -p cupola-classic --example gbdt_speed`. Each side trains its own model on the same table with the same
settings (300 trees of 31 leaves, 28 columns; a forest of 100 trees), then explains the first 1,000 test rows; only that is timed, the faster of two
calls. Every run is a process of its own, in the order A B B A. `tree_path_dependent` is exact against what training saw, `interventional`
exact against 100 rows. `shap` works on one thread; of a forest and of interactions it gets a twentieth of the rows, whose time
counts twenty times; of a forest's interactions, some seven seconds a row, one in five hundred.
Writes results.json when all rows are run.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BEHIND = 100


def write(folder):
    from sklearn.datasets import make_classification

    x, y = make_classification(25_000, 28, n_informative=10, n_redundant=2, n_clusters_per_class=8, class_sep=0.5, flip_y=0.05, random_state=7)
    x = x.astype("f4").astype("f8")
    with open(f"{folder}/columns.txt", "w") as file:
        file.write("number\n" * 28 + "target 2\n")
    for name, part in (("train", slice(20_000)), ("test", slice(20_000, None))):
        np.concatenate([*x[part].T, y[part].astype("<f8")]).astype("<f8").tofile(f"{folder}/{name}.f64")


def read(folder, name):
    columns = np.fromfile(f"{folder}/{name}.f64", dtype="<f8").reshape(29, -1)
    return np.ascontiguousarray(columns[:-1].T), columns[-1]


def best(call):
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def child(who, folder, threads, rows):
    (x, y), (x_test, _) = read(folder, "train"), read(folder, "test")
    some, behind = x_test[:rows], x_test[rows:rows + BEHIND]
    # `shap` takes minutes for all.
    few = some[:max(rows // 20, 1)]
    times = len(some) / len(few)
    import shap

    def pairs(model, share):
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        part = some[:max(rows // share, 1)]
        return len(some) / len(part) * best(lambda: explainer.shap_interaction_values(part))

    if who == "gbdt":
        import lightgbm

        model = lightgbm.LGBMClassifier(n_estimators=300, num_leaves=31, n_jobs=threads, verbose=-1).fit(x, y)
        own = best(lambda: model.booster_.predict(some, pred_contrib=True, num_threads=threads))
        against = shap.TreeExplainer(model, behind, feature_perturbation="interventional")
        rows_s = best(lambda: against.shap_values(some, check_additivity=False))
        print(json.dumps({"shap_path_s": own, "shap_rows_s": rows_s, "interactions_s": pairs(model, 20)}))
    else:
        from sklearn import ensemble

        model = ensemble.RandomForestClassifier(100, n_jobs=threads, random_state=1, min_samples_leaf=5).fit(x, y)
        path = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        print(json.dumps({"shap_path_s": times * best(lambda: path.shap_values(few, check_additivity=False)), "interactions_s": pairs(model, 500)}))


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        write(folder)
        for model, settings in (("gbdt", ["n_estimators=300", "early_stopping_rounds=0"]), ("forest", ["min_samples_leaf=5"])):
            ours = [options.binary, folder, model, *settings, f"threads={options.threads}", f"explain={options.rows}"]
            theirs = [sys.executable, os.path.abspath(__file__), "--child", model, folder, str(options.threads), str(options.rows)]
            runs = {"ours": [], "theirs": []}
            for turn in range(options.rounds):
                order = [("ours", ours), ("theirs", theirs)]
                for name, command in order if turn % 2 == 0 else order[::-1]:
                    runs[name].append(json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout))
            median = lambda side, key: statistics.median(run[key] for run in runs[side])
            for ours_key, their_key, what in (
                ("explain_s", "shap_path_s", "tree_path_dependent"),
                ("explain_rows_s", "shap_rows_s", "interventional, 100 rows"),
                ("interactions_s", "interactions_s", "interactions"),
            ):
                if their_key not in runs["theirs"][0]:
                    continue
                a, b = median("ours", ours_key), median("theirs", their_key)
                results[f"{model}, {what}"] = {"ours_s": round(a, 4), "theirs_s": round(b, 4), "ratio": round(b / a, 1)}
                print(f"{model:8}{what:28} ours {a:9.4f} s   theirs {b:9.4f} s   ratio {b / a:6.1f}", flush=True)
    if options.rows < 1000:
        return print(json.dumps(results))
    here = Path(__file__).resolve().parent
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True).stdout.strip()
    versions = {"cupola": commit} | {package: importlib.metadata.version(package) for package in ("shap", "lightgbm", "scikit-learn")}
    told = {"versions": versions, "threads": options.threads, "rounds": options.rounds, "rows": options.rows, "results": results}
    (here / "results.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
