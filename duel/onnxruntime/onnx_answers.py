"""The opponent of bench.py: the same networks in onnxruntime.

Usage: onnx_answers.py FOLDER THREADS
Reads lines `forward WORKLOAD ROWS CALLS` and answers each with a line of JSON: milliseconds of every call. `peak` answers with the most memory
of the process in MB. A model that is not in the folder yet is exported by a process of its own, whose memory does not count.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER, THREADS = Path(sys.argv[1]), int(sys.argv[2])


def running(name, rows):
    path = FOLDER / f"{name}-{rows}.onnx"
    if not path.exists():
        export = [sys.executable, str(Path(__file__).with_name("export.py")), name, rows, str(path)]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    noise = np.random.default_rng(1)
    whole = taken.type == "tensor(int64)"
    inputs = noise.integers(0, 256, taken.shape) if whole else noise.random(taken.shape, dtype=np.float32)
    return lambda: session.run(None, {taken.name: inputs})


def main():
    opened = {}
    for line in sys.stdin:
        if line.strip() == "peak":
            answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        else:
            _, name, rows, calls = line.split()
            if (name, rows) not in opened:
                opened[name, rows] = running(name, rows)
            answer = []
            for _ in range(int(calls)):
                began = time.perf_counter()
                opened[name, rows]()
                answer.append((time.perf_counter() - began) * 1000)
        print(json.dumps(answer), flush=True)


main()
