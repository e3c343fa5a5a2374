"""Writes crates/classic/parity/shap.json: trees of LightGBM and scikit-learn, rows, and what `shap` and LightGBM say about them; and
shap_interactions.json: the same for SHAP interaction values, with `interactions` as an argument that alone.

Run by hand, from the repository root: `python parity/explain.py`. The Rust test builds the same trees and must give the same values. Numbers are
multiples of 1/64, so that scikit-learn's rounding to single precision changes nothing. Nothing is random but the tables, whose seeds are here.
"""

import json
import sys
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import shap
import sklearn
from sklearn import datasets, ensemble, linear_model

warnings.filterwarnings("ignore")


def rounded(x):
    return np.round(x * 64) / 64


def lightgbm_trees(model):
    """Each tree as arrays, root first; a leaf has no feature."""
    for tree in model.booster_.dump_model()["tree_info"]:
        nodes = []

        def visit(node):
            place = len(nodes)
            nodes.append(None)
            if "leaf_value" in node:
                nodes[place] = {"value": [node["leaf_value"]], "cover": node.get("leaf_count", 0)}
                return place
            own = {"feature": node["split_feature"], "threshold": node["threshold"], "missing_left": node["default_left"]}
            own["left"], own["right"] = visit(node["left_child"]), visit(node["right_child"])
            nodes[place] = own
            return place

        visit(tree["tree_structure"])
        yield nodes


def sklearn_trees(model, is_classes):
    for estimator in model.estimators_:
        tree = estimator.tree_
        nodes = []
        for place in range(tree.node_count):
            if tree.children_left[place] < 0:
                value = tree.value[place][0]
                value = (value / value.sum()).tolist() if is_classes else value.tolist()
                nodes.append({"value": value, "cover": float(tree.weighted_n_node_samples[place])})
            else:
                nodes.append({"feature": int(tree.feature[place]), "threshold": float(tree.threshold[place]), "missing_left": False,
                              "left": int(tree.children_left[place]), "right": int(tree.children_right[place])})
        yield nodes


def cells(x):
    return [[None if np.isnan(value) else float(value) for value in row] for row in x]


def values(found, rows, inputs):
    """As [rows, inputs, outputs]."""
    return np.asarray(found).reshape(rows, inputs, -1).tolist()


def case(name, link, trees, start, x, behind, path, base, rows, rows_base):
    return {"name": name, "link": link, "start": start, "trees": trees, "rows": cells(x), "behind": cells(behind), "path": path, "base": base,
            "against": rows, "against_base": rows_base}


def boosted(classes):
    x, y = datasets.make_classification(600, 6, n_informative=4, n_redundant=1, n_classes=classes, random_state=3)
    x = rounded(x)
    x[np.random.default_rng(1).random(x.shape) < 0.05] = np.nan
    model = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=12, min_child_samples=10, verbose=-1).fit(x, y)
    some, behind = x[:12], x[300:320]
    outputs = 1 if classes == 2 else classes
    own = model.predict(some, pred_contrib=True).reshape(len(some), outputs, 7)
    against = shap.TreeExplainer(model, behind, feature_perturbation="interventional")
    found = np.asarray(against.shap_values(some))
    found = found.reshape(len(some), 6, -1)
    return case(f"lightgbm, {classes} classes", "logistic" if classes == 2 else "softmax", list(lightgbm_trees(model)), [0.0] * outputs, some, behind,
                own[:, :, :6].transpose(0, 2, 1).tolist(), own[0, :, 6].tolist(), found[:, :, -outputs:].tolist(),
                np.atleast_1d(against.expected_value)[-outputs:].tolist())


def forest(classes):
    if classes:
        x, y = datasets.make_classification(300, 7, n_informative=5, n_classes=classes, random_state=5)
        x = rounded(x)
        model = ensemble.RandomForestClassifier(4, random_state=1).fit(x, y)
    else:
        x, y = datasets.make_friedman1(250, 6, noise=1.0, random_state=2)
        x = rounded(x)
        model = ensemble.RandomForestRegressor(4, random_state=1).fit(x, y)
    some, behind = x[:10], x[100:115]
    path = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    against = shap.TreeExplainer(model, behind, feature_perturbation="interventional")
    inputs = x.shape[1]
    return case(f"scikit-learn's forest, {classes} classes", "shares" if classes else "mean", list(sklearn_trees(model, bool(classes))),
                [0.0] * max(classes, 1), some, behind, values(path.shap_values(some), 10, inputs), np.atleast_1d(path.expected_value).tolist(),
                values(against.shap_values(some), 10, inputs), np.atleast_1d(against.expected_value).tolist())


def linear():
    x, y = datasets.make_classification(200, 5, n_informative=3, n_redundant=0, random_state=7)
    x = rounded(x)
    model = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x, y)
    explainer = shap.LinearExplainer(model, shap.maskers.Independent(x, max_samples=len(x)))
    return {"rows": cells(x), "target": y.tolist(), "values": explainer.shap_values(x[:20]).tolist(), "base": float(explainer.expected_value)}


def pairs(name, link, model, trees, start, x):
    """Interaction values as [rows, inputs, inputs, outputs]."""
    found = np.asarray(shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_interaction_values(x))
    found = found.reshape(*found.shape[:3], -1)[:, :, :, -len(start):]
    return {"name": name, "link": link, "start": start, "trees": trees, "rows": cells(x), "interactions": found.tolist()}


def boosted_pairs(classes):
    x, y = datasets.make_classification(600, 6, n_informative=4, n_redundant=1, n_classes=classes, random_state=3)
    x = rounded(x)
    x[np.random.default_rng(1).random(x.shape) < 0.05] = np.nan
    model = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=12, min_child_samples=10, verbose=-1).fit(x, y)
    outputs = 1 if classes == 2 else classes
    return pairs(f"lightgbm, {classes} classes", "logistic" if classes == 2 else "softmax", model, list(lightgbm_trees(model)), [0.0] * outputs, x[:6])


def forest_pairs(classes, inputs, depth):
    if classes:
        x, y = datasets.make_classification(300, inputs, n_informative=5, n_classes=classes, random_state=5)
        model = ensemble.RandomForestClassifier(3, max_depth=depth, random_state=1)
    else:
        x, y = datasets.make_friedman1(250, inputs, noise=1.0, random_state=2)
        model = ensemble.RandomForestRegressor(2, max_depth=depth, random_state=1)
    x = rounded(x)
    model.fit(x, y)
    name = f"scikit-learn's forest, {classes} classes, {inputs} inputs"
    return pairs(name, "shares" if classes else "mean", model, list(sklearn_trees(model, bool(classes))), [0.0] * max(classes, 1), x[:4])


def write(path, text):
    path = Path(path)
    path.write_text(json.dumps(text, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


def main():
    versions = {"shap": shap.__version__, "lightgbm": lightgbm.__version__, "scikit-learn": sklearn.__version__}
    cases = [boosted_pairs(2), boosted_pairs(3), forest_pairs(0, 12, None), forest_pairs(3, 7, None)]
    write("crates/classic/parity/shap_interactions.json", {"versions": versions, "trees": cases})
    if sys.argv[1:] == ["interactions"]:
        return
    cases = [boosted(2), boosted(3), forest(0), forest(3)]
    write("crates/classic/parity/shap.json", {"versions": versions, "trees": cases, "linear": linear()})


if __name__ == "__main__":
    main()
