"""Golden numbers for the samplers of `cupola tune`: Parzen estimators of Optuna, updates of cmaes.

    pip install optuna==5.0.0 cmaes==0.13.1
    python3 parity/tune.py

writes crates/train/parity/tune.json.
"""

import json
import math
import pathlib

import numpy as np
import optuna
from cmaes import CMA
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.trial import TrialState, create_trial

# Which of equal observations gets which bandwidth is left open by numpy's default sort, and so by Optuna: it depends on the processor. Here equal ones
# stay in their order.
argsort = np.argsort
np.argsort = lambda a, axis=-1, kind=None: argsort(a, axis=axis, kind="stable")

optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = {
    "x": FloatDistribution(-3.0, 5.0),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "leaves": IntDistribution(2, 40),
    "rows": IntDistribution(1, 128, log=True),
    "share": FloatDistribution(0.0, 1.0, step=0.125),
    "kind": CategoricalDistribution([0, 1, 2]),
}


def case(trials, pruned, seed, names):
    rng = np.random.RandomState(seed)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    space = {name: SPACE[name] for name in names}
    random = optuna.samplers.RandomSampler(seed=seed)
    rows = []
    for number in range(trials):
        params = {name: random.sample_independent(study, None, name, dist) for name, dist in space.items()}
        value = float(rng.randn())
        is_pruned = number in pruned
        steps = {int(step): float(rng.randn()) for step in range(1, 2 + number % 3)}
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
                value=None if is_pruned else value,
                params=params,
                distributions=space,
                intermediate_values=steps,
            )
        )
        rows.append({"params": [float(params[name]) for name in names], "value": None if is_pruned else value, "steps": list(steps.items())})
    finished = study.get_trials(deepcopy=False)
    below, above = _split_trials(study, finished, default_gamma(len(finished)))
    sampler = study.sampler
    estimators = [sampler._build_parzen_estimator(study, space, some, handle_below=False) for some in (below, above)]
    points = {name: np.array([dist.to_internal_repr(random.sample_independent(study, None, name, dist)) for _ in range(12)]) for name, dist in space.items()}
    for name, dist in space.items():
        if not isinstance(dist, CategoricalDistribution):
            points[name][0], points[name][1] = dist.low, dist.high
    density = [estimator.log_pdf(points).tolist() for estimator in estimators]
    return {
        "names": names,
        "trials": rows,
        "below": [trial.number for trial in below],
        "points": np.array([points[name] for name in names]).T.tolist(),
        "log_below": density[0],
        "log_above": density[1],
    }


def evolution(dimensions, generations, seed):
    cma = CMA(mean=np.full(dimensions, 0.5), sigma=1 / 6, bounds=np.array([[0.0, 1.0]] * dimensions), seed=seed, n_max_resampling=10 * dimensions)
    told = []
    for _ in range(generations):
        samples = [cma.ask() for _ in range(cma.population_size)]
        values = [float(np.sum(np.arange(1, dimensions + 1) * (x - 0.3) ** 2) + x[0] * x[-1]) for x in samples]
        cma.tell(list(zip(samples, values)))
        told.append(
            {
                "samples": [x.tolist() for x in samples],
                "values": values,
                "mean": cma._mean.tolist(),
                "sigma": float(cma._sigma),
                "covariance": cma._C.ravel().tolist(),
                "path_sigma": cma._p_sigma.tolist(),
                "path": cma._pc.tolist(),
            }
        )
    return {"dimensions": dimensions, "generations": told}


def main():
    names = list(SPACE)
    golden = {
        "made_by": f"optuna {optuna.__version__}, cmaes 0.13.1, numpy {np.__version__}",
        "estimators": [
            case(12, [], 1, names),
            case(45, [3, 11, 12, 30], 2, names),
            case(300, [5], 3, ["x", "rate", "kind"]),
            case(14, list(range(13)), 4, ["leaves", "share"]),
            *[case(33, [], 5 + place, [name]) for place, name in enumerate(names)],
        ],
        "evolution": [evolution(1, 4, 1), evolution(3, 8, 2), evolution(7, 12, 3)],
    }
    path = pathlib.Path(__file__).parent.parent / "crates/train/parity/tune.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, math.ceil(path.stat().st_size / 1024), "KB")


if __name__ == "__main__":
    main()
