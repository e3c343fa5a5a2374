"""Adult's original test file at equal settings: ROC-AUC of Cupola beside LightGBM and scikit-learn.

Usage: quality.py CUPOLA_BINARY
gbdt: 100 trees, rate 0.1, 31 leaves, 20 rows a leaf, no early stopping, all training rows, native categories.
logistic: C = 1, scaled numbers, one-hot categories. Prints one JSON object.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import lightgbm
import numpy
import pandas
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

DATA = Path(__file__).resolve().parent.parent.parent / "data"
TRAIN, TEST = str(DATA / "adult.csv.gz"), str(DATA / "adult.test.csv.gz")


def ours(binary, *keys):
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "train", TRAIN, "target=income", f"test={TEST}", "data.split.ratio=[1, 0]", "--json", *keys]
        output = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "CUPOLA_HOME": folder}).stdout
    scores = json.loads(output.strip().splitlines()[-1])["report"]["targets"][0]["scores"]
    return next(score["test"]["value"] for score in scores if score["name"] == "roc_auc")


def main():
    train, test = pandas.read_csv(TRAIN, na_values="?"), pandas.read_csv(TEST, na_values="?")
    y, y_test = train.pop("income") == ">50K", test.pop("income") == ">50K"
    names = [name for name in train.columns if train[name].dtype.kind not in "if"]
    numbers = [name for name in train.columns if name not in names]
    kinds = {name: pandas.CategoricalDtype(sorted(train[name].dropna().unique())) for name in names}
    x, x_test = train.astype(kinds), test.astype(kinds)
    model = lightgbm.LGBMClassifier(n_estimators=100, learning_rate=0.1, num_leaves=31, min_child_samples=20, n_jobs=2, verbose=-1).fit(x, y)
    light = roc_auc_score(y_test, model.predict_proba(x_test)[:, 1])
    encode = make_column_transformer((OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=numpy.nan), names), remainder="passthrough")
    boosted = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.1, max_leaf_nodes=31, min_samples_leaf=20, early_stopping=False, categorical_features=list(range(len(names))))
    histogram = roc_auc_score(y_test, make_pipeline(encode, boosted).fit(train, y).predict_proba(test)[:, 1])
    for table in (train, test):
        table[names] = table[names].astype(object).where(table[names].notna(), "(missing)")
    encode = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), names))
    linear = roc_auc_score(y_test, make_pipeline(encode, LogisticRegression(C=1.0, max_iter=1000)).fit(train, y).predict_proba(test)[:, 1])
    binary = sys.argv[1]
    gbdt = ours(binary, "model=gbdt", "model.n_estimators=100", "model.early_stopping_rounds=0")
    logistic = ours(binary, "model=logistic", "model.C=1")
    print(
        json.dumps(
            {
                "versions": {"lightgbm": lightgbm.__version__, "scikit-learn": sklearn.__version__},
                "gbdt": {"cupola": round(gbdt, 5), "lightgbm": round(light, 5), "scikit-learn": round(histogram, 5)},
                "logistic": {"cupola": round(logistic, 5), "scikit-learn": round(linear, 5)},
            },
            indent=1,
        )
    )


main()
