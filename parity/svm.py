"""Writes svm.json: small problems with the decision values of scikit-learn's SVC and SVR, its pairwise probabilities and their coupling, and
Platt's sigmoid, for the tests of the support vector machine.

Run by hand: python parity/svm.py (numpy, scikit-learn 1.9).
"""

import json
import pathlib
import warnings

import numpy as np
from sklearn.calibration import _sigmoid_calibration
from sklearn.svm import SVC, SVR

warnings.simplefilter("ignore")
rng = np.random.default_rng(20261130)
machines, sigmoids = [], []
TIGHT = dict(tol=1e-9, cache_size=50)
KERNELS = [
    dict(kernel="rbf"),
    dict(kernel="rbf", gamma=0.7, C=20.0),
    dict(kernel="rbf", gamma="auto", C=0.3),
    dict(kernel="linear", C=0.5),
    dict(kernel="poly", degree=3, coef0=0.7, gamma=0.2),
    dict(kernel="poly", degree=2, gamma="scale"),
    dict(kernel="sigmoid", gamma=0.05, coef0=0.1, C=0.5),
]


def inputs(rows, kind):
    x = rng.normal(size=(rows, 3)) * [1, 0.5, 2]
    if kind == "onehot":
        x = np.hstack([x, np.eye(5)[rng.integers(0, 5, size=rows)]])
    return x.round(3)


def whole(x, at):
    return dict(x=x.tolist(), at=at.tolist())


for kind in ["plain", "onehot"]:
    for classes in [2, 3, 4]:
        rows = 40 + 15 * classes
        x, at = inputs(rows, kind), inputs(7, kind)
        y = np.digitize(x[:, 0] + 0.5 * np.sin(2 * x[:, 1]) + rng.normal(size=rows) * 0.5, np.linspace(-1, 1, classes + 1)[1:-1])
        weight = rng.choice([0.5, 1.0, 2.0], size=rows).tolist() if kind == "onehot" else None
        fits = []
        for settings in KERNELS:
            model = SVC(decision_function_shape="ovo", **settings, **TIGHT).fit(x, y, sample_weight=weight)
            decisions = model.decision_function(at).reshape(len(at), -1)
            # With two classes scikit-learn turns LIBSVM's sign.
            decisions = -decisions if classes == 2 else decisions
            fits.append(dict(settings=settings, decisions=decisions.round(9).tolist(), vectors=int(model.n_support_.sum())))
        model = SVC(decision_function_shape="ovo", probability=True, random_state=1, **TIGHT).fit(x, y, sample_weight=weight)
        decisions = model.decision_function(at).reshape(len(at), -1) * (-1 if classes == 2 else 1)
        chances = dict(
            decisions=decisions.tolist(), sigmoids=np.stack([model.probA_, model.probB_], 1).tolist(), answers=model.predict_proba(at).tolist()
        )
        machines.append(dict(name=f"{kind} {classes}", classes=classes, y=y.tolist(), weight=weight, **whole(x, at), fits=fits, chances=chances))
    rows = 60
    x, at = inputs(rows, kind), inputs(7, kind)
    y = (x[:, 0] - np.cos(x[:, 1] * 3) + rng.normal(size=rows) * 0.3).round(3)
    weight = rng.choice([0.5, 1.0, 2.0], size=rows).tolist() if kind == "onehot" else None
    fits = []
    for settings in KERNELS + [dict(kernel="rbf", epsilon=0.0), dict(kernel="rbf", epsilon=0.5, C=5.0)]:
        model = SVR(**settings, **TIGHT).fit(x, y, sample_weight=weight)
        fits.append(dict(settings=settings, decisions=model.predict(at).reshape(-1, 1).round(9).tolist(), vectors=int(model.n_support_[0])))
    machines.append(dict(name=f"{kind} numbers", classes=None, y=y.tolist(), weight=weight, **whole(x, at), fits=fits, chances=None))

for rows, weighted in [(30, False), (200, True), (12, False)]:
    y = rng.integers(0, 2, size=rows)
    decisions = (rng.normal(size=rows) + 1.5 * y - 0.3).round(3)
    weight = rng.choice([0.5, 1.0, 2.0], size=rows) if weighted else None
    a, b = _sigmoid_calibration(decisions, y, sample_weight=weight)
    # scikit-learn takes f - b into its sigmoid, LIBSVM's is a f + b; both of the class 1.
    weight = None if weight is None else weight.tolist()
    sigmoids.append(dict(decisions=decisions.tolist(), y=y.tolist(), weight=weight, a=float(a), b=float(b)))

path = pathlib.Path(__file__).parent.parent / "crates/classic/parity/svm.json"
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in machines)
text = '{"machines":[\n' + lines + '\n],\n"sigmoids":' + json.dumps(sigmoids, separators=(",", ":")) + "}\n"
path.write_text(text)
print(path, len(machines), "machines", len(text), "bytes")
