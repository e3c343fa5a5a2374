"""Writes crates/data/parity/augment.json: what torchvision makes of small Pillow images, operation by operation.

Run by hand: python parity/augment.py (numpy, Pillow, torch, torchvision). The Rust test in crates/data/src/augment reads the file.
"""

import json
import pathlib

import numpy as np
import PIL
import torchvision
from images import coded, photo, picture
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import _apply_op

BILINEAR = InterpolationMode.BILINEAR
MAGNITUDES = {
    "Identity": [0.0],
    "ShearX": [0.21, -0.3],
    "ShearY": [0.21, -0.3],
    "TranslateX": [5.7, -3.2],
    "TranslateY": [5.7, -3.2],
    "Rotate": [17.0, -30.0],
    "Brightness": [0.5, -0.62],
    "Color": [0.5, -0.62],
    "Contrast": [0.5, -0.62],
    "Sharpness": [0.5, -0.62],
    "Posterize": [3.0, 6.0],
    "Solarize": [100.0, 191.25],
    "AutoContrast": [0.0],
    "Equalize": [0.0],
}
AFFINES = [
    {"degrees": 30.0, "shift": [0, 0], "scale": 1.0, "shear": 0.0},
    {"degrees": -12.0, "shift": [3, -2], "scale": 1.25, "shear": 0.0},
    {"degrees": 5.0, "shift": [0, 1], "scale": 0.8, "shear": 20.0},
]


def deeds(image, name):
    for deed, strengths in MAGNITUDES.items():
        for strength in strengths:
            result = _apply_op(image, deed, strength, BILINEAR, None)
            yield {"image": name, "deed": deed, "strength": strength, "result": coded(np.asarray(result))}


def affines(image, name):
    for case in AFFINES:
        result = F.affine(image, case["degrees"], case["shift"], case["scale"], [case["shear"], 0.0], BILINEAR)
        yield {"image": name, **case, "result": coded(np.asarray(result))}


def hues(image, name):
    for turn in [0.1, -0.35, 0.5]:
        yield {"image": name, "turn": turn, "result": coded(np.asarray(F.adjust_hue(image, turn)))}


def main():
    pixels = {"colour": photo(16, 20, 3), "grey": photo(15, 13, 1), "line": photo(1, 9, 3)}
    out = {"versions": {"pillow": PIL.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}}
    out["images"] = {name: coded(image) for name, image in pixels.items()}
    for part, make in [("deeds", deeds), ("affines", affines), ("hues", hues)]:
        out[part] = [case for name, image in pixels.items() for case in make(picture(image), name)]
    path = pathlib.Path(__file__).parent.parent / "crates/data/parity/augment.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
