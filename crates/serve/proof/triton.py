"""Asks a running server through the Open Inference Protocol with Triton's own HTTP client and holds the answers against /predict.

    python -m venv venv && venv/bin/pip install 'tritonclient[http]' numpy
    cupola serve MODEL http=127.0.0.1:8000
    venv/bin/python triton.py 127.0.0.1:8000 rows.csv      # rows of the model's inputs, with a header line

Exits 1 at the first difference. Every datatype of the client goes through the binary extension and through JSON.
"""

import csv
import json
import sys
import urllib.request

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

MISSING = {"", "?", "NA", "nan"}


def main(address, path):
    client = triton.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready()
    name = json.load(urllib.request.urlopen(f"http://{address}/health"))["models"][0]["name"]
    assert client.is_model_ready(name) and client.is_model_ready(name, "1")
    about = client.get_model_metadata(name)
    with open(path, newline="") as file:
        rows = [{key.strip(): value.strip() for key, value in row.items()} for row in csv.DictReader(file)][:500]
    wanted = predict(address, about, rows)
    outputs = {output["name"]: output for output in about["outputs"]}
    for binary in (True, False):
        for shape in ((len(rows),), (len(rows), 1)):
            inputs = [tensor(column, rows, shape, binary) for column in about["inputs"]]
            asked = [triton.InferRequestedOutput(output, binary_data=binary) for output in outputs]
            check(client.infer(name, inputs, outputs=asked, request_id="7"), outputs, wanted)
    inputs = [tensor(column, rows, (len(rows),), True) for column in about["inputs"]]
    check(client.infer(name, inputs), outputs, wanted)  # The client's defaults: raw tensors both ways.
    only = client.infer(name, inputs, outputs=[triton.InferRequestedOutput("prediction")])
    assert only.as_numpy("prediction").shape[0] == len(rows) and only.get_output("probability") is None
    refused(client, name, inputs[1:])
    refused(client, name + "x", inputs)
    print(f"{len(rows)} rows of {len(inputs)} columns: tritonclient gets what /predict answers, raw and as JSON")


def tensor(column, rows, shape, binary):
    texts = [row[column["name"]] for row in rows]
    if column["datatype"] == "BYTES":
        values = np.array(["" if text in MISSING else text for text in texts], dtype=np.object_)
    else:
        values = np.array([np.nan if text in MISSING else float(text) for text in texts], dtype=np.float64)
        # JSON holds no NaN: those rows go as numbers that are there.
        values = values if binary else np.nan_to_num(values)
    made = triton.InferInput(column["name"], list(shape), column["datatype"])
    made.set_data_from_numpy(values.reshape(shape), binary_data=binary)
    return made


def predict(address, about, rows):
    kinds = {column["name"]: column["datatype"] for column in about["inputs"]}
    cell = lambda name, text: None if text in MISSING else text if kinds[name] == "BYTES" else float(text)
    body = {"rows": [{name: cell(name, row[name]) for name in kinds} for row in rows]}
    request = urllib.request.Request(f"http://{address}/predict", json.dumps(body).encode(), {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))["predictions"]


def check(result, outputs, wanted):
    found = result.as_numpy("prediction").tolist()
    found = [value.decode() if isinstance(value, bytes) else value for value in found]
    assert found == [row["prediction"] for row in wanted]
    if "probability" in outputs:
        classes = outputs["probability"]["parameters"]["classes"]
        truth = np.array([[row[f"probability_{name}"] for name in classes] for row in wanted])
        assert np.array_equal(result.as_numpy("probability"), truth)


def refused(client, name, inputs):
    try:
        client.infer(name, inputs)
    except InferenceServerException as error:
        print("refused:", error)
        return
    raise AssertionError("the server answers what it must refuse")


if __name__ == "__main__":
    main(*sys.argv[1:3])
