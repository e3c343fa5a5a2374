"""Writes crates/train/parity/confident.json: what cleanlab finds in labels and probabilities: python parity/confident.py

Needs cleanlab and scikit-learn. Probabilities have six decimals, so that the file is small and both read the same numbers.
"""

import json
import pathlib

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FILTERS = ["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"]


def case(name, labels, probabilities):
    # A little of something random, so that nothing ties: cleanlab leaves the order of ties to chance.
    probabilities = np.round(0.98 * probabilities + 0.02 * rng.dirichlet(np.ones(probabilities.shape[1]), len(labels)), 6)
    issues = {f: [int(i) for i in np.flatnonzero(find_label_issues(labels, probabilities, filter_by=f, n_jobs=1))] for f in FILTERS}
    ranked = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    return {
        "name": name,
        "classes": int(probabilities.shape[1]),
        "labels": [int(l) for l in labels],
        "probabilities": [float(p) for p in probabilities.ravel()],
        "joint": compute_confident_joint(labels, probabilities).tolist(),
        "issues": issues,
        "ranked": [int(i) for i in ranked],
        "self_confidence": [float(s) for s in get_label_quality_scores(labels, probabilities, method="self_confidence")],
        "normalized_margin": [float(s) for s in get_label_quality_scores(labels, probabilities, method="normalized_margin")],
    }


rng = np.random.default_rng(0)
cases = []
for name, load, share, model in [
    ("iris clean", load_iris, 0.0, make_pipeline(StandardScaler(), LogisticRegression())),
    ("iris noisy", load_iris, 0.15, make_pipeline(StandardScaler(), LogisticRegression())),
    ("wine noisy", load_wine, 0.2, GaussianNB()),
    ("four digits, noisy", lambda return_X_y: load_digits(n_class=4, return_X_y=True), 0.1, make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))),
]:
    x, y = load(return_X_y=True)
    keep = rng.permutation(len(y))[:260]
    x, y = x[keep], y[keep]
    noisy = y.copy()
    flip = rng.random(len(y)) < share
    noisy[flip] = (y[flip] + rng.integers(1, y.max() + 1, flip.sum())) % (y.max() + 1)
    cases.append(case(name, noisy, cross_val_predict(model, x, noisy, cv=5, method="predict_proba")))
for name, classes, rows in [("random, two classes", 2, 200), ("random, four classes", 4, 300)]:
    labels = np.r_[np.arange(classes), rng.integers(0, classes, rows - classes)]
    logits = rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[labels]
    cases.append(case(name, labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)))

path = pathlib.Path(__file__).parent.parent / "crates/train/parity/confident.json"
path.parent.mkdir(exist_ok=True)
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
