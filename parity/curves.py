"""Writes crates/train/parity/curves.json: what scikit-learn and PyALE say about a known function of three columns.

Run by hand, from the repository root: `python parity/curves.py`. The Rust test asks its own code about the same function on the same rows.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import PyALE
import sklearn
from PyALE._src.ALE_1D import aleplot_1D_continuous
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence, permutation_importance

warnings.filterwarnings("ignore")
COLUMNS = ["a", "b", "c"]


class Known(RegressorMixin, BaseEstimator):
    def fit(self, x, y):
        self.is_fitted_ = True
        return self

    def predict(self, x):
        a, b, c = np.asarray(x, dtype=float).T
        return 2 * a + a * b + np.sin(3 * b) + 1.5 * (c > 2)


def main():
    rng = np.random.default_rng(5)
    x = pd.DataFrame({"a": np.round(rng.normal(size=150), 3), "b": np.round(rng.normal(size=150) * 2, 3), "c": rng.integers(0, 6, 150).astype(float)})
    model = Known().fit(x, None)
    y = np.round(model.predict(x) + rng.normal(size=150) * 0.3, 3)
    curves = []
    for place, name in enumerate(COLUMNS):
        found = partial_dependence(model, x, [place], method="brute", kind="both", grid_resolution=12)
        ale = aleplot_1D_continuous(x, model, name, grid_size=10, include_CI=False)
        curves.append({"column": name, "grid": found["grid_values"][0].tolist(), "mean": found["average"][0].tolist(),
                       "first_rows": found["individual"][0][:3].tolist(), "edges": ale.index.tolist(), "effect": ale["eff"].tolist(),
                       "sizes": ale["size"].astype(int).tolist()[1:]})
    shuffled = permutation_importance(model, x, y, scoring="neg_root_mean_squared_error", n_repeats=400, random_state=1)
    text = {"versions": {"scikit-learn": sklearn.__version__, "PyALE": PyALE.__version__ if hasattr(PyALE, "__version__") else "1"}, "columns": x.to_dict("list"), "y": y.tolist(), "curves": curves,
            "importance": shuffled.importances_mean.tolist(), "deviation": shuffled.importances_std.tolist()}
    path = Path("crates/train/parity/curves.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(text, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
