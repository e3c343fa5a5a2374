"""Writes naive_bayes.json: small problems with the probabilities of scikit-learn's naive Bayes classifiers, for the tests of ours.

Run by hand: python parity/naive_bayes.py (numpy, scikit-learn 1.9).
"""

import json
import pathlib

import numpy as np
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB

rng = np.random.default_rng(7)
cases = []


def add(name, model, settings, x, y, weight, categories=False):
    answers = model.fit(x, y, sample_weight=weight).predict_proba(x)[:10]
    weight = None if weight is None else weight.tolist()
    cases.append(
        dict(name=name, settings=settings, categories=categories, x=x.tolist(), y=y.astype(int).tolist(), weight=weight, answers=answers.round(10).tolist())
    )


for classes in [2, 4]:
    rows = 15 * classes
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, size=rows - classes)]).astype(float)
    for weighted in [False, True]:
        # The largest variance, which smoothing goes by, is of rows without weights in both.
        weight = rng.choice([0.5, 1.0, 2.0], size=rows) if weighted else None
        name = f"{classes} classes" + (", weighted" if weighted else "")
        normal = (rng.normal(size=(rows, 3)) * [1, 5, 0.2] + y[:, None] * [0.5, 2, 0.1]).round(3)
        add("gaussian " + name, GaussianNB(), "", normal, y, weight)
        add("gaussian smooth " + name, GaussianNB(var_smoothing=0.1), "var_smoothing=0.1", normal, y, weight)
        even = GaussianNB(priors=np.full(classes, 1 / classes))
        add("gaussian even " + name, even, "fit_prior=false", normal, y, weight)
        counts = rng.poisson(1.5 + y[:, None] * [0.5, 0.1, 0, 1], size=(rows, 4)).astype(float)
        add("multinomial " + name, MultinomialNB(), "distribution=multinomial", counts, y, weight)
        add("multinomial 0.2 " + name, MultinomialNB(alpha=0.2), "distribution=multinomial alpha=0.2", counts, y, weight)
        add("bernoulli " + name, BernoulliNB(), "distribution=bernoulli", counts, y, weight)
        add("bernoulli 1 " + name, BernoulliNB(binarize=1.0, alpha=0.5), "distribution=bernoulli binarize=1 alpha=0.5", counts, y, weight)
        codes = np.minimum(rng.poisson(1 + y[:, None] * 0.3, size=(rows, 3)), 4).astype(float)
        add("categorical " + name, CategoricalNB(), "", codes, y, weight, True)
        add("categorical 0.3 " + name, CategoricalNB(alpha=0.3), "alpha=0.3", codes, y, weight, True)

path = pathlib.Path(__file__).parent.parent / "crates/classic/parity/naive_bayes.json"
text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n"
path.write_text(text)
print(path, len(cases), "cases", len(text), "bytes")
