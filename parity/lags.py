"""Lags and rolling statistics as pandas gives them, for series with gaps and groups, rows in any order.

Run by hand: python3 parity/lags.py (pandas 2 or newer); it writes crates/data/parity/lags.json.
"""

import json
import pathlib

import numpy as np
import pandas as pd

rng = np.random.default_rng(11)
cases = []
for case in range(12):
    rows = int(rng.integers(1, 60))
    frame = pd.DataFrame({
        "t": rng.permutation(rows).astype(float),
        "g": rng.choice(["a", "b", "c"], rows),
        "x": np.where(rng.random(rows) < 0.15, np.nan, rng.normal(0, 10, rows).round(3)),
    })
    lags, windows = [1, 2, 7], [2, 5]
    statistics = ["mean", "std", "min", "max"]
    periods = [None, 1, 2][case % 3]
    grouped = case % 2 == 0
    ordered = frame.sort_values("t")
    series = ordered.groupby("g")["x"] if grouped else ordered["x"]
    made = {f"x_lag_{lag}": series.shift(lag) for lag in lags}
    for window in windows:
        for statistic in statistics:
            def rolled(values, window=window, statistic=statistic):
                return getattr(values.shift(1).rolling(window, min_periods=periods), statistic)()
            made[f"x_rolling_{statistic}_{window}"] = series.transform(rolled) if grouped else rolled(series)
    settings = {"columns": "[x]", "lags": str(lags), "windows": str(windows), "time": "t",
                "statistics": "[" + ", ".join(statistics) + "]"}
    if periods:
        settings["min_periods"] = str(periods)
    if grouped:
        settings["group"] = "g"
    cell = lambda value: None if pd.isna(value) else float(value)
    cases.append({
        "t": frame.t.tolist(), "g": frame.g.tolist(), "x": [cell(v) for v in frame.x], "settings": settings,
        "expected": {name: [cell(v) for v in column.reindex(frame.index)] for name, column in made.items()},
    })
here = pathlib.Path(__file__).parent.parent / "crates" / "data" / "parity"
(here / "lags.json").write_text(json.dumps({"pandas": pd.__version__, "cases": cases}) + "\n")
