"""The networks of the duels in PyTorch, as the registry and the example train_steps have them."""

import torch
import torchvision
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """The block of He et al., section 4.2, with shortcuts without parameters (option A)."""

    def __init__(self, inputs, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if self.stride != 1:
            half = self.more // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        return F.relu(y + x, inplace=True)


def small_resnet(blocks):
    layers, inputs = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)], 16
    for stage, out in enumerate((16, 32, 64)):
        for block in range(blocks):
            layers.append(Block(inputs, out, 2 if stage and not block else 1))
            inputs = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class ResNet9(nn.Module):
    """The network of Page's cifar10-fast."""

    def __init__(self):
        super().__init__()

        def conv_bn(inputs, out):
            return nn.Sequential(nn.Conv2d(inputs, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))

        self.first = nn.Sequential(conv_bn(3, 64), conv_bn(64, 128), nn.MaxPool2d(2))
        self.branch1 = nn.Sequential(conv_bn(128, 128), conv_bn(128, 128))
        self.second = nn.Sequential(conv_bn(128, 256), nn.MaxPool2d(2), conv_bn(256, 512), nn.MaxPool2d(2))
        self.branch2 = nn.Sequential(conv_bn(512, 512), conv_bn(512, 512))
        self.last = nn.Sequential(nn.MaxPool2d(4), nn.Flatten(), nn.Linear(512, 10, bias=False))

    def forward(self, x):
        x = self.first(x)
        x = self.second(x + self.branch1(x))
        return self.last(x + self.branch2(x)) * 0.125


def lenet5_modern():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


class LastState(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class TransformerBlock(nn.Module):
    def __init__(self, width, heads, is_causal, dropout):
        super().__init__()
        self.heads, self.is_causal, self.share = heads, is_causal, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joined, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def attend(self, x):
        batch, time, width = x.shape
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in self.joined(x).split(width, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.is_causal, dropout_p=self.share)
        return self.dropout(self.out(y.transpose(1, 2).reshape(batch, time, width)))

    def think(self, x):
        return self.dropout(self.narrow(F.gelu(self.wide(x))))

    def forward(self, x):
        if self.is_causal:
            x = x + self.attend(self.norm1(x))
            return x + self.think(self.norm2(x))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.think(x))


class Transformer(nn.Module):
    """GPT: causal, norms first, every place answered. BERT: neither, the first place answered."""

    def __init__(self, time, width, heads, blocks, vocabulary, classes, is_causal, dropout):
        super().__init__()
        self.is_causal = is_causal
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Parameter(torch.randn(time, width) * 0.02)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, is_causal, dropout) for _ in range(blocks))
        self.norm, self.head, self.dropout = nn.LayerNorm(width), nn.Linear(width, classes), nn.Dropout(dropout)

    def forward(self, words):
        x = self.words(words) + self.places
        if not self.is_causal:
            x = self.dropout(self.norm(x))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1) if self.is_causal else self.head(x[:, 0])


def gpt():
    return Transformer(128, 128, 4, 4, 256, 256, True, 0.0)


def bert():
    return Transformer(128, 384, 6, 6, 30522, 2, False, 0.1)


# Name, network, sides of a row (or places and words), classes.
NETWORKS = {
    "lstm": (LastState, (64, 128), 10),
    "gpt": (gpt, (128, 256), 256),
    "bert": (bert, (128, 30522), 2),
    "mlp": (mlp, (1, 28, 28), 10),
    "lenet5_modern": (lenet5_modern, (1, 28, 28), 10),
    "resnet8": (lambda: small_resnet(1), (3, 32, 32), 10),
    "resnet20": (lambda: small_resnet(3), (3, 32, 32), 10),
    "resnet9": (ResNet9, (3, 32, 32), 10),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=10), (3, 32, 32), 10),
    "resnet50": (torchvision.models.resnet50, (3, 224, 224), 1000),
    "vgg16": (torchvision.models.vgg16, (3, 224, 224), 1000),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, (3, 224, 224), 1000),
}

# Rows of a step of training.
ROWS = {
    "mlp": 128,
    "lstm": 32,
    "gpt": 8,
    "bert": 8,
    "lenet5_modern": 64,
    "resnet8": 32,
    "resnet20": 32,
    "resnet9": 256,
    "resnet18": 32,
    "resnet50": 8,
    "vgg16": 8,
    "mobilenet_v2": 8,
}


def made(name, rows):
    """A network, inputs of so many rows, and targets."""
    make, sides, classes = NETWORKS[name]
    net = make()
    if isinstance(net, Transformer):
        return net, torch.randint(sides[1], (rows, sides[0])), torch.arange(rows * sides[0] if net.is_causal else rows) % classes
    return net, torch.rand(rows, *sides), torch.arange(rows) % classes
