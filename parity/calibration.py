"""Golden numbers for calibration, thresholds, conformal prediction and costs.

    pip install scikit-learn==1.9.1 mapie==1.6.0 numpy && python parity/calibration.py

writes crates/train/src/postprocess/parity.json. Probabilities are skewed on purpose, so that calibration has something to do.
"""
import json
import pathlib

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import precision_recall_curve, roc_curve

OUT = pathlib.Path(__file__).parent.parent / "crates/train/src/postprocess/parity.json"


class Fixed(ClassifierMixin, BaseEstimator):
    """Answers with the log odds of the probabilities that stand in its inputs."""

    def __init__(self, classes):
        self.classes = classes

    def fit(self, x, y):
        self.classes_ = np.arange(self.classes)
        self.n_features_in_ = x.shape[1]
        return self

    def decision_function(self, x):
        odds = np.log(x / (1 - x))
        return odds[:, 1] if self.classes == 2 else odds

    def predict(self, x):
        return x.argmax(axis=1)


class Plain(Fixed):
    """Answers with the probabilities themselves, as isotonic maps take them."""

    def decision_function(self, x):
        return x[:, 1] if self.classes == 2 else x


def world(rng, rows, classes):
    true = rng.normal(size=(rows, classes)) * 1.5
    p = np.exp(true)
    p /= p.sum(axis=1, keepdims=True)
    y = np.array([rng.choice(classes, p=row) for row in p])
    skewed = np.exp(2.2 * true + np.linspace(0, 0.8, classes))
    skewed /= skewed.sum(axis=1, keepdims=True)
    return np.round(skewed, 4).clip(0.0001, 0.9999), y


def calibrated(kind, method, classes, fit, y, weight, new):
    model = kind(classes).fit(fit, y)
    wrapped = CalibratedClassifierCV(FrozenEstimator(model), method=method, ensemble=False)
    wrapped.fit(fit, y, sample_weight=weight)
    return wrapped.predict_proba(new)


def lac(scores, y, level):
    n = len(y)
    k = int(np.ceil((n + 1) * level))
    return float(np.sort(1 - scores[np.arange(n), y])[k - 1])


def aps(scores, y, level):
    order = np.argsort(-scores, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(scores, order, axis=1), axis=1)
    place = (order == y[:, None]).argmax(axis=1)
    n = len(y)
    k = int(np.ceil((n + 1) * level))
    return float(np.sort(sums[np.arange(n), place])[k - 1])


def mapie_lac(fit, y, new, level):
    from mapie.classification import SplitConformalClassifier

    class Probable(Fixed):
        def predict_proba(self, x):
            return x / x.sum(axis=1, keepdims=True)

    model = Probable(fit.shape[1]).fit(fit, y)
    conformal = SplitConformalClassifier(model, confidence_level=level, conformity_score="lac", prefit=True)
    conformal.conformalize(fit, y)
    _, sets = conformal.predict_set(new)
    return sets[:, :, 0].astype(int).tolist()


def mapie_numbers(answers, truth, new, level):
    from mapie.regression import SplitConformalRegressor
    from sklearn.base import RegressorMixin

    class Echo(RegressorMixin, BaseEstimator):
        def fit(self, x, y):
            self.n_features_in_ = 1
            self.fitted_ = True
            return self

        def predict(self, x):
            return np.asarray(x)[:, 0]

    model = Echo().fit(answers[:, None], truth)
    conformal = SplitConformalRegressor(model, confidence_level=level, prefit=True)
    conformal.conformalize(answers[:, None], truth)
    _, ends = conformal.predict_interval(new[:, None])
    return ends[:, :, 0].tolist()


def thresholds(scores, y):
    precision, recall, at = precision_recall_curve(y, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = f1[:-1].max()
    false, true, cut = roc_curve(y, scores, drop_intermediate=False)
    youden = true - false
    cost = lambda t: sum((5.0 if truth else 1.0) * ((s >= t) != bool(truth)) for s, truth in zip(scores, y))
    costs = {float(t): cost(t) for t in np.unique(scores)}
    return {
        "f1": float(best),
        "f1_at": [float(t) for t, value in zip(at, f1[:-1]) if abs(value - best) < 1e-12],
        "youden_at": [float(t) for t, value in zip(cut, youden) if abs(value - youden.max()) < 1e-12],
        "cost_at": [t for t, value in costs.items() if value == min(costs.values())],
    }


def main():
    rng = np.random.default_rng(11)
    cases = []
    for classes, rows in [(2, 300), (3, 400), (2, 60)]:
        fit, y = world(rng, rows, classes)
        new, _ = world(rng, 12, classes)
        weight = np.round(rng.uniform(0.2, 2.0, rows), 3)
        if classes == 2:
            fit[:, 0], new[:, 0] = 1 - fit[:, 1], 1 - new[:, 1]
        for w in (None, weight):
            case = {"classes": classes, "values": fit.ravel().tolist(), "truth": y.tolist(), "new": new.ravel().tolist()}
            case["weight"] = None if w is None else w.tolist()
            case["sigmoid"] = calibrated(Fixed, "sigmoid", classes, fit, y, w, new).ravel().tolist()
            case["isotonic"] = calibrated(Plain, "isotonic", classes, fit, y, w, new).ravel().tolist()
            if classes == 2:
                direct = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(fit[:, 1], y, sample_weight=w).predict(new[:, 1])
                assert np.allclose(direct, np.array(case["isotonic"]).reshape(-1, 2)[:, 1], atol=1e-12)
            if w is None:
                case["lac"] = lac(fit, y, 0.9)
                case["aps"] = aps(fit, y, 0.9)
                if classes > 2:
                    normed = fit / fit.sum(axis=1, keepdims=True)
                    case["normed"] = normed.ravel().tolist()
                    case["new_normed"] = (new / new.sum(axis=1, keepdims=True)).ravel().tolist()
                    case["mapie_sets"] = mapie_lac(fit, y, new, 0.9)
                if classes == 2:
                    case["thresholds"] = thresholds(fit[:, 1], y)
            cases.append(case)
    answers = np.round(rng.normal(size=80) * 10, 3)
    truth = np.round(answers + rng.standard_t(4, size=80), 3)
    new = np.array([0.0, 3.5, -20.25])
    numbers = {"values": answers.tolist(), "truth": truth.tolist(), "new": new.tolist(), "ends": mapie_numbers(answers, truth, new, 0.9)}
    OUT.write_text(json.dumps({"cases": cases, "numbers": numbers}))
    print(OUT, OUT.stat().st_size)


main()
