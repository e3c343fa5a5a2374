"""One row in, one probability out: FastAPI with LightGBM, as `bench.py` serves it.

Two forms, chosen by FORM: `usual` checks rows with pydantic, makes a frame of pandas and lets LightGBM find its categories, as its documentation
and most tutorials do; `best` has no pydantic and no pandas: the row becomes a NumPy array by a dictionary, and answers are written by FastAPI's
plain response. Both answer in the event loop, without a hop to another thread.
"""

import json
import os

import lightgbm
import numpy as np
from fastapi import FastAPI, Request, Response

FOLDER = os.environ["MODEL"]
booster = lightgbm.Booster(model_file=f"{FOLDER}/model.txt")
columns = json.load(open(f"{FOLDER}/columns.json"))  # name -> None for numbers, or the list of classes
app = FastAPI()

if os.environ["FORM"] == "usual":
    import pandas as pd
    from pydantic import create_model

    Row = create_model("Row", **{name: ((float if classes is None else str) | None, ...) for name, classes in columns.items()})
    kinds = {name: pd.CategoricalDtype(classes) for name, classes in columns.items() if classes is not None}

    @app.post("/predict")
    async def predict(row: Row):
        frame = pd.DataFrame([row.model_dump()]).astype(kinds)
        p = float(booster.predict(frame, num_threads=1)[0])
        return {"predictions": [{"prediction": ">50K" if p > 0.5 else "<=50K", "probability_<=50K": 1 - p, "probability_>50K": p}]}

else:
    codes = [(name, None if classes is None else {value: float(code) for code, value in enumerate(classes)}) for name, classes in columns.items()]

    @app.post("/predict")
    async def predict(request: Request):
        row = json.loads(await request.body())
        cells = np.array([[row[name] if classes is None else classes.get(row[name], np.nan) for name, classes in codes]], dtype=np.float64)
        p = float(booster.predict(cells, num_threads=1)[0])
        answer = {"predictions": [{"prediction": ">50K" if p > 0.5 else "<=50K", "probability_<=50K": 1 - p, "probability_>50K": p}]}
        return Response(json.dumps(answer), media_type="application/json")
