"""Writes crates/watch/parity/drift.json: what Evidently, NannyML and scipy say of seeded samples.

Run by hand, from the repository root: `python parity/drift.py`, with evidently 0.7, nannyml 0.13 and pandas 2. The samples are not in the file: both
sides draw them from the same generator (SplitMix64 by counter, `Draw` in crates/task), which `draw` below repeats.
"""

import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml
import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import chisquare_stattest, ks_stattest, psi, wasserstein_distance_norm
from evidently.legacy.core import ColumnType
from nannyml.chunk import SizeBasedChunker
from nannyml.drift.univariate import FeatureType, MethodFactory
from nannyml.thresholds import ConstantThreshold
from scipy import stats

warnings.filterwarnings("ignore")
GOLDEN, LAST = 0x9E3779B97F4A7C15, (1 << 64) - 1
NAMES = ["ash", "birch", "cedar", "elm", "fir", "oak"]


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & LAST
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & LAST
    return z ^ (z >> 31)


def draw(seed, count, start=0):
    key = mix(mix(mix((seed + GOLDEN) & LAST)))
    bits = [mix((key + (i + 1) * GOLDEN) & LAST) for i in range(start, start + count)]
    return np.array([b >> 11 for b in bits]) / float(1 << 53)


def normal(seed, count):
    u = draw(seed, 2 * count)
    return np.sqrt(-2 * np.log(1 - u[::2])) * np.cos(2 * np.pi * u[1::2])


def sample(shape, seed, rows, shift, scale):
    """Whole steps of 1/16 have ties; the other shapes have none."""
    if shape == "normal":
        return shift + scale * normal(seed, rows)
    if shape == "skewed":
        return shift - scale * np.log(1 - draw(seed, rows))
    if shape == "whole":
        return np.floor(shift + scale * 4 * normal(seed, rows))
    u = draw(seed, rows) ** (1 + shift)
    return np.array(NAMES)[np.minimum((u * scale * 6).astype(int), 5)]


def nanny(key, kind, reference, window):
    method = MethodFactory.create(
        key=key, feature_type=kind, chunker=SizeBasedChunker(len(window)), threshold=ConstantThreshold(upper=0.1), computation_params={}
    )
    method.fit(reference)
    value = method.calculate(window)
    return [float(value), bool(method.alert(value))]


def evidently(module, name, kind, reference, window, threshold):
    value, is_drift = getattr(module, name)(reference, window, kind, threshold)
    return [float(value), bool(is_drift)]


def numbers(case):
    reference, window = sides(case)
    d, p = stats.ks_2samp(reference, window, method="asymp")
    kind, ours = ColumnType.Numerical, FeatureType.CONTINUOUS
    return {
        "scipy": {"ks": [float(d), float(p)]},
        "evidently": {
            "ks": evidently(ks_stattest, "_ks_stat_test", kind, reference, window, 0.05),
            "psi": evidently(psi, "_psi", kind, reference, window, 0.1),
            "wasserstein": evidently(wasserstein_distance_norm, "_wasserstein_distance_norm", kind, reference, window, 0.1),
        },
        "nannyml": {
            "ks": nanny("kolmogorov_smirnov", ours, reference, window),
            "jensen_shannon": nanny("jensen_shannon", ours, reference, window),
        },
    }


def categories(case):
    reference, window = sides(case)
    kind, ours = ColumnType.Categorical, FeatureType.CATEGORICAL
    reference, window = reference.astype("category"), window.astype("category")
    return {
        "evidently": {
            "chi2": evidently(chisquare_stattest, "_chi_stat_test", kind, reference.astype(str), window.astype(str), 0.05),
            "psi": evidently(psi, "_psi", kind, reference.astype(str), window.astype(str), 0.1),
        },
        "nannyml": {
            "chi2": nanny("chi2", ours, reference, window),
            "jensen_shannon": nanny("jensen_shannon", ours, reference, window),
        },
    }


def sides(case):
    reference = sample(case["shape"], case["seed"], case["reference"], 0.0, 1.0)
    window = sample(case["shape"], case["seed"] + 1, case["window"], case["shift"], case["scale"])
    return pd.Series(reference, name="x"), pd.Series(window, name="x")


def cases():
    moves = [(0, 1), (0.05, 1), (0.2, 1), (0.5, 1), (1.0, 1), (0, 1.5), (0, 0.8)]
    seed = 100
    for shape in ["normal", "skewed", "whole", "names"]:
        for reference, window in [(1000, 200), (2000, 1000), (5000, 5000), (400, 3000)]:
            for shift, scale in moves:
                seed += 2
                yield {"shape": shape, "seed": seed, "reference": reference, "window": window, "shift": shift, "scale": scale}


def scores(seed, rows, classes, power, sharpness):
    """Scores of a model that is right about odds but for a power; classes are drawn from what holds."""
    u = np.stack([draw(seed + k, rows) for k in range(classes)], axis=1)
    logits = sharpness * u + power * np.arange(classes)[None]
    score = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return score, draw(seed + classes, rows)


def truth(score, drawn, bend):
    holds = score**bend
    holds /= holds.sum(1, keepdims=True)
    return (drawn[:, None] > np.cumsum(holds, 1)).sum(1).clip(0, score.shape[1] - 1)


def table(score, truths, names):
    said = np.array(names)[score.argmax(1)]
    columns = {f"p_{name}": score[:, k] for k, name in enumerate(names)}
    return pd.DataFrame({**columns, "said": said, "truth": np.array(names)[truths]})


def cbpe(case):
    names = NAMES[: case["classes"]]
    score, drawn = scores(case["seed"], case["reference"], case["classes"], 0.0, 3.0)
    reference = table(score, truth(score, drawn, case["bend"]), names)
    metrics = ["accuracy", "f1", "roc_auc", "precision", "recall"]
    binary = case["classes"] == 2
    if binary:
        for column in ("said", "truth"):
            reference[column] = (reference[column] == names[1]).astype(int)
    estimator = nannyml.CBPE(
        y_pred_proba="p_birch" if binary else {name: f"p_{name}" for name in names},
        y_pred="said",
        y_true="truth",
        problem_type="classification_binary" if binary else "classification_multiclass",
        metrics=metrics,
        chunk_size=case["window"],
    )
    estimator.fit(reference)
    windows = []
    for place, (power, sharpness) in enumerate(case["moves"]):
        score, _ = scores(case["seed"] + 50 + 10 * place, case["window"], case["classes"], power, sharpness)
        part = table(score, score.argmax(1), names).drop(columns="truth")
        if binary:
            part["said"] = (part["said"] == names[1]).astype(int)
        row = estimator.estimate(part).filter(period="analysis").to_df().iloc[0]
        windows.append({metric: [row[(metric, "value")], row[(metric, "sampling_error")], bool(row[(metric, "alert")])] for metric in metrics})
    return windows


def estimates():
    moves = [[0.0, 3.0], [0.0, 1.0], [0.0, 6.0], [1.0, 3.0], [-1.0, 2.0]]
    for classes in (2, 3):
        for bend in (1.0, 2.0):
            for reference, window in ((3000, 1000), (5000, 500)):
                seed = 9000 + 1000 * classes + int(100 * bend) + window // 100
                yield {"classes": classes, "bend": bend, "seed": seed, "reference": reference, "window": window, "moves": moves}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.10g}")
    return value


def main():
    drifts = [{**case, **(categories if case["shape"] == "names" else numbers)(case)} for case in cases()]
    quality = [{**case, "nannyml": cbpe(case)} for case in estimates()]
    versions = {"python": sys.version.split()[0], **{name: version(name) for name in ("numpy", "scipy", "evidently", "nannyml")}}
    lines = [",\n".join(json.dumps(plain(case), separators=(",", ":")) for case in part) for part in (drifts, quality)]
    text = f'{{"versions":{json.dumps(versions)},\n"drift":[\n{lines[0]}\n],\n"cbpe":[\n{lines[1]}\n]}}\n'
    path = Path("crates/watch/parity/drift.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    print(len(drifts) + len(quality), "cases,", len(text), "bytes")


main()
