"""Writes knn.json: small problems with the answers of scikit-learn's nearest neighbours, for the tests of ours. No two rows are equally far
from a third, so that the order among equals does not matter.

Run by hand: python parity/knn.py (numpy, scikit-learn 1.9).
"""

import json
import pathlib

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

rng = np.random.default_rng(11)
cases = []
SETTINGS = [
    {},
    dict(n_neighbors=3, weights="distance"),
    dict(n_neighbors=7, metric="manhattan", weights="distance"),
    dict(n_neighbors=4, metric="chebyshev"),
    dict(n_neighbors=6, p=3.5, weights="distance"),
    dict(n_neighbors=6, p=1),
    dict(n_neighbors=5, metric="cosine", weights="distance"),
]

for width in [2, 14]:
    x, at = rng.normal(size=(90, width)).round(5), rng.normal(size=(12, width)).round(5)
    at[0] = x[5]  # A row at distance 0.
    y = (x[:, 0] - x[:, 1] ** 2 + rng.normal(size=90) * 0.3).round(4)
    code = np.digitize(y, [-1.5, 0])
    fits = []
    for settings in SETTINGS:
        numbers = KNeighborsRegressor(algorithm="brute", **settings).fit(x, y).predict(at)
        classes = KNeighborsClassifier(algorithm="brute", **settings).fit(x, code).predict_proba(at)
        said = " ".join(f"{name}={value}" for name, value in settings.items())
        fits.append(dict(settings=said, numbers=numbers.round(12).tolist(), classes=classes.round(12).tolist()))
    cases.append(dict(x=x.tolist(), at=at.tolist(), y=y.tolist(), code=code.tolist(), fits=fits))

path = pathlib.Path(__file__).parent.parent / "crates/classic/parity/knn.json"
text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n"
path.write_text(text)
print(path, len(cases), "cases", len(text), "bytes")
