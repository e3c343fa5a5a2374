"""One rival on one table, in a process of its own: rivals.py SYSTEM JOB, where JOB is the JSON object that bench.py writes.

Reads the training and the test file with pandas, fits, answers the test rows and writes the answers as a matrix (a probability for each class in
the order of their names, or a number). Prints one JSON object. Clocks begin when everything is imported and the files are read.

Each has the frame as its users hand it over. Columns of dates are read as dates. AutoGluon has all columns, FLAML all but texts, which it would take for
categories with thousands of values; both have the table's measure to aim at. LightGBM has categories as pandas' categories, dates as seconds, and texts not at all. scikit-learn's trees the same, but take at most 255
categories: columns with more are numbered (OrdinalEncoder).
"""

import json
import sys
import tempfile
import time
import warnings

import numpy
import pandas

warnings.simplefilter("ignore")


def seconds(frame, dates):
    return frame.assign(**{name: frame[name].astype("datetime64[s]").astype("int64") for name in dates})


def plain(job, train, test):
    """What a library of trees can take: numbers and categories."""
    left = [name for name in train if name not in job["texts"]]
    train, test = (seconds(side[left], job["dates"]) for side in (train, test))
    names = [name for name in left if train[name].dtype.kind not in "iufb"]
    kinds = {name: pandas.CategoricalDtype(sorted(train[name].dropna().unique())) for name in names}
    return train.astype(kinds), test.astype(kinds)


def answers(model, test, classes):
    return model.predict_proba(test) if classes else model.predict(test)


def lightgbm(job, train, y, test, classes):
    import lightgbm

    train, test = plain(job, train, test)
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    began = time.perf_counter()
    model = kind(n_jobs=job["threads"], verbose=-1).fit(train, y)
    return began, time.perf_counter(), answers(model, test, classes), None


def sklearn(job, train, y, test, classes):
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    train, test = plain(job, train, test)
    many = [name for name in train if train[name].dtype == "category" and len(train[name].cat.categories) > 255]
    numbered = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=numpy.nan), many), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    began = time.perf_counter()
    model = make_pipeline(numbered, kind(categorical_features="from_dtype", random_state=0)).fit(train, y)
    return began, time.perf_counter(), answers(model, test, classes), None


def flaml(job, train, y, test, classes):
    from flaml import AutoML

    train, test = (side.drop(columns=job["texts"]) for side in (train, test))
    metric = {"average_precision": "ap"}.get(job["metric"], job["metric"])
    began = time.perf_counter()
    model = AutoML()
    task = "classification" if classes else "regression"
    model.fit(train, y, task=task, metric=metric, time_budget=job["time"], n_jobs=job["threads"], seed=0, verbose=0)
    fitted = time.perf_counter()
    return began, fitted, answers(model, test, classes), f"{model.best_estimator} {json.dumps(model.best_config, default=float)}"


def autogluon(job, train, y, test, classes):
    from autogluon.tabular import TabularPredictor

    metric = {"rmse": "root_mean_squared_error"}.get(job["metric"], job["metric"])
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        predictor = TabularPredictor(y.name, problem_type=job["task"], eval_metric=metric, path=folder, verbosity=0)
        predictor.fit(train.assign(**{y.name: y}), presets="medium_quality", time_limit=job["time"], num_cpus=job["threads"])
        fitted = time.perf_counter()
        found = predictor.predict_proba(test)[classes] if classes else predictor.predict(test)
        board = predictor.leaderboard(silent=True)[["model", "score_val", "fit_time"]].round(5).head(8).values.tolist()
        return began, fitted, found.to_numpy(), f"{predictor.model_best}; {board}"


def main():
    system, job = sys.argv[1], json.loads(sys.argv[2])
    # What is imported is imported once: the clock begins behind it.
    __import__({"autogluon": "autogluon.tabular"}.get(system, system))
    read = lambda side: pandas.read_csv(job[side], na_values=["NA", "?"], parse_dates=job["dates"], date_format="mixed" if job["dates"] else None)
    train, test = read("train"), read("test")
    y, test = train.pop(job["target"]), test.drop(columns=job["target"])
    began, fitted, found, note = globals()[system](job, train, y, test, job["classes"])
    numpy.save(job["answers"], numpy.asarray(found, dtype="f8"))
    print("\n" + json.dumps({"fit_s": fitted - began, "answer_s": time.perf_counter() - fitted, "note": note}))


if __name__ == "__main__":
    main()
