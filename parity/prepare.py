"""Writes crates/data/parity/prepare.json: what scikit-learn's preprocessing makes of small columns.

Run by hand: python parity/prepare.py (numpy, scikit-learn). The Rust test in crates/data/src/prepare reads the file.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import (SelectKBest, chi2, f_classif, f_regression, mutual_info_classif, mutual_info_regression)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (KBinsDiscretizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, PolynomialFeatures, PowerTransformer,
                                   QuantileTransformer, RobustScaler, StandardScaler, TargetEncoder)

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


def tables():
    """Columns that hang together, with gaps: a wide one, a narrow one, one with a column that is always there."""
    for name, rows, width, share in [("wide", 120, 7, 0.25), ("narrow", 80, 3, 0.15), ("few gaps", 200, 5, 0.03)]:
        hidden = rng.normal(0, 1, (rows + 12, 2))
        values = hidden @ rng.normal(0, 1, (2, width)) + rng.normal(0, 0.3, (rows + 12, width))
        values = values * 10.0 ** np.arange(width) + rng.normal(0, 50, width)
        gaps = rng.random(values.shape) < share
        gaps[:, 0] &= name != "few gaps"
        gaps[rows] = True
        values[gaps] = np.nan
        yield name, values[:rows], values[rows:]


def imputers():
    cases = []
    for name, train, fresh in tables():
        for imputer in [KNNImputer(n_neighbors=5), KNNImputer(n_neighbors=2), IterativeImputer()]:
            scaler = StandardScaler().fit(train)
            imputer.fit(scaler.transform(train))

            def fill(values):
                return scaler.inverse_transform(imputer.transform(scaler.transform(values)))

            kind = "iterative" if isinstance(imputer, IterativeImputer) else "knn"
            cases.append({
                "name": f"{name} {kind}", "missing": kind, "n_neighbors": getattr(imputer, "n_neighbors", 5),
                "train": [cells(c) for c in train.T], "fresh": [cells(c) for c in fresh.T],
                "filled_train": fill(train).T.tolist(), "filled_fresh": fill(fresh).T.tolist(),
            })
    return cases


def outliers():
    values = np.append(rng.normal(3, 2, N), [40.0, -31.0, np.nan])
    there = values[~np.isnan(values)]
    q1, q3 = np.quantile(there, [0.25, 0.75])
    bounds = {
        "iqr": (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)),
        "zscore": (there.mean() - 3 * there.std(), there.mean() + 3 * there.std()),
        "quantile": tuple(np.quantile(there, [0.01, 0.99])),
    }
    return {
        "train": cells(values), "clipped": {k: cells(np.clip(values, *b)) for k, b in bounds.items()},
        "beyond": {k: ((values < b[0]) | (values > b[1])).astype(float).tolist() for k, b in bounds.items()},
    }


def shapes():
    columns = {
        "skewed": np.exp(rng.normal(0, 1, 150)), "negative": -np.exp(0.4 * rng.normal(0, 1, 90)) * 100, "both": rng.normal(1, 4, 120) ** 3,
        "repeated": rng.integers(0, 6, 140).astype(float), "constant": np.full(30, 2.5), "few": np.array([1.0, 2.0, 5.0]),
        "huge": rng.normal(0, 1, 70) * 1e9,
    }
    cases = []
    for name, train in columns.items():
        fresh = np.concatenate([rng.choice(train, 4), train[:4] * 1.01, [train.min() - 1, train.max() + 1, 0.0, train.mean()]])
        steps = {
            "power": make_pipeline(PowerTransformer(standardize=True)),
            "quantile": QuantileTransformer(n_quantiles=1000, output_distribution="uniform"),
            "quantile_normal": QuantileTransformer(n_quantiles=1000, output_distribution="normal"),
        }
        for scale, step in steps.items():
            step.fit(train[:, None])
            cases.append({
                "name": f"{name} {scale}", "given": {"scale": scale}, "train": train.tolist(), "fresh": fresh.tolist(),
                "prepared_train": step.transform(train[:, None]).tolist(), "prepared_fresh": step.transform(fresh[:, None]).tolist(),
            })
        for strategy in ["uniform", "quantile"] + ["kmeans"] * (len(train) >= 4):
            for encode in ["onehot", "ordinal"]:
                step = KBinsDiscretizer(n_bins=4, strategy=strategy, encode="onehot-dense" if encode == "onehot" else "ordinal")
                step.fit(train[:, None])
                cases.append({
                    "name": f"{name} {strategy} {encode}",
                    "given": {"bins": "4", "bin_strategy": strategy, "bin_encode": encode, "scale": "none"},
                    "train": train.tolist(), "fresh": fresh.tolist(),
                    "prepared_train": step.transform(train[:, None]).tolist(), "prepared_fresh": step.transform(fresh[:, None]).tolist(),
                })
    return cases


def hashing():
    words = ["blue", "", "unseen", "Été", "a", "ab", "abc", "abcd", "zz top", "長い文字列"]
    texts = ["the lazy FOX over 42", "nothing known", "", "dog dog fox café", "naïve café-goers; x y z"]
    return {
        "words": words, "classes": FeatureHasher(16, input_type="string").transform([[w] for w in words]).toarray().tolist(),
        "texts": texts, "vectors": HashingVectorizer(n_features=32).transform(texts).toarray().tolist(),
    }


def products():
    values = rng.normal(0, 2, (6, 3))
    cases = []
    for degree, only in [(2, False), (2, True), (3, False), (3, True)]:
        step = PolynomialFeatures(degree, interaction_only=only, include_bias=False).fit(values)
        cases.append({
            "degree": degree, "interaction_only": only, "names": step.get_feature_names_out(["a", "b", "c"])[3:].tolist(),
            "columns": values.T.tolist(), "products": step.transform(values)[:, 3:].tolist(),
        })
    return cases


def selections():
    rows = 300
    y_class = rng.choice(["no", "perhaps", "yes"], rows, p=[0.5, 0.2, 0.3])
    code = np.unique(y_class, return_inverse=True)[1]
    y_number = rng.normal(0, 1, rows) + code
    features = np.column_stack([
        rng.normal(0, 1, rows), code + rng.normal(0, 1, rows), y_number * 100 + rng.normal(0, 50, rows), rng.integers(0, 2, rows),
        (code == 2) ^ (rng.random(rows) < 0.1), rng.exponential(2, rows), np.full(rows, 3.0), np.abs(y_number) + rng.normal(0, 0.5, rows),
    ]).astype(float)
    positive = features - features.min(axis=0)
    binary = [len(np.unique(c)) <= 2 for c in features.T]
    scores = {
        "f_test class": f_classif(features, y_class)[0], "f_test number": f_regression(features, y_number)[0],
        "chi2 class": chi2(positive, y_class)[0], "variance class": features.var(axis=0),
        "mutual_info class": mutual_info_classif(features, y_class, discrete_features=binary, random_state=0),
        "mutual_info number": mutual_info_regression(features, y_number, discrete_features=binary, random_state=0),
    }
    kept = {"f_test class": f_classif, "chi2 class": chi2}
    return {
        "columns": features.T.tolist(), "positive": positive.T.tolist(), "classes": code.tolist(), "numbers": y_number.tolist(),
        "scores": {k: cells(np.asarray(v, dtype=float)) for k, v in scores.items()},
        "kept": {k: SelectKBest(f, k=3).fit(positive if "chi2" in k else features, y_class).get_support(indices=True).tolist()
                 for k, f in kept.items()},
    }


def vectorizers():
    train = texts()["train"] + ["fox and dog over the lazy brown fox", "over the end"]
    fresh = ["the lazy FOX over 42", "nothing known", "", "dog dog fox café and over the end of the lazy dog"]
    given = [
        {"ngram_range": "[1, 2]"}, {"ngram_range": "[2, 3]", "sublinear_tf": "true"}, {"analyzer": "char", "ngram_range": "[2, 3]"},
        {"analyzer": "char_wb", "ngram_range": "[2, 4]", "norm": "l1"}, {"min_df": "2", "norm": "none"}, {"max_df": "0.4"},
        {"min_df": "0.2", "max_df": "4"}, {"text": "count", "ngram_range": "[1, 2]"},
    ]
    cases = []
    for settings in given:
        arguments = {k: v for k, v in settings.items() if k != "text"}
        kind = CountVectorizer if settings.get("text") == "count" else TfidfVectorizer
        for key in ["ngram_range", "sublinear_tf", "min_df", "max_df"]:
            if key in arguments:
                arguments[key] = json.loads(arguments[key])
        arguments["ngram_range"] = tuple(arguments.get("ngram_range", (1, 1)))
        if arguments.get("norm") == "none":
            arguments["norm"] = None
        step = kind(**arguments).fit(train)
        cases.append({
            "given": settings | {"max_features": "65536"}, "words": step.get_feature_names_out().tolist(),
            "vectors": np.round(step.transform(fresh).toarray(), 12).tolist(),
        })
    return {"train": train, "fresh": fresh, "cases": cases}


out = {"scikit_learn": sklearn.__version__, "numbers": numbers(), "categories": categories(), "target_means": target_means(), "texts": texts(),
       "imputers": imputers(), "outliers": outliers(), "shapes": shapes(), "hashing": hashing(), "products": products(),
       "selections": selections(), "vectorizers": vectorizers()}
path = pathlib.Path(__file__).parent.parent / "crates/data/parity/prepare.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
