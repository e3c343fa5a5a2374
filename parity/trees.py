"""Writes crates/classic/parity/trees.json: small tables, and how well LightGBM and scikit-learn do on their test rows.

Run by hand, from the repository root: `python parity/trees.py`. The Rust test fits the same rows with the same settings and
must do as well, less a margin for what chance does (10 seeds of the reference give the spread that is written beside the mean).
Numbers are whole multiples of 1/100 and are written as such, with null where missing; the last columns of `codes` are categories.
"""

import json
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import sklearn
from sklearn import datasets, ensemble, metrics, tree

warnings.filterwarnings("ignore")
SEEDS = range(10)


def tables():
    rng = np.random.default_rng(11)
    x, y = datasets.make_classification(1000, 6, n_informative=4, n_redundant=0, flip_y=0.08, class_sep=0.7, random_state=3)
    codes = rng.integers(0, 12, (1000, 1)).astype(float)
    y = np.where((codes[:, 0] % 4 == 1) & (rng.random(1000) < 0.7), 1, y)
    x[rng.random(x.shape) < 0.05] = np.nan
    codes[rng.random(codes.shape) < 0.05] = np.nan
    yield "binary", x, codes, y, 2
    x, y = datasets.make_classification(900, 8, n_informative=5, n_classes=4, flip_y=0.05, random_state=5)
    yield "classes", x, np.zeros((900, 0)), y, 4
    x, y = datasets.make_friedman1(800, 6, noise=1.0, random_state=2)
    yield "number", x, np.zeros((800, 0)), np.round(y, 2), 0


def references(classes, has_codes):
    kind = "Regressor" if classes == 0 else "Classifier"
    yield "gbdt", "n_estimators=100 early_stopping_rounds=0", lambda seed: getattr(lightgbm, f"LGBM{kind}")(random_state=seed, verbose=-1, n_jobs=1)
    yield "gbdt", "n_estimators=60 early_stopping_rounds=0 num_leaves=8 lambda_l2=2 lambda_l1=0.5 bagging_fraction=0.7 feature_fraction=0.7", \
        lambda seed: getattr(lightgbm, f"LGBM{kind}")(n_estimators=60, num_leaves=8, reg_lambda=2, reg_alpha=0.5, subsample=0.7, subsample_freq=1,
                                                      colsample_bytree=0.7, random_state=seed, verbose=-1, n_jobs=1)
    if has_codes:
        return  # scikit-learn's trees take no categories
    yield "forest", "", lambda seed: getattr(ensemble, f"RandomForest{kind}")(random_state=seed)
    yield "extra_trees", "", lambda seed: getattr(ensemble, f"ExtraTrees{kind}")(random_state=seed)
    yield "tree", "max_depth=5 min_samples_leaf=5", lambda seed: getattr(tree, f"DecisionTree{kind}")(max_depth=5, min_samples_leaf=5, random_state=seed)


def score(model, x, y, classes):
    """Higher is better: ROC AUC, accuracy, or R2."""
    if classes == 2:
        return metrics.roc_auc_score(y, model.predict_proba(x)[:, 1])
    return metrics.accuracy_score(y, model.predict(x)) if classes else metrics.r2_score(y, model.predict(x))


def case(name, x, codes, y, classes):
    x = np.round(x, 2)
    import pandas as pd

    both = pd.DataFrame(np.hstack([x, codes]), columns=[f"c{i}" for i in range(x.shape[1] + codes.shape[1])])
    for place in range(x.shape[1], both.shape[1]):
        both[f"c{place}"] = pd.Categorical(both[f"c{place}"], categories=range(12))
    train = len(y) // 2
    scores = []
    for model, settings, make in references(classes, codes.shape[1] > 0):
        found = [score(make(seed).fit(both[:train], y[:train]), both[train:], y[train:], classes) for seed in SEEDS]
        scores.append({"model": model, "settings": settings, "mean": round(float(np.mean(found)), 5), "spread": round(float(np.std(found)), 5)})
    whole = lambda column, by: [None if np.isnan(value) else round(value * by) for value in column]
    return {"name": name, "classes": classes, "train": train, "numbers": [whole(column, 100) for column in x.T],
            "codes": [whole(column, 1) for column in codes.T], "target": whole(y, 1 if classes else 100), "scores": scores}


written = {"lightgbm": lightgbm.__version__, "scikit-learn": sklearn.__version__, "cases": [case(*table) for table in tables()]}
Path("crates/classic/parity/trees.json").write_text(json.dumps(written, separators=(",", ":")) + "\n")
