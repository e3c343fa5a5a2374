"""Answers of trained networks (a way forwards, no gradients): Cupola against onnxruntime, alternating A B B A.

Usage: bench.py CUPOLA_BINARY [--workloads mlp,resnet50] [--batches 1,32] [--rounds 4] [--threads 2] [--python PYTHON] [--write] [--missing]
What runs is the example train_steps of crates/nets, which lies beside the program: cargo build --release --workspace --example train_steps.
Needs torch, torchvision, onnx, onnxscript and onnxruntime in that Python. Prints a table and, with --write, puts each row into results.json.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import turns  # noqa: E402

WORKLOADS = ["mlp", "lenet5_modern", "resnet8", "resnet18", "lstm", "gpt", "bert", "mobilenet_v2", "resnet50", "vgg16"]


def main():
    parser = turns.arguments(__doc__, WORKLOADS)
    parser.add_argument("--batches", type=lambda text: text.split(","), default=["1", "32"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as models:
        theirs = [options.python, str(HERE / "onnx_answers.py"), models, str(options.threads)]
        commands = {"cupola": turns.example(options), "onnxruntime": theirs}
        rows = [(f"{name}, {rows} rows", commands, f"forward {name} {rows}") for name in options.workloads for rows in options.batches]
        turns.run(HERE, ["torch", "torchvision", "onnx", "onnxruntime"], options, rows)


main()
