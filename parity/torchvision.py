"""Writes torchvision_shapes.json and torchvision.json for the tests of crates/nets: names and shapes of torchvision's networks, and what some
of them compute (log-probabilities, loss, gradients, running statistics) with weights and images that formula.py makes.

Run by hand (torch 2.15, torchvision 0.29, CPU):
    python parity/torchvision.py                     writes the two files
    python parity/torchvision.py dump DIR NAME...    writes DIR/NAME.safetensors and DIR/NAME.json of whole networks, for
                                                     `cargo run --release -p cupola-nets --example torchvision -- DIR NAME...`

Computed in double precision, so that differences are those of our single precision alone.
"""

import copy
import json
import pathlib
import sys

# This file has the name of the package that it compares with.
sys.path = [folder for folder in sys.path if pathlib.Path(folder or ".").resolve() != pathlib.Path(__file__).parent.resolve()]
import torch
import torchvision
from torch import nn

sys.path.append(str(pathlib.Path(__file__).parent))
from formula import fill, images

OUT = pathlib.Path(__file__).parent.parent / "crates/nets/parity"
NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"]
NAMES += [f"vgg{layers}{norm}" for layers in (11, 13, 16, 19) for norm in ("", "_bn")]


class LeNet5Modern(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, num_classes)

    def forward(self, x):
        relu, pool = nn.functional.relu, nn.functional.max_pool2d
        x = pool(relu(self.conv1(x)), 2)
        x = pool(relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(relu(self.fc2(relu(self.fc1(x)))))


class SmallBlock(nn.Module):
    def __init__(self, maps_in, maps, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(maps_in, maps, 3, stride, 1, bias=False), nn.BatchNorm2d(maps)
        self.conv2, self.bn2 = nn.Conv2d(maps, maps, 3, 1, 1, bias=False), nn.BatchNorm2d(maps)
        self.stride, self.new = stride, maps - maps_in

    def forward(self, x):
        body = self.bn2(self.conv2(nn.functional.relu(self.bn1(self.conv1(x)))))
        thin = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.relu(body + nn.functional.pad(thin, (0, 0, 0, 0, self.new // 2, self.new - self.new // 2)))


class ResNet8(nn.Module):
    """Section 4.2 of He et al. 2016 with n = 1 and shortcuts of option A."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        stages = [SmallBlock(16, 16, 1), SmallBlock(16, 32, 2), SmallBlock(32, 64, 2)]
        self.layer1, self.layer2, self.layer3 = (nn.ModuleList([stage]) for stage in stages)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        x = nn.functional.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage[0](x)
        return self.fc(x.mean((2, 3)))


class ResNet9(nn.Module):
    """The base network of github.com/davidcpage/cifar10-fast (core.py and dawn.py), whose graph is written out."""

    @staticmethod
    def conv_bn(maps_in, maps, **more):
        parts = dict(conv=nn.Conv2d(maps_in, maps, 3, 1, 1, bias=False), bn=nn.BatchNorm2d(maps))
        return nn.ModuleDict(parts | more)

    @classmethod
    def branch(cls, maps):
        return nn.ModuleDict(dict(res1=cls.conv_bn(maps, maps), res2=cls.conv_bn(maps, maps)))

    def __init__(self, num_classes):
        super().__init__()
        self.prep = self.conv_bn(3, 64)
        self.layer1 = self.conv_bn(64, 128, residual=self.branch(128))
        self.layer2 = self.conv_bn(128, 256)
        self.layer3 = self.conv_bn(256, 512, residual=self.branch(512))
        self.linear = nn.Linear(512, num_classes, bias=False)

    @staticmethod
    def run(parts, x):
        return nn.functional.relu(parts["bn"](parts["conv"](x)))

    def forward(self, x):
        x = self.run(self.prep, x)
        for parts in (self.layer1, self.layer2, self.layer3):
            x = nn.functional.max_pool2d(self.run(parts, x), 2)
            if "residual" in parts:
                x = x + self.run(parts["residual"]["res2"], self.run(parts["residual"]["res1"], x))
        return self.linear(nn.functional.max_pool2d(x, 4).flatten(1)) * 0.125


def state(module):
    return {name: tensor for name, tensor in module.state_dict().items() if not name.endswith("num_batches_tracked")}


def network(name, classes, settings):
    if name == "lenet5_modern":
        return LeNet5Modern(classes)
    if name == "resnet8":
        return ResNet8(classes)
    if name == "resnet9":
        return ResNet9(classes)
    keys = {key: value for key, value in settings.items() if key != "hidden"}
    net = getattr(torchvision.models, name)(weights=None, num_classes=classes, **keys)
    if "hidden" in settings:
        hidden = settings["hidden"]
        net.classifier[0], net.classifier[3] = nn.Linear(512 * 49, hidden), nn.Linear(hidden, hidden)
        net.classifier[6] = nn.Linear(hidden, classes)
    return net


def summary(tensor):
    """Norm, and two numbers relative to it."""
    flat = tensor.detach().flatten()
    return [float(f"{value:.7g}") for value in (flat.norm().item(), flat[0].item(), flat[len(flat) // 2].item())]


def trained(net, x, classes):
    """Loss, and gradients by name; running statistics move."""
    loss = nn.functional.cross_entropy(net.train()(x), torch.arange(len(x)) % classes)
    loss.backward()
    return loss.item(), {path: parameter.grad for path, parameter in net.named_parameters()}


def single_apart(net, x, classes, gradients):
    """How far PyTorch's own gradients in single precision are from those in double, by the measure of the Rust test."""
    _, single = trained(net.float(), x.float(), classes)
    least = 1e-2 * max(gradient.norm().item() for gradient in gradients.values())
    return max(((single[path].double() - gradient).norm() / max(gradient.norm().item(), least)).item() for path, gradient in gradients.items())


def case(name, settings, shape, rows, classes=10):
    net = network(name, classes, settings)
    fill(net, torch)
    single = copy.deepcopy(net)
    net = net.double()
    x = torch.from_numpy(images(rows, *shape)).double()
    with torch.no_grad():
        answers = net.eval()(x).log_softmax(1)
    loss, gradients = trained(net, x, classes)
    running = {path: summary(buffer) for path, buffer in net.named_buffers() if "running" in path}
    return dict(
        name=name,
        settings=";".join(f"{key}={value}" for key, value in settings.items()),
        shape=shape,
        rows=rows,
        answers=[float(f"{value:.8g}") for value in answers.flatten().tolist()],
        loss=loss,
        gradients={path: summary(gradient) for path, gradient in gradients.items()},
        running=running,
        single_apart=float(f"{single_apart(single, x, classes, gradients):.2g}"),
    )


def write(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")


def write_all():
    shapes = {}
    for name, settings in [(name, {}) for name in NAMES] + [("mobilenet_v2", {"width_mult": 0.35}), ("mobilenet_v2", {"width_mult": 1.4})]:
        with torch.device("meta"):
            net = getattr(torchvision.models, name)(weights=None, init_weights=False, **settings) if name.startswith("vgg") else network(name, 1000, settings)
        key = " ".join([name] + [f"{key}={value}" for key, value in settings.items()])
        entries = " ".join(f"{path}:{'x'.join(map(str, tensor.shape))}" for path, tensor in state(net).items())
        shapes[key] = dict(params=sum(parameter.numel() for parameter in net.parameters()), entries=entries)
    write(OUT / "torchvision_shapes.json", shapes)
    cases = [
        case("lenet5_modern", {}, (28, 28, 1), 8),
        case("resnet8", {}, (28, 28, 3), 8),
        case("resnet9", {}, (32, 32, 3), 4),
        case("resnet18", {}, (64, 64, 3), 4),
        case("resnet50", {}, (64, 64, 3), 4),
        case("vgg11", {"dropout": 0.0, "hidden": 64}, (32, 32, 3), 4),
        case("vgg11_bn", {"dropout": 0.0, "hidden": 64}, (32, 32, 3), 8),
        case("mobilenet_v2", {"dropout": 0.0}, (64, 64, 3), 4),
    ]
    write(OUT / "torchvision.json", cases)


def safetensors(path, tensors):
    header, start = {}, 0
    for name in sorted(tensors):
        size = tensors[name].numel() * 4
        header[name] = dict(dtype="F32", shape=list(tensors[name].shape), data_offsets=[start, start + size])
        start += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(tensors):
            file.write(tensors[name].contiguous().numpy().tobytes())


def dump(folder, name):
    """A whole network with 1000 classes and what it answers to two images of 224x224. The last layer is scaled to logits of about 10, since
    probabilities are compared."""
    net = network(name, 1000, {}).eval()
    fill(net, torch)
    pixels = images(2, 224, 224, 3)
    (folder / "pixels").write_bytes((pixels * 255).round().astype("uint8").transpose(0, 2, 3, 1).tobytes())
    with torch.no_grad():
        last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
        last.weight *= 10 / net(torch.from_numpy(pixels)).abs().max()
        scale = {"input.mean": torch.zeros(3), "input.std": torch.ones(3)}
        safetensors(folder / f"{name}.safetensors", state(net) | scale)
        answers = net.double()(torch.from_numpy(pixels).double()).log_softmax(1)
    write(folder / f"{name}.json", answers.flatten().tolist())


if sys.argv[1:2] == ["dump"]:
    pathlib.Path(sys.argv[2]).mkdir(exist_ok=True)
    for name in sys.argv[3:]:
        dump(pathlib.Path(sys.argv[2]), name)
else:
    write_all()
