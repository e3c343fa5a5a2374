"""The main job in Python: Adult from CSV to measured model and a small report, with pandas, scikit-learn and LightGBM.

Usage: lightgbm_adult.py TRAIN.csv.gz TEST.csv.gz OUT_FOLDER
The least a careful user would write: types, a validation split for early stopping, the model, test measures, a file with
the model and one with the scores. No intervals, no leak check, no importance, no page.
"""

import json
import sys
from pathlib import Path

import lightgbm
import pandas
from sklearn import metrics
from sklearn.model_selection import train_test_split

train_path, test_path, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
table, test = pandas.read_csv(train_path, na_values="?"), pandas.read_csv(test_path, na_values="?")
target = "income"
names = [name for name in table.columns if table[name].dtype.kind not in "if" and name != target]
kinds = {name: pandas.CategoricalDtype(sorted(table[name].dropna().unique())) for name in names}
y, y_test = table.pop(target) == ">50K", test.pop(target) == ">50K"
table, test = table.astype(kinds), test.astype(kinds)
x, x_valid, y, y_valid = train_test_split(table, y, test_size=1 / 9, stratify=y, random_state=7)
model = lightgbm.LGBMClassifier(
    n_estimators=int(sys.argv[4]) if len(sys.argv) > 4 else 300, learning_rate=0.1, num_leaves=31, min_child_samples=20, n_jobs=2, verbose=-1
)
model.fit(x, y, eval_set=[(x_valid, y_valid)], callbacks=[lightgbm.early_stopping(30, verbose=False)])
probability = model.predict_proba(test)[:, 1]
decision = probability > 0.5
scores = {
    "accuracy": metrics.accuracy_score(y_test, decision),
    "balanced_accuracy": metrics.balanced_accuracy_score(y_test, decision),
    "precision": metrics.precision_score(y_test, decision),
    "recall": metrics.recall_score(y_test, decision),
    "f1": metrics.f1_score(y_test, decision),
    "roc_auc": metrics.roc_auc_score(y_test, probability),
    "average_precision": metrics.average_precision_score(y_test, probability),
    "log_loss": metrics.log_loss(y_test, probability),
    "brier": metrics.brier_score_loss(y_test, probability),
    "mcc": metrics.matthews_corrcoef(y_test, decision),
    "kappa": metrics.cohen_kappa_score(y_test, decision),
    "confusion": metrics.confusion_matrix(y_test, decision).tolist(),
    "trees": int(model.best_iteration_ or model.n_estimators),
}
out.mkdir(parents=True, exist_ok=True)
model.booster_.save_model(out / "model.txt")
(out / "report.json").write_text(json.dumps(scores, indent=1))
print(json.dumps({"roc_auc": scores["roc_auc"], "trees": scores["trees"]}))
