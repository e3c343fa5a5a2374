"""Writes layers.json: PyTorch's logits, loss and gradients for small networks of every layer, for the tests of crates/nets.

Run by hand: python parity/layers.py (torch 2.15, CPU). Computed in double precision from weights that formula.py makes.
"""

import json
import pathlib

import torch
from torch import nn

from formula import fill, images

CLASSES = 3
cases = []


def rounded(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


class Net(nn.Module):
    """Modules named by their place in the list, as the model `layers` names them; None for what has no weights of its own."""

    def __init__(self, parts, width):
        super().__init__()
        self.layers = nn.ModuleDict({str(place): part for place, (part, _) in enumerate(parts)})
        self.after = [after for _, after in parts]
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        for part, after in zip(self.layers.values(), self.after):
            x = after(part(x))
        return self.head(x.flatten(1))


def add(texts, parts, shape=(7, 6, 2), rows=4):
    parts = [part if isinstance(part, tuple) else (part, lambda x: x) for part in parts]
    x = torch.from_numpy(images(rows, *shape)).double()
    flat = x.float()
    with torch.no_grad():
        for part, after in parts:
            flat = after(part(flat))
    net = Net(parts, flat.flatten(1).shape[1])
    fill(net, torch)
    net = net.double()
    truth = torch.arange(rows) % CLASSES
    logits = net.eval()(x)
    loss = nn.functional.cross_entropy(net.train()(x), truth)
    loss.backward()
    gradients = {name: rounded(parameter.grad) for name, parameter in net.named_parameters()}
    running = {name: rounded(buffer) for name, buffer in net.named_buffers() if "running" in name}
    case = dict(layers=texts, shape=shape, rows=rows, logits=rounded(logits), loss=loss.item(), gradients=gradients, running=running)
    cases.append(case)


relu = nn.functional.relu
add(["conv 4 3 relu", "flatten"], [(nn.Conv2d(2, 4, 3), relu), nn.Flatten()])
add(["conv 4 3 stride=2 padding=1 bias=false", "flatten"], [nn.Conv2d(2, 4, 3, 2, 1, bias=False), nn.Flatten()])
add(["conv 4 2 padding=same", "flatten"], [nn.Conv2d(2, 4, 2, padding="same"), nn.Flatten()])
add(["conv 4 3 padding=same dilation=2 groups=2 tanh", "flatten"], [(nn.Conv2d(2, 4, 3, padding="same", dilation=2, groups=2), torch.tanh), nn.Flatten()])
add(["conv 3 3 stride=2 relu", "conv 5 2 padding=1", "flatten"], [(nn.Conv2d(2, 3, 3, 2), relu), nn.Conv2d(3, 5, 2, padding=1), nn.Flatten()])
add(["convtranspose 4 3 relu", "flatten"], [(nn.ConvTranspose2d(2, 4, 3), relu), nn.Flatten()])
add(["conv 4 3 stride=2 padding=1 relu", "convtranspose 6 4 stride=2 padding=1 bias=false", "flatten"], [(nn.Conv2d(2, 4, 3, 2, 1), relu), nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False), nn.Flatten()])
add(["convtranspose 4 3 stride=2 padding=1 output_padding=1 dilation=2 groups=2", "flatten"], [nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, groups=2, dilation=2), nn.Flatten()])
add(["conv 4 3", "maxpool 2", "flatten"], [nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.Flatten()])
add(["conv 4 3", "maxpool 3 stride=2 padding=1", "flatten"], [nn.Conv2d(2, 4, 3), nn.MaxPool2d(3, 2, 1), nn.Flatten()])
add(["conv 4 3", "avgpool 2", "flatten"], [nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), nn.Flatten()])
add(["conv 4 3", "avgpool 3 stride=2 padding=1", "flatten"], [nn.Conv2d(2, 4, 3), nn.AvgPool2d(3, 2, 1), nn.Flatten()])
add(["conv 4 3 relu", "globalavgpool"], [(nn.Conv2d(2, 4, 3), relu), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())])
add(["conv 4 3", "batchnorm relu", "conv 3 3", "flatten"], [nn.Conv2d(2, 4, 3), (nn.BatchNorm2d(4), relu), nn.Conv2d(4, 3, 3), nn.Flatten()])
add(["flatten", "dense 6", "batchnorm", "dense 5 gelu"], [nn.Flatten(), nn.Linear(84, 6), nn.BatchNorm1d(6), (nn.Linear(6, 5), nn.functional.gelu)])
add(["flatten", "dense 6 bias=false sigmoid"], [nn.Flatten(), (nn.Linear(84, 6, bias=False), torch.sigmoid)])
ACTIVATIONS = dict(relu6=nn.functional.relu6, tanh=torch.tanh, silu=nn.functional.silu, leaky_relu=nn.functional.leaky_relu, softplus=nn.functional.softplus, gelu=nn.functional.gelu)
ACTIVATIONS |= dict(scaled_tanh=lambda x: 1.7159 * torch.tanh(x * 2 / 3), sigmoid=torch.sigmoid, relu=relu, identity=lambda x: x)
for word, function in ACTIVATIONS.items():
    add(["flatten", f"dense 6 {word}"], [nn.Flatten(), (nn.Linear(84, 6), function)])

path = pathlib.Path(__file__).parent.parent / "crates/nets/parity/layers.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
