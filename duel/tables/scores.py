"""Scores of answers, one way for all systems, each a function of how often a row counts: so bootstrap samples of the test rows cost little.

The first of a table's scores is of all rows, each counted once; intervals come from the same samples for every system, so differences are paired.
"""

import numpy

SAMPLES = 1000
SEED = 20
HIGHER = {"roc_auc": True, "average_precision": True, "log_loss": False, "accuracy": True, "rmse": False, "mae": False, "r2": True}
SECOND = {"binary": ["roc_auc", "average_precision", "log_loss", "accuracy"], "multiclass": ["log_loss", "accuracy"], "regression": ["rmse", "mae", "r2"]}


def samples(rows):
    """How often each row is drawn, sample by sample."""
    draw = numpy.random.default_rng(SEED)
    for _ in range(SAMPLES):
        yield numpy.bincount(draw.integers(0, rows, rows), minlength=rows).astype("f8")


def ranked(truth, score):
    """For scores of ranks: rows of each class on every step of the score, the highest first."""
    step = numpy.unique(-score, return_inverse=True)[1]
    steps = step.max() + 1
    return lambda counts: [numpy.bincount(step, counts * side, steps) for side in (truth, ~truth)]


def roc_auc(truth, score):
    on = ranked(truth, score)

    def value(counts):
        yes, no = on(counts)
        below = no.sum() - numpy.cumsum(no)
        return float((yes * (below + no / 2)).sum() / (yes.sum() * no.sum()))

    return value


def average_precision(truth, score):
    on = ranked(truth, score)

    def value(counts):
        yes, no = on(counts)
        hits, said = numpy.cumsum(yes), numpy.cumsum(yes + no)
        return float((yes * hits / numpy.maximum(said, 1)).sum() / yes.sum())

    return value


def mean(values):
    return lambda counts: float(counts @ values / counts.sum())


def measures(task, truth, answers, positive):
    """All scores of the task, each a function of counts. Truth: the number of each row's class in the order of `answers`, or numbers."""
    if task == "regression":
        square = (answers - truth) ** 2

        def r2(counts):
            middle = counts @ truth / counts.sum()
            return float(1 - counts @ square / (counts @ (truth - middle) ** 2))

        return {"rmse": lambda counts: float(numpy.sqrt(counts @ square / counts.sum())), "mae": mean(abs(answers - truth)), "r2": r2}
    answers = answers / answers.sum(axis=1, keepdims=True)
    said = numpy.clip(answers[numpy.arange(len(truth)), truth], 1e-15, 1)
    found = {"log_loss": mean(-numpy.log(said)), "accuracy": mean((answers.argmax(axis=1) == truth).astype("f8"))}
    if task == "binary":
        score, is_positive = answers[:, positive], truth == positive
        found |= {"roc_auc": roc_auc(is_positive, score), "average_precision": average_precision(is_positive, score)}
    return found


def score(table, truth, answers, positive):
    """All scores, and of the one that ranks the interval and the value in every sample."""
    found = measures(table.task, truth, answers, positive)
    once = numpy.ones(len(truth))
    drawn = numpy.array([found[table.metric](counts) for counts in samples(len(truth))])
    told = {name: round(found[name](once), 6) for name in SECOND[table.task]}
    return told, interval(drawn), drawn


def interval(drawn):
    return [round(float(bound), 6) for bound in numpy.quantile(drawn, [0.025, 0.975])]
