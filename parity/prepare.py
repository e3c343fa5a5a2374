"""Writes crates/data/parity/prepare.json: what scikit-learn's preprocessing makes of small columns.

Run by hand: python parity/prepare.py (numpy, scikit-learn). The Rust test in crates/data/src/prepare reads the file.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler, TargetEncoder

rng = np.random.default_rng(5)
N = 60
SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
IMPUTERS = {"mean": "mean", "median": "median", "mode": "most_frequent"}


def cells(values):
    return [None if np.isnan(v) else float(v) for v in values]


def columns_of_numbers():
    missing = rng.random(N) < 0.2
    normal = rng.normal(1e6, 3.0, N)
    skewed = np.round(np.exp(rng.normal(0, 2, N)), 2)
    return {
        "normal": normal,
        "skewed": np.where(missing, np.nan, skewed),
        "few": np.where(rng.random(N) < 0.1, np.nan, rng.integers(-2, 3, N).astype(float)),
        "constant": np.full(N, 0.1),
        "tiny": rng.normal(0, 1e-12, N),
        "nearly": 1e9 + np.where(rng.random(N) < 0.5, 0.0, 1e-7),
    }


def numbers():
    cases = []
    for name, values in columns_of_numbers().items():
        fresh = np.append(rng.choice(values[~np.isnan(values)], 3), [np.nan, 0.0, -7.5])
        for scale, scaler in SCALERS.items():
            for missing, strategy in IMPUTERS.items():
                pipeline = make_pipeline(SimpleImputer(strategy=strategy), scaler())
                pipeline.fit(values[:, None])
                cases.append({
                    "name": f"{name} {missing} {scale}", "missing": missing, "scale": scale, "train": cells(values), "fresh": cells(fresh),
                    "prepared_train": pipeline.transform(values[:, None])[:, 0].tolist(),
                    "prepared_fresh": pipeline.transform(fresh[:, None])[:, 0].tolist(),
                })
    return cases


def categories():
    train = rng.choice(["red", "green", "blue", "Été", "zz top"], N, p=[0.4, 0.3, 0.2, 0.06, 0.04])
    fresh = np.array(["blue", "unseen", "red", "Été"])
    onehot = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(train[:, None])
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan).fit(train[:, None])
    return {
        "train": train.tolist(), "fresh": fresh.tolist(), "classes": onehot.categories_[0].tolist(),
        "onehot": onehot.transform(fresh[:, None]).tolist(), "ordinal": cells(ordinal.transform(fresh[:, None])[:, 0]),
    }


def target_means():
    train = rng.choice([f"c{i}" for i in range(9)], N, p=np.arange(1, 10) / 45)
    train[0] = "once"
    fresh = np.array(["c3", "unseen", "once", "c8"])
    folds = rng.permutation(N) % 5
    effect = np.array([len(c) + ord(c[-1]) % 5 for c in train])
    targets = {
        "binary": np.where(rng.random(N) < effect / 9, "yes", "no"),
        "multiclass": rng.choice(["a", "b", "c"], N),
        "continuous": effect + rng.normal(0, 1, N),
        "separated": np.where(effect % 2 == 0, "yes", "no"),
    }
    cases = []
    for name, y in targets.items():
        kind = name if name != "separated" else "binary"
        encoder = TargetEncoder(target_type=kind, smooth="auto").fit(train[:, None], y)
        crossed = np.zeros((N, len(encoder.encodings_)))
        for fold in range(5):
            others = TargetEncoder(target_type=kind, smooth="auto").fit(train[folds != fold][:, None], y[folds != fold])
            crossed[folds == fold] = others.transform(train[folds == fold][:, None])
        cases.append({
            "name": name, "train": train.tolist(), "fresh": fresh.tolist(), "target": y.tolist(), "folds": folds.tolist(),
            "classes": encoder.categories_[0].tolist(), "encodings": [e.tolist() for e in encoder.encodings_],
            "prepared_fresh": encoder.transform(fresh[:, None]).tolist(), "crossed": crossed.tolist(),
        })
    return cases


def texts():
    train = [
        "The quick brown fox jumps over the lazy dog", "A dog, a DOG and another dog!", "naïve café-goers; x y z", "", "1984 is a_number? 42!",
        "brown brown fox; over and over", "Straße und Wörter", "the end",
    ]
    fresh = ["the lazy FOX over 42", "nothing known", "", "dog dog fox café"]
    vectorizer = TfidfVectorizer().fit(train)
    return {
        "train": train, "fresh": fresh, "words": vectorizer.get_feature_names_out().tolist(),
        "idf": vectorizer.idf_.tolist(), "prepared_fresh": vectorizer.transform(fresh).toarray().tolist(),
    }


out = {"scikit_learn": sklearn.__version__, "numbers": numbers(), "categories": categories(), "target_means": target_means(), "texts": texts()}
path = pathlib.Path(__file__).parent.parent / "crates/data/parity/prepare.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
