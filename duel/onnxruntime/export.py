"""Writes one of the duels' networks as ONNX, as PyTorch exports it by default: in evaluation mode, sides fixed.

Usage: export.py WORKLOAD ROWS FILE
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytorch"))
from networks import made  # noqa: E402

name, rows, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.manual_seed(1)
net, inputs, _ = made(name, rows)
torch.onnx.export(net.eval(), (inputs,), path, dynamo=True)
