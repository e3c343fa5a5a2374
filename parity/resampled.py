"""The corrected resampled t-test (Nadeau and Bengio 2003) by SciPy, as scikit-learn's example "Statistical comparison of models using grid search" computes it.

Usage: resampled.py > ../crates/train/src/resampled.json      (SciPy 1.17)
"""

import json
import sys

import numpy as np
from scipy.stats import t


def corrected_std(differences, n_train, n_test):
    """Of that example: the square root of (1/kr + n_test/n_train) times the variance."""
    return np.sqrt(np.var(differences, ddof=1) * (1 / len(differences) + n_test / n_train))


chance = np.random.default_rng(7)
cases = []
for folds, repeats, effect in [(2, 1, 0.1), (3, 1, 0.0), (5, 1, 0.02), (10, 1, 0.004), (5, 2, 0.01), (10, 10, 0.002), (10, 10, -0.006), (3, 5, 0.05)]:
    values = effect + 0.01 * chance.standard_normal(folds * repeats)
    n_test, n_train = 100, 100 * (folds - 1)
    for level in [0.95, 0.8]:
        mean, std, freedom = values.mean(), corrected_std(values, n_train, n_test), len(values) - 1
        reach = t.ppf(0.5 + level / 2, freedom) * std
        cases.append(
            {
                "differences": [float(value) for value in values],
                "ratio": n_test / n_train,
                "level": level,
                "mean": float(mean),
                "low": float(mean - reach),
                "high": float(mean + reach),
                "p": float(2 * t.sf(abs(mean / std), freedom)),
            }
        )
json.dump(cases, sys.stdout)
sys.stdout.write("\n")
