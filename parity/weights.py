"""Writes crates/nets/fixtures/weights: small files of weights as PyTorch and safetensors write them, good ones and bad ones.

Run by hand: python parity/weights.py (torch 2.9 or later). Number i of every tensor is (i - 3) / 4, which all float types hold exactly.
"""

import io
import json
import os
import pathlib
import struct
import zipfile
from collections import OrderedDict

import torch

folder = pathlib.Path(__file__).parent.parent / "crates" / "nets" / "fixtures" / "weights"
folder.mkdir(parents=True, exist_ok=True)


def values(*shape):
    n = torch.Size(shape).numel()
    return ((torch.arange(n) - 3) / 4).reshape(shape)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 2)
        self.bn = torch.nn.BatchNorm2d(2)
        self.fc = torch.nn.Linear(4, 3)


net = Net()
with torch.no_grad():
    for tensor in net.state_dict().values():
        tensor.copy_(values(*tensor.shape))

# A state dictionary with another type a tensor, one of them transposed and one a part of another.
state = net.state_dict()
state["conv.weight"] = state["conv.weight"].double()
state["conv.bias"] = state["conv.bias"].half()
state["fc.weight"] = values(3, 4).T.contiguous().T
state["fc.bias"] = torch.cat([torch.full((5,), 9.0), values(3)]).bfloat16()[5:]
torch.save(state, folder / "state.pt")
torch.save(state, folder / "state_protocol_4.pth", pickle_protocol=4)

# A checkpoint of a training, with wrapped names, parameters and an optimiser's state.
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
sum(p.sum() for p in net.parameters()).backward()
optimizer.step()
with torch.no_grad():
    for tensor in net.state_dict().values():
        tensor.copy_(values(*tensor.shape))
wrapped = OrderedDict((f"module.{name}", value) for name, value in net.state_dict().items())
wrapped["module.fc.bias"] = torch.nn.Parameter(wrapped["module.fc.bias"])
checkpoint = {"epoch": 3, "best": 0.75, "done": True, "note": None, "big": 1 << 70, "model": wrapped, "optimizer": optimizer.state_dict()}
torch.save(checkpoint, folder / "checkpoint.pt")

# The same archive with 64-bit fields everywhere, as files above 4 GiB have them.
zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = 0
with zipfile.ZipFile(folder / "state.pt") as plain, zipfile.ZipFile(folder / "state_zip64.pt", "w") as wide:
    for name in plain.namelist():
        wide.writestr(zipfile.ZipInfo(name), plain.read(name))
zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = (1 << 31) - 1, (1 << 16) - 1

# What must be refused.
torch.save({"fc.bias": values(3)}, folder / "old_format.pt", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), folder / "whole_module.pt")


class Evil:
    def __reduce__(self):
        return os.system, ("exit 1",)


torch.save({"fc.bias": values(3), "evil": Evil()}, folder / "code.pt")
buffer = io.BytesIO()
torch.save({"fc.bias": values(3)}, buffer)
with zipfile.ZipFile(buffer) as stored, zipfile.ZipFile(folder / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
    for name in stored.namelist():
        packed.writestr(zipfile.ZipInfo(name), stored.read(name), zipfile.ZIP_DEFLATED)

# Safetensors, written out: 8 bytes of length, a JSON header, the numbers.
TYPES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
header, data = {}, b""
for name, tensor in state.items():
    raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(folder / "state.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
