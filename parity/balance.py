"""Writes balance.json: small tables with the counts, neighbours and made-up rows of imbalanced-learn's samplers, for the tests of ours.

What the samplers draw is read from their random numbers, so that a test can make the same row. Run by hand: python parity/balance.py
(numpy, scikit-learn 1.9, imbalanced-learn 0.14).
"""

import json
import pathlib

import numpy as np
from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

rng = np.random.default_rng(5)
cases = []
SEED = 3


def case(name, classes, mixed, ratio, neighbours):
    sizes = [40, 11, 8][:classes]
    y = rng.permutation(np.repeat(np.arange(classes), sizes))
    numbers = (rng.normal(size=(len(y), 3)) * [1, 3, 0.5] + y[:, None]).round(3)
    codes = rng.integers(0, 3, size=(len(y), 2)) if mixed else np.zeros((len(y), 0), int)
    x = np.hstack([numbers, codes])
    strategy = ratio if ratio < 1 else "auto"
    over = np.bincount(RandomOverSampler(sampling_strategy=strategy, random_state=1).fit_resample(x, y)[1])
    under = np.bincount(RandomUnderSampler(sampling_strategy=strategy, random_state=1).fit_resample(x, y)[1])
    settings = dict(sampling_strategy=strategy, k_neighbors=neighbours, random_state=SEED)
    sampler = SMOTENC(categorical_features=[3, 4], **settings) if mixed else SMOTE(**settings)
    seen = []
    make = sampler._make_samples

    def spy(X, dtype, label, data, nearest, count, *args, **kwargs):
        random = np.random.RandomState(SEED)
        drawn, steps = random.randint(0, nearest.size, size=count), random.uniform(size=count)
        seen.append((int(label), nearest.tolist(), (drawn // nearest.shape[1]).tolist(), (drawn % nearest.shape[1]).tolist(), steps.tolist()))
        return make(X, dtype, label, data, nearest, count, *args, **kwargs)

    sampler._make_samples = spy
    made_x, made_y = sampler.fit_resample(x, y)
    made, at = [], len(y)
    for label, nearest, rows, picks, steps in seen:
        members = np.flatnonzero(y == label)
        for row, pick, step in zip(rows, picks, steps):
            assert made_y[at] == label
            # Where two categories are equally frequent imbalanced-learn draws one: such rows are left out.
            votes = [np.bincount(codes[members[nearest[row]], place], minlength=3) for place in range(codes.shape[1])]
            if all((vote == vote.max()).sum() == 1 for vote in votes):
                cells = dict(numbers=made_x[at, :3].tolist(), categories=made_x[at, 3:].astype(int).tolist())
                made.append({"class": label, "row": row, "neighbour": pick, "step": step, **cells})
            at += 1
    cases.append(
        dict(
            name=name, numbers=numbers.T.tolist(), categories=codes.T.tolist(), y=y.tolist(), ratio=ratio, neighbours=neighbours,
            over=over.tolist(), under=under.tolist(), nearest=[(label, nearest) for label, nearest, *_ in seen], made=made[:25],
        )
    )


case("two classes", 2, False, 1.0, 5)
case("two classes, half", 2, False, 0.5, 3)
case("three classes", 3, False, 1.0, 4)
case("mixed", 2, True, 1.0, 5)
case("mixed, three classes", 3, True, 1.0, 3)
path = pathlib.Path(__file__).parent.parent / "crates/data/parity/balance.json"
text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n"
path.write_text(text)
print(path, len(cases), "cases", len(text), "bytes", [len(case["made"]) for case in cases])
