"""How many trials Cupola's samplers and Optuna's need for the same value.

    pip install optuna==5.0.0 cmaes==0.13.1 lightgbm scikit-learn pandas
    python3 duel/tune/duel.py table          once: LightGBM's cross-validated losses over two grids, into tables.json
    cargo build --release -p cupola-train --example tune_functions
    python3 duel/tune/duel.py optuna [SEEDS] [TRIALS]        its side, into optuna.json (not kept in the tree)
    python3 duel/tune/duel.py run target/release/examples/tune_functions [SEEDS] [TRIALS]

For each problem and sampler: V is the median over the seeds of Optuna's best value after so many trials. Told is the first trial at which each side's
median best value is V or less (none: not in so many trials), and each side's median best value at half of the trials and at the end. `run` writes
results.json: of pairs Cupola's comes first.
"""

import importlib.metadata
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data"
LEVELS = {
    "learning_rate": [0.01, 0.02, 0.04, 0.08, 0.16, 0.3],
    "num_leaves": [3, 6, 12, 24, 48],
    "min_data_in_leaf": [2, 5, 10, 20, 40],
    "feature_fraction": [0.25, 0.5, 0.75, 1.0],
}


def table():
    import itertools

    import lightgbm
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import KFold, StratifiedKFold

    tables = {}
    for name, target, objective in [("wine", "class", "multiclass"), ("diabetes", None, "regression")]:
        frame = pd.read_csv(DATA / f"{name}.csv")
        target = target if target in frame.columns else frame.columns[-1]
        y, X = frame[target], frame.drop(columns=target)
        y = y.astype("category").cat.codes if objective == "multiclass" else y
        splitter = (StratifiedKFold if objective == "multiclass" else KFold)(5, shuffle=True, random_state=1)
        folds = list(splitter.split(X, y))
        losses = []
        for values in itertools.product(*LEVELS.values()):
            params = dict(zip(LEVELS, values), objective=objective, verbose=-1, num_threads=1, seed=1, deterministic=True)
            if objective == "multiclass":
                params["num_class"] = int(y.max()) + 1
            scores = []
            for train, test in folds:
                model = lightgbm.train(params, lightgbm.Dataset(X.iloc[train], y.iloc[train]), num_boost_round=100)
                answer = model.predict(X.iloc[test])
                truth = y.iloc[test].to_numpy()
                if objective == "multiclass":
                    scores.append(-np.log(np.maximum(answer[np.arange(len(truth)), truth], 1e-15)).mean())
                else:
                    scores.append(float(np.sqrt(((answer - truth) ** 2).mean())))
            losses.append(round(float(np.mean(scores)), 6))
        tables[f"gbdt-{name}"] = losses
        print(name, target, min(losses), max(losses), flush=True)
    (HERE / "tables.json").write_text(json.dumps({"levels": [len(values) for values in LEVELS.values()], "losses": tables}) + "\n")


def branin(trial):
    x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
    return (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(trial):
    x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(6)]
    alpha = [1.0, 1.2, 3.0, 3.2]
    A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991], [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
    return -sum(alpha[k] * math.exp(-sum(A[k][i] * (x[i] - P[k][i] * 1e-4) ** 2 for i in range(6))) for k in range(4))


def rosenbrock5(trial):
    x = [trial.suggest_float(f"x{i}", -2, 2) for i in range(5)]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))


def mixed(trial):
    kind = trial.suggest_categorical("kind", [0, 1, 2, 3])
    rate = trial.suggest_float("rate", 1e-4, 1, log=True)
    leaves = trial.suggest_int("leaves", 2, 128)
    share = trial.suggest_float("share", 0, 1)
    best = [(-1.0, 90), (-2.0, 30), (-2.5, 60), (-3.0, 15)][kind]
    return [0.3, 0.0, 0.15, 0.5][kind] + 0.4 * (math.log10(rate) - best[0]) ** 2 + ((leaves - best[1]) / 64) ** 2 + 0.5 * abs(share - 0.7)


def conditional(trial):
    kind = trial.suggest_categorical("kind", [0, 1])
    if kind == 0:
        x, n = trial.suggest_float("x", -5, 5), trial.suggest_int("n", 1, 20)
        return 0.1 * (x - 1) ** 2 + 0.05 * abs(n - 13) + 0.2
    y, z = trial.suggest_float("y", 1e-3, 1e3, log=True), trial.suggest_float("z", 0, 1)
    return 0.3 * (math.log10(y) - 1) ** 2 + (z - 0.25) ** 2


def tabular(losses, levels):
    def objective(trial):
        place = 0
        for i, count in enumerate(levels):
            place = place * count + trial.suggest_int(f"p{i}", 0, count - 1)
        return losses[place]

    return objective


def problems():
    found = {f.__name__: f for f in (branin, hartmann6, rosenbrock5, mixed, conditional)}
    path = HERE / "tables.json"
    tables = json.loads(path.read_text()) if path.exists() else {"losses": {}}
    for name, losses in tables["losses"].items():
        found[name] = tabular(losses, tables["levels"])
    return found


def running(values):
    best, out = math.inf, []
    for value in values:
        best = min(best, value)
        out.append(best)
    return out


def optuna_side(name, objective, sampler, seed, trials):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.samplers.TPESampler(seed=seed) if sampler == "tpe" else optuna.samplers.CmaEsSampler(seed=seed)
    study = optuna.create_study(sampler=made)
    study.optimize(objective, n_trials=trials)
    return running([trial.value for trial in study.trials])


def steps(best):
    """Trials, from 1, at which the best value fell."""
    return [[i + 1, v] for i, v in enumerate(best) if i == 0 or v < best[i - 1]]


def samplers(name):
    # An evolution strategy searches numbers that are always there.
    return ["tpe"] if name in ("mixed", "conditional") else ["tpe", "cmaes"]


def optuna_all(seeds=50, trials=100):
    path = HERE / "optuna.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    told = known["best"] if (known.get("seeds"), known.get("trials")) == (seeds, trials) else {}
    for name, objective in problems().items():
        for sampler in samplers(name):
            if f"{name} {sampler}" in told:
                continue
            told[f"{name} {sampler}"] = [steps(optuna_side(name, objective, sampler, seed, trials)) for seed in range(seeds)]
            print(name, sampler, flush=True)
            path.write_text(json.dumps({"optuna": importlib.metadata.version("optuna"), "seeds": seeds, "trials": trials, "best": told}))


def run(binary, seeds=50, trials=100):
    theirs_all = json.loads((HERE / "optuna.json").read_text())
    assert (theirs_all["seeds"], theirs_all["trials"]) == (seeds, trials), "optuna.json is of other seeds or trials"
    told = {}
    for line in subprocess.run([binary, str(HERE / "tables.json"), str(seeds), str(trials)], check=True, capture_output=True, text=True).stdout.splitlines():
        row = json.loads(line)
        told[row["problem"], row["sampler"], row["seed"]] = steps(row["best"])
    results = []
    print(f"| problem | sampler | V | trials to V, Cupola | Optuna | best after {trials // 2}, Cupola | Optuna | after {trials}, Cupola | Optuna |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key, theirs in theirs_all["best"].items():
        name, sampler = key.split(" ")
        sides = [[told[name, sampler, seed] for seed in range(seeds)], theirs]
        curves = [[statistics.median(column) for column in zip(*(curve(best, trials) for best in side))] for side in sides]
        value = curves[1][-1]
        first = [next((str(i + 1) for i, v in enumerate(line) if v <= value), "none") for line in curves]
        ends = [f"{line[place - 1]:.4g}" for place in (trials // 2, trials) for line in curves]
        results.append({"problem": name, "sampler": sampler, "value": value, "trials_to_value": first, "best": [float(end) for end in ends]})
        print(f"| {name} | {sampler} | {value:.4g} | {' | '.join(first)} | {' | '.join(ends)} |", flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    told = {"cupola": commit, "optuna": theirs_all["optuna"], "seeds": seeds, "trials": trials, "problems": results}
    (HERE / "results.json").write_text(json.dumps(told, indent=1) + "\n")


def curve(best, trials):
    """The best value after each trial, from the trials at which it fell."""
    out, place = [], 0
    for number in range(1, trials + 1):
        place += place + 1 < len(best) and best[place + 1][0] <= number
        out.append(best[place][1])
    return out


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "table":
        table()
    elif command == "optuna":
        optuna_all(*map(int, rest))
    else:
        run(rest[0], *map(int, rest[1:]))
