"""Writes crates/metrics/parity/metrics.json: random cases with the values that scikit-learn gives them.

Run by hand, from the repository root: `python parity/metrics.py`. The Rust test reads the file and must agree to 1e-9.

Where scikit-learn refuses what we define (a true class that the model does not know, a class without rows), the values come
from its own functions on one class against the rest, averaged as our documentation says. Calibration error is not in
scikit-learn; the function below is the oracle. Weights and true numbers are multiples of 1/8, so that sums that are zero by
nature are zero in floating point too.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics as sk

warnings.filterwarnings("ignore")
NAMES = ["a", "b", "c", "d", "e", "f"]
UNSEEN = "zz"
rng = np.random.default_rng(20240607)


def calibration_error(right, confidence, weight, bins):
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weight * (right - confidence), bins)
    return np.abs(gaps).sum() / weight.sum()


def one_vs_rest(measure, truth, classes, scores, weight):
    return np.array([measure(truth == name, scores[:, i], sample_weight=weight) for i, name in enumerate(classes)], float)


def mean_of(values, truth, classes, weight, average, skips_absent):
    mass = np.array([weight[truth == name].sum() for name in classes])
    if average == "weighted":
        kept = mass > 0
        return np.average(values[kept], weights=mass[kept]) if kept.any() else np.nan
    if skips_absent:
        values = values[mass > 0]
    return values.mean() if len(values) else np.nan


def ranked(expected, truth, classes, scores, weight, ones):
    if len(classes) == 2:
        positive = truth == classes[1]
        expected["roc_auc"] = sk.roc_auc_score(positive, scores[:, 1], sample_weight=weight)
        expected["average_precision"] = sk.average_precision_score(positive, scores[:, 1], sample_weight=weight)
        return
    for name, measure, skips in (("roc_auc", sk.roc_auc_score, False), ("average_precision", sk.average_precision_score, True)):
        values = one_vs_rest(measure, truth, classes, scores, weight)
        for average in ("macro", "weighted"):
            value = mean_of(values, truth, classes, ones, average, skips)
            if set(truth) == set(classes) and (ones > 0).all():
                options = {"multi_class": "ovr"} if name == "roc_auc" else {}
                whole = measure(truth, scores, sample_weight=weight, average=average, **options)
                assert np.isclose(whole, value, rtol=1e-12, equal_nan=True)
            expected[f"{name} average={average}"] = value


def probabilistic(expected, truth, classes, scores, weight, ones):
    if set(truth) <= set(classes):
        expected["log_loss"] = sk.log_loss(truth, scores, labels=classes, sample_weight=weight)
        expected["brier"] = sk.brier_score_loss(truth, scores, labels=classes, sample_weight=weight)
    else:
        eps = np.finfo(float).eps
        known = np.array([[name == true for name in classes] for true in truth], float)
        unknown = 1 - known.sum(axis=1)
        chosen = np.clip((known * scores).sum(axis=1), eps, 1 - eps)
        expected["log_loss"] = np.average(-np.log(chosen), weights=ones)
        square = ((known - scores) ** 2).sum(axis=1) + unknown
        expected["brier"] = np.average(square, weights=ones) * (0.5 if len(classes) == 2 else 1)


def hard(expected, truth, said, classes, weight):
    expected["accuracy"] = sk.accuracy_score(truth, said, sample_weight=weight)
    expected["balanced_accuracy"] = sk.balanced_accuracy_score(truth, said, sample_weight=weight)
    expected["mcc"] = sk.matthews_corrcoef(truth, said, sample_weight=weight)
    expected["kappa"] = sk.cohen_kappa_score(truth, said, sample_weight=weight)
    for name, measure in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        for average in ("micro", "macro", "weighted"):
            expected[f"{name} average={average}"] = measure(truth, said, average=average, sample_weight=weight)
        if len(classes) == 2:
            binary = measure(truth == classes[1], said == classes[1], pos_label=True, sample_weight=weight)
            expected[f"{name} average=binary"] = binary
        expected[f"{name} average=auto"] = expected[f"{name} average={'binary' if len(classes) == 2 else 'macro'}"]


def weights(n):
    if rng.random() < 0.5:
        return None
    weight = rng.integers(0 if rng.random() < 0.3 else 1, 33, n)
    return weight if weight.sum() > 0 else None


def scores_of(n, k, truth_codes):
    scale = int(rng.choice([4, 10, 1000]))
    skill = rng.choice([0.0, 0.5, 2.0])
    logits = rng.normal(size=(n, k)) + skill * np.eye(k)[truth_codes]
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    parts = np.floor(share * scale).astype(int)
    parts[np.arange(n), rng.integers(0, k, n)] += scale - parts.sum(axis=1)
    return scale, parts


def class_case(n, k):
    classes = NAMES[:k]
    shares = rng.dirichlet(np.ones(k) * rng.choice([0.3, 3.0]))
    codes = rng.choice(k, n, p=shares)
    scale, parts = scores_of(n, k, codes)
    if rng.random() < 0.08:
        parts = np.eye(k, dtype=int)[codes] * scale
    truth = np.array(classes, dtype=object)[codes]
    if rng.random() < 0.15:
        truth[rng.random(n) < 0.15] = UNSEEN
    truth = truth.astype(str)
    weight = weights(n)
    scores = parts / scale
    used = None if weight is None else weight / 8
    ones = np.ones(n) if used is None else used
    # Of equally probable classes the first in the answer's order is said.
    order = rng.permutation(k)
    said = np.array(classes)[order][scores[:, order].argmax(axis=1)]
    expected = {}
    hard(expected, truth, said, classes, used)
    ranked(expected, truth, classes, scores, used, ones)
    probabilistic(expected, truth, classes, scores, used, ones)
    for bins in (10, 3):
        expected[f"calibration_error bins={bins}"] = calibration_error(truth == said, scores.max(axis=1), ones, bins)
    return {
        "classes": "".join(classes),
        "answered": "".join(classes[i] for i in order),
        "truth": " ".join(truth),
        "scale": scale,
        "values": parts[:, order].ravel().tolist(),
        "weight": None if weight is None else weight.tolist(),
        "expected": expected,
    }


def number_case(n):
    truth = rng.integers(-40, 41, n) if rng.random() < 0.8 else np.full(n, rng.integers(-8, 9))
    values = np.round(truth / 8 + rng.normal(scale=rng.choice([0.2, 2.0]), size=n), 2)
    if rng.random() < 0.1:
        values = truth / 8
    weight = weights(n)
    used = None if weight is None else weight / 8
    actual = truth / 8
    expected = {
        "mse": sk.mean_squared_error(actual, values, sample_weight=used),
        "rmse": sk.root_mean_squared_error(actual, values, sample_weight=used),
        "mae": sk.mean_absolute_error(actual, values, sample_weight=used),
        "mape": sk.mean_absolute_percentage_error(actual, values, sample_weight=used),
        "r2": sk.r2_score(actual, values, sample_weight=used),
    }
    return {"truth": truth.tolist(), "values": values.tolist(), "weight": None if weight is None else weight.tolist(), "expected": expected}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (float, np.floating)):
        return None if not np.isfinite(value) else float(f"{value:.12g}")
    return value


def main():
    classes = [class_case(n, k) for k, count in ((2, 90), (3, 35), (4, 20), (5, 10), (6, 25)) for n in sizes(count)]
    numbers = [number_case(n) for n in sizes(80)]
    versions = {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__}
    cases = ",\n".join(json.dumps(plain(case), separators=(",", ":")) for case in classes)
    more = ",\n".join(json.dumps(plain(case), separators=(",", ":")) for case in numbers)
    text = f'{{"versions":{json.dumps(versions)},\n"classes":[\n{cases}\n],\n"numbers":[\n{more}\n]}}\n'
    Path("crates/metrics/parity/metrics.json").write_text(text)
    print(len(classes) + len(numbers), "cases,", len(text), "bytes")


def sizes(count):
    return [1, 2, 3] + rng.integers(4, 61, count - 3).tolist()


main()
