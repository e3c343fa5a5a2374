"""Writes linear.json: small problems with scikit-learn's answers, for the tests of the linear models.

Run by hand: python parity/linear.py (numpy, scikit-learn 1.9).
"""

import json
import pathlib
import warnings

import numpy as np
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge

cases = []


def inputs(rng, rows, width, kind):
    """Rows to learn from, and rows to answer, some of which lie outside what the first ones span."""
    x = (rng.normal(size=(rows, width)) * rng.uniform(0.3, 3, size=width)).round(4)
    more = (rng.normal(size=(width + 3, width)) * 2).round(4)
    if kind == "onehot":
        codes = rng.integers(0, 5, size=rows)
        x = np.hstack([x, np.eye(5)[codes]])
        more = np.hstack([more, np.eye(6)[rng.integers(0, 6, size=len(more))][:, :5]])
    if kind == "twins":
        x = np.hstack([x, x[:, :1] * 2, x[:, :1] - x[:, 1:2], np.full((rows, 1), 3.0)])
        more = np.hstack([more, rng.normal(size=(len(more), 3)).round(4)])
    if kind == "offset":
        x, more = x + 1000, more + 1000
    return x, more


def add(name, x, y, weight, more, classes, fits):
    """Each fit is (model, settings, answers for the first five rows and those of `more`)."""
    fits = [dict(model=model, settings=settings, answers=answers.round(12).tolist()) for model, settings, answers in fits]
    x, more = x.round(4).tolist(), more.round(4).tolist()
    cases.append(dict(name=name, x=x, y=y.tolist(), weight=weight, more=more, classes=classes, fits=fits))


def fit(model, x, y, weight):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(x, y, sample_weight=weight)


def regressions(rng, kind, rows, width, weighted):
    x, more = inputs(rng, rows, width, kind)
    fits = []
    y = (x @ rng.normal(size=x.shape[1]) + rng.normal(size=rows) * 2 + 7).round(4)
    weight = rng.choice([0.0, 0.5, 1.0, 2.5], size=rows).tolist() if weighted else None
    tight = dict(tol=1e-15, max_iter=1000000)
    for model, estimator, settings in [
        ("linear", LinearRegression(), {}),
        ("linear", LinearRegression(fit_intercept=False), dict(fit_intercept=False)),
        ("ridge", Ridge(alpha=0.7), dict(alpha=0.7)),
        ("ridge", Ridge(alpha=20, fit_intercept=False), dict(alpha=20, fit_intercept=False)),
        ("lasso", Lasso(alpha=0.2, **tight), dict(alpha=0.2, tol=1e-14)),
        ("lasso", Lasso(alpha=0.9, fit_intercept=False, **tight), dict(alpha=0.9, fit_intercept=False, tol=1e-14)),
        ("elastic_net", ElasticNet(alpha=0.3, l1_ratio=0.3, **tight), dict(alpha=0.3, l1_ratio=0.3, tol=1e-14)),
    ]:
        if kind == "twins" and model == "lasso":
            continue  # Its coefficients are not unique there.
        if kind == "offset" and model != "ridge" and not settings.get("fit_intercept", True):
            continue  # Lost in the offset on either side.
        answers = fit(estimator, x, y, weight).predict(np.vstack([x[:5], more]))
        fits.append((model, settings, answers))
    add(kind, x, y, weight, more, None, fits)


def classes(rng, kind, rows, width, weighted, count):
    x, more = inputs(rng, rows, width, kind)
    fits = []
    margins = x @ rng.normal(size=(x.shape[1], count)) * 0.7 + rng.gumbel(size=(rows, count))
    y = margins.argmax(axis=1)
    weight = rng.choice([0.5, 1.0, 2.5], size=rows).tolist() if weighted else None
    # The default solver stops up to 1e-6 short of the optimum at any tolerance; this one reaches it.
    tight = dict(tol=1e-13, max_iter=1000, solver="newton-cholesky")
    for settings in [dict(), dict(C=0.05), dict(C=30.0, fit_intercept=False)]:
        model = fit(LogisticRegression(**settings, **tight), x, y, weight)
        answers = model.predict_proba(np.vstack([x[:5], more]))
        found = sorted(set(y.tolist()))
        whole = np.zeros((len(answers), count))
        whole[:, found] = answers
        fits.append(("logistic", dict(settings, tol=1e-13), whole))
    add(f"{kind} {count} classes", x, y, weight, more, count, fits)


rng = np.random.default_rng(20240607)
for kind in ["plain", "onehot", "twins", "offset"]:
    for weighted in [False, True]:
        regressions(rng, kind, int(rng.integers(25, 50)), int(rng.integers(2, 5)), weighted)
        if kind != "offset":
            for count in [2, 3, 5]:
                classes(rng, kind, int(rng.integers(30, 60)), int(rng.integers(2, 5)), weighted, count)
text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n"
path = pathlib.Path(__file__).with_name("linear.json")
path.write_text(text)
print(path, len(cases), "cases", len(text), "bytes")
