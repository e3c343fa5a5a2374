"""Measures of sets of labels as scikit-learn gives them, for random rows with ties, empty and full sets, and weights.

Run by hand: python3 parity/labels.py (scikit-learn 1.5 or newer); it writes crates/metrics/parity/labels.json.
"""

import json
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn import metrics

warnings.filterwarnings("ignore")
rng = np.random.default_rng(6)
cases = []
for case in range(24):
    rows, labels = int(rng.integers(1, 40)), int(rng.integers(2, 8))
    truth = rng.random((rows, labels)) < rng.choice([0.1, 0.4, 0.9])
    # Sixteenths make ties, which ranks must treat as scikit-learn does.
    probability = rng.integers(0, 17, (rows, labels))
    answer = probability / 16 >= rng.choice([0.3, 0.5, 0.8])
    weight = None if case % 3 else rng.integers(1, 5, rows)
    extra = {} if weight is None else {"sample_weight": weight}
    t, a, p = truth.astype(int), answer.astype(int), probability / 16
    cases.append({
        "labels": labels,
        "truth": "".join("01"[x] for x in t.ravel()),
        "answer": "".join("01"[x] for x in a.ravel()),
        "probability": [int(x) for x in probability.ravel()],
        "weight": None if weight is None else [int(x) for x in weight],
        "expected": {
            "f1_micro": metrics.f1_score(t, a, average="micro", zero_division=0, **extra),
            "f1_macro": metrics.f1_score(t, a, average="macro", zero_division=0, **extra),
            "f1_samples": metrics.f1_score(t, a, average="samples", zero_division=0, **extra),
            "jaccard_samples": metrics.jaccard_score(t, a, average="samples", zero_division=0, **extra),
            "subset_accuracy": metrics.accuracy_score(t, a, **extra),
            "hamming_loss": metrics.hamming_loss(t, a, **extra),
            "label_ranking_average_precision": metrics.label_ranking_average_precision_score(t, p, **extra),
            "coverage_error": metrics.coverage_error(t, p, **extra),
        },
    })
here = pathlib.Path(__file__).parent.parent / "crates" / "metrics" / "parity"
(here / "labels.json").write_text(json.dumps({"sklearn": sklearn.__version__, "cases": cases}) + "\n")
