"""Writes crates/train/src/postprocess/cqr.json (MAPIE's conformalised quantile regression) and crates/classic/parity/quantile.json (LightGBM's
objective `quantile`).

Run by hand, from the repository root: `python parity/cqr.py`. MAPIE gets estimators that answer given bounds, so nothing is drawn or fitted. LightGBM
gets columns of few values, whose splits leave no choice, so that its trees are anybody's; numbers are multiples of 1/64.
"""

import json
import warnings
from pathlib import Path

import lightgbm
import mapie
import numpy as np
from mapie.regression import ConformalizedQuantileRegressor
from sklearn.base import BaseEstimator, RegressorMixin

warnings.filterwarnings("ignore")


class Echo(RegressorMixin, BaseEstimator):
    """Answers one of its inputs."""

    def __init__(self, place=0):
        self.place = place

    def fit(self, x, y):
        self.fitted_ = True
        return self

    def predict(self, x):
        return np.asarray(x)[:, self.place]


def cqr(rows, level, seed, inside):
    rng = np.random.default_rng(seed)
    middle = np.round(rng.normal(size=rows) * 10, 3)
    width = np.round(rng.uniform(0.5, 6, rows) * inside, 3)
    bounds = np.column_stack([middle - width, middle + width, middle])
    truth = np.round(middle + rng.normal(size=rows) * 2, 3)
    new = np.array([[-1.0, 1.0, 0.0], [4.0, 9.5, 7.0], [-20.25, -3.0, -9.0]])
    models = [Echo(place).fit(bounds, truth) for place in range(3)]
    model = ConformalizedQuantileRegressor(models, confidence_level=level, prefit=True)
    model.conformalize(bounds, truth)
    _, ends = model.predict_interval(new, symmetric_correction=True)
    return {"level": level, "bounds": bounds[:, :2].tolist(), "truth": truth.tolist(), "new": new[:, :2].tolist(), "ends": ends[:, :, 0].tolist()}


def table():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, 400).astype(float)
    return x, np.round((x * x + rng.exponential(1 + x)) * 64) / 64


def quantile(alpha, rounds):
    x, y = table()
    settings = dict(objective="quantile", alpha=alpha, num_leaves=4, min_data_in_leaf=5, learning_rate=0.5, n_estimators=rounds, verbose=-1)
    model = lightgbm.LGBMRegressor(**settings).fit(x[:, None], y)
    return {"alpha": alpha, "rounds": rounds, "answers": model.predict(np.arange(4.0)[:, None]).tolist()}


def main():
    cases = [cqr(83, 0.9, 1, 0.4), cqr(200, 0.9, 2, 2.0), cqr(61, 0.8, 3, 1.0)]
    x, y = table()
    quantiles = [quantile(alpha, rounds) for alpha in (0.25, 0.5, 0.9) for rounds in (1, 3, 20)]
    for path, told in [
        ("crates/train/src/postprocess/cqr.json", {"mapie": mapie.__version__, "cases": cases}),
        ("crates/classic/parity/quantile.json", {"lightgbm": lightgbm.__version__, "x": x.tolist(), "y": y.tolist(), "cases": quantiles}),
    ]:
        Path(path).write_text(json.dumps(told) + "\n")
        print(path, Path(path).stat().st_size)


main()
