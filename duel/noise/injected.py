"""How well `cupola data noise` finds labels that were changed: AUROC of 1 - self-confidence on real tables with 10 % and 20 % of the labels changed
at random, and cleanlab's on the same rows with scikit-learn's histogram boosting:

    python duel/noise/injected.py CUPOLA

Needs scikit-learn, pandas and cleanlab. Writes duel/noise/results.json.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd
from cleanlab.rank import get_label_quality_scores
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

root = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import turns  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
WITH = turns.measured_with(HERE, sys.executable, ["scikit-learn", "pandas", "cleanlab"])
cupola = pathlib.Path(sys.argv[1]).resolve()
folder = pathlib.Path(tempfile.mkdtemp())


def sk(load):
    frame = load(as_frame=True).frame.rename(columns={"target": "y"})
    frame["y"] = "class" + frame["y"].astype(str)
    return frame


def adult():
    frame = pd.read_csv(root / "data/adult.csv.gz").sample(5000, random_state=1).reset_index(drop=True)
    return frame.rename(columns={frame.columns[-1]: "y"})


def penguins():
    return pd.read_csv(root / "data/penguins.csv").rename(columns={"species": "y"})


TABLES = {"breast_cancer": lambda: sk(load_breast_cancer), "wine": lambda: sk(load_wine), "digits": lambda: sk(load_digits), "penguins": penguins, "adult 5000": adult}
results = []
for name, make in TABLES.items():
    for share in (0.1, 0.2):
        frame = make()
        rng = np.random.default_rng(5)
        classes = sorted(frame["y"].unique())
        changed = rng.random(len(frame)) < share
        place = frame["y"].map({c: i for i, c in enumerate(classes)}).to_numpy(copy=True)
        place[changed] = (place[changed] + rng.integers(1, len(classes), changed.sum())) % len(classes)
        frame["y"] = np.array(classes)[place]
        frame.to_csv(folder / "noisy.csv", index=False)
        began = time.time()
        command = [cupola, "--json", "-q", "data", "noise", folder / "noisy.csv", "target=y", "all=true"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        seconds = time.time() - began
        score, suspect = np.zeros(len(frame)), np.zeros(len(frame), bool)
        for row in answer["ranked"]:
            score[row["row"] - 1], suspect[row["row"] - 1] = row["self_confidence"], row["is_suspect"]
        inputs = frame.drop(columns="y")
        inputs = inputs.apply(lambda c: c if c.dtype.kind in "if" else c.astype("category"))
        began = time.time()
        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
        probabilities = cross_val_predict(model, inputs, place, cv=5, method="predict_proba")
        other = get_label_quality_scores(place, probabilities)
        row = {
            "table": name, "rows": len(frame), "changed": share, "cupola": roc_auc_score(changed, -score), "cleanlab": roc_auc_score(changed, -other),
            "suspects": int(suspect.sum()), "precision": float(changed[suspect].mean()), "recall": float(suspect[changed].mean()),
            "seconds": seconds, "cleanlab_seconds": time.time() - began, **WITH,
        }
        results.append(row)
        (pathlib.Path(__file__).parent / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
