"""Cupola's svm, knn and naive_bayes beside scikit-learn's on real tables: time to fit, time to answer, and quality.

Usage: bench.py PATH/TO/gbdt_speed DATA SHARED [--rounds N] [names ...]

`gbdt_speed` is `cargo build --release -p cupola-classic --example gbdt_speed`. DATA is the folder `data`, SHARED one with `shuttle` and
`mnist`. Both sides get the same numbers: scaled, categories one-hot where the model takes numbers only. Each fit runs in a process of its
own, in the order A B B A; reading and imports are not counted. scikit-learn's support vector machine runs on one thread, whatever it is given.
Writes results.json when no name is given.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")


def write(folder, train, test, kinds):
    with open(f"{folder}/columns.txt", "w") as file:
        file.write("\n".join(kinds) + "\n")
    for name, columns in (("train", train), ("test", test)):
        np.concatenate([np.asarray(column, dtype="<f8") for column in columns]).tofile(f"{folder}/{name}.f64")


def numeric(folder, x, y, x_test, y_test, classes, scale=True):
    if scale:
        mean, deviation = x.mean(0), x.std(0)
        deviation[deviation == 0] = 1
        x, x_test = (x - mean) / deviation, (x_test - mean) / deviation
    # What the preparation hands on in vectors is f32.
    x, x_test = x.astype("f4").astype("f8"), x_test.astype("f4").astype("f8")
    write(folder, [*x.T, y], [*x_test.T, y_test], ["number"] * x.shape[1] + [f"target {classes}"])


def adult(folder, options, rows=None, onehot=True):
    import pandas as pd

    train, test = (pd.read_csv(f"{options.data}/{name}.csv.gz", na_values="?", skipinitialspace=True) for name in ("adult", "adult.test"))
    train = train.iloc[:rows]
    y, y_test = ((frame.pop("income").str.contains(">").astype(float)).to_numpy() for frame in (train, test))
    words = [name for name in train.columns if not pd.api.types.is_numeric_dtype(train[name])]
    numbers = [name for name in train.columns if name not in words]
    if onehot:
        both = pd.get_dummies(pd.concat([train[words], test[words]]).fillna("?")).to_numpy(float)
        x, x_test = train[numbers].to_numpy(float), test[numbers].to_numpy(float)
        mean, deviation = x.mean(0), x.std(0)
        x, x_test = (x - mean) / deviation, (x_test - mean) / deviation
        return numeric(folder, np.hstack([x, both[: len(x)]]), y, np.hstack([x_test, both[len(x) :]]), y_test, 2, scale=False)
    sides, kinds = ([], []), []
    for name in words:
        classes = sorted(set(train[name].fillna("?")) | set(test[name].fillna("?")))
        for side, frame in zip(sides, (train, test)):
            side.append(pd.Categorical(frame[name].fillna("?"), categories=classes).codes.astype(float))
        kinds.append(f"category {len(classes)}")
    write(folder, [*sides[0], y], [*sides[1], y_test], [*kinds, "target 2"])


def mnist(folder, options, rows, tests):
    def images(name):
        raw = gzip.open(f"{options.shared}/mnist/{name}-images-idx3-ubyte.gz").read()
        return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784) / 255.0

    def labels(name):
        return np.frombuffer(gzip.open(f"{options.shared}/mnist/{name}-labels-idx1-ubyte.gz").read(), np.uint8, offset=8).astype(float)

    numeric(folder, images("train")[:rows], labels("train")[:rows], images("t10k")[:tests], labels("t10k")[:tests], 10, scale=False)


def hours(folder, options, rows):
    """How long people work, from the rest of what is known of them."""
    adult(folder, options)
    kinds = open(f"{folder}/columns.txt").read().split("\n")[:-1]
    train, test = (np.fromfile(f"{folder}/{name}.f64", dtype="<f8").reshape(len(kinds), -1) for name in ("train", "test"))
    rest = [place for place in range(len(kinds)) if place != 5]
    write(folder, [*train[rest][:, :rows], train[5][:rows]], [*test[rest][:, :5000], test[5][:5000]], ["number"] * len(rest) + ["target 0"])


def shuttle(folder, options, rows):
    import pandas as pd

    values = pd.read_csv(f"{options.shared}/shuttle/shuttle.csv.gz").apply(pd.to_numeric, errors="coerce").dropna().to_numpy(float)
    x, y = values[:, :-1], np.unique(values[:, -1], return_inverse=True)[1].astype(float)
    order = np.random.default_rng(1).permutation(len(x))
    x, y = x[order], y[order]
    numeric(folder, x[:rows], y[:rows], x[rows : rows + 10000], y[rows : rows + 10000], int(y.max()) + 1)


def rival(name, threads):
    from sklearn import naive_bayes, neighbors, svm

    return {
        "svc": lambda: svm.SVC(probability=True, random_state=1),
        "svc_plain": lambda: svm.SVC(),
        "svr": lambda: svm.SVR(),
        "knn": lambda: neighbors.KNeighborsClassifier(n_jobs=threads),
        "gaussian": lambda: naive_bayes.GaussianNB(),
        "categorical": lambda: naive_bayes.CategoricalNB(),
        "multinomial": lambda: naive_bayes.MultinomialNB(),
    }[name]()


def child(name, folder, threads):
    kinds = open(f"{folder}/columns.txt").read().split("\n")[:-1]
    read = lambda side: np.fromfile(f"{folder}/{side}.f64", dtype="<f8").reshape(len(kinds), -1)
    train, test = read("train"), read("test")
    # f4 for neighbours would make scikit-learn quicker and no longer exact.
    x, y, x_test = np.ascontiguousarray(train[:-1].T), train[-1], np.ascontiguousarray(test[:-1].T)
    if name == "categorical":
        x, x_test = x.astype(int), x_test.astype(int)
    model = rival(name, threads)
    if name == "categorical":
        model.set_params(min_categories=np.maximum(x.max(0), x_test.max(0)) + 1)
    start = time.perf_counter()
    model.fit(x, y)
    fit = time.perf_counter() - start
    start = time.perf_counter()
    if name == "svc_plain":
        answers = model.decision_function(x_test)
    else:
        answers = model.predict(x_test) if name == "svr" else model.predict_proba(x_test)[:, -1]
    print(json.dumps({"wall_s": fit, "predict_s": time.perf_counter() - start}))
    np.asarray(answers, dtype="<f8").tofile(f"{folder}/answers.f64")


def quality(folder, kinds):
    """What both sides' last answers are worth: AUC of the last class, or the root mean squared error."""
    from sklearn.metrics import root_mean_squared_error, roc_auc_score

    truth = np.fromfile(f"{folder}/test.f64", dtype="<f8").reshape(len(kinds), -1)[-1]
    answers = np.fromfile(f"{folder}/answers.f64", dtype="<f8")
    classes = int(kinds[-1].split()[1])
    return root_mean_squared_error(truth, answers) if classes == 0 else roc_auc_score(truth == classes - 1, answers)


TASKS = {
    "svm adult 8k": (lambda f, o: adult(f, o, 8000), ["svm"], "svc"),
    "svm adult 8k, no probabilities": (lambda f, o: adult(f, o, 8000), ["svm", "probability=false"], "svc_plain"),
    "svm shuttle 10k": (lambda f, o: shuttle(f, o, 10000), ["svm"], "svc"),
    "svm mnist 4k": (lambda f, o: mnist(f, o, 4000, 2000), ["svm"], "svc"),
    "svr adult 8k, hours": (lambda f, o: hours(f, o, 8000), ["svm"], "svr"),
    "knn adult": (lambda f, o: adult(f, o), ["knn"], "knn"),
    "knn shuttle 30k": (lambda f, o: shuttle(f, o, 30000), ["knn"], "knn"),
    "knn mnist 20k": (lambda f, o: mnist(f, o, 20000, 5000), ["knn"], "knn"),
    "gaussian shuttle 30k": (lambda f, o: shuttle(f, o, 30000), ["naive_bayes"], "gaussian"),
    "gaussian mnist 20k": (lambda f, o: mnist(f, o, 20000, 10000), ["naive_bayes"], "gaussian"),
    "multinomial mnist 20k": (lambda f, o: mnist(f, o, 20000, 10000), ["naive_bayes", "distribution=multinomial"], "multinomial"),
    "categorical adult": (lambda f, o: adult(f, o, onehot=False), ["naive_bayes"], "categorical"),
}


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("data")
    parser.add_argument("shared")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("names", nargs="*")
    options = parser.parse_intermixed_args()
    import sklearn

    print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, {options.threads} threads, {options.rounds} rounds")
    results = {}
    for title, (prepare, ours, theirs) in TASKS.items():
        if options.names and not any(name in title for name in options.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            prepare(folder, options)
            kinds = open(f"{folder}/columns.txt").read().split("\n")[:-1]
            commands = {
                "cupola": [options.binary, folder, *ours, f"threads={options.threads}"],
                "other": [sys.executable, os.path.abspath(__file__), "--child", theirs, folder, str(options.threads)],
            }
            runs, worth = {"cupola": [], "other": []}, {}
            for turn in range(options.rounds):
                for name in list(commands)[:: 1 if turn % 2 == 0 else -1]:
                    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
                    done = subprocess.run(commands[name], env=environment, check=True, capture_output=True, text=True)
                    runs[name].append(json.loads(done.stdout))
                    worth[name] = quality(folder, kinds)
            median = lambda name, key: float(np.median([run[key] for run in runs[name]]))
            cells = [f"{key} {median('cupola', key):.4f} other {median('other', key):.4f} ratio {median('other', key) / median('cupola', key):.2f}" for key in ("wall_s", "predict_s")]
            results[title] = {f"{name}_{key}": round(median(name, key), 5) for key in ("wall_s", "predict_s") for name in runs} | {"quality": worth}
            print(f"{title:32} {cells[0]} | {cells[1]} | quality {worth['cupola']:.4f} other {worth['other']:.4f}", flush=True)
    if options.names:
        return
    here = os.path.dirname(os.path.abspath(__file__))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True).stdout.strip()
    told = {"cupola": commit, "scikit-learn": sklearn.__version__, "numpy": np.__version__, "threads": options.threads, "rounds": options.rounds, "tasks": results}
    with open(f"{here}/results.json", "w") as file:
        file.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
