"""Golden numbers for measures by group: Fairlearn's.

    pip install fairlearn==0.15.0 scikit-learn==1.9.1 && python parity/groups.py

writes crates/metrics/src/groups.json.
"""
import json
import pathlib

import numpy as np
from fairlearn import metrics as fair
from sklearn import metrics as sk

OUT = pathlib.Path(__file__).parent.parent / "crates/metrics/src/groups.json"


def case(rng, rows, weighted):
    group = rng.integers(0, 3, rows)
    p = 1 / (1 + np.exp(-rng.normal(size=rows) - 0.5 * (group == 1)))
    y = (rng.uniform(size=rows) < p).astype(int)
    score = np.round(np.clip(p + rng.normal(size=rows) * 0.2, 0.001, 0.999), 3)
    said = (score > 0.5).astype(int)
    weight = np.round(rng.uniform(0.2, 2, rows), 3) if weighted else None
    base = {
        "selection_rate": fair.selection_rate,
        "true_positive_rate": fair.true_positive_rate,
        "false_positive_rate": fair.false_positive_rate,
        "false_negative_rate": fair.false_negative_rate,
        "accuracy": sk.accuracy_score,
        "precision": sk.precision_score,
    }
    params = {name: {"sample_weight": weight} for name in base} if weighted else None
    frame = fair.MetricFrame(metrics=base, y_true=y, y_pred=said, sensitive_features=group, sample_params=params)
    options = {"sensitive_features": group} | ({"sample_weight": weight} if weighted else {})
    gaps = {
        name: float(getattr(fair, name)(y, said, **options))
        for name in [
            "demographic_parity_difference", "demographic_parity_ratio", "equal_opportunity_difference", "equal_opportunity_ratio",
            "equalized_odds_difference", "equalized_odds_ratio",
        ]
    }
    return {
        "group": group.tolist(), "score": score.tolist(), "truth": y.tolist(), "weight": None if weight is None else weight.tolist(),
        "overall": {name: float(value) for name, value in frame.overall.items()},
        "by_group": {name: [float(value) for value in frame.by_group[name]] for name in base},
        "difference": {name: float(value) for name, value in frame.difference().items()},
        "ratio": {name: float(value) for name, value in frame.ratio().items()},
        "gaps": gaps,
    }


rng = np.random.default_rng(5)
OUT.write_text(json.dumps([case(rng, 400, False), case(rng, 300, True)]))
print(OUT, OUT.stat().st_size)
