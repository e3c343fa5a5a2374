"""Writes crates/data/parity/images.json: what Pillow and torchvision make of small images.

Run by hand: python parity/images.py (numpy, Pillow, torch, torchvision). The Rust test in crates/data/src/prepare reads the file.
"""

import json
import math
import pathlib

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import functional as F

rng = np.random.default_rng(11)


def photo(height, width, channels):
    """Smooth waves with noise and hard edges, so that a wrong filter or an offset by half a pixel shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / (3.0 + c) + c) * np.cos(y / (4.0 - c)) for c in range(channels)]
    pixels = np.stack(planes, axis=-1) + rng.normal(0, 12, (height, width, channels))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = 255
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def picture(pixels):
    return Image.fromarray(pixels[..., 0], "L") if pixels.shape[2] == 1 else Image.fromarray(pixels, "RGB")


def coded(pixels):
    pixels = np.asarray(pixels)
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return {"shape": list(pixels.shape), "pixels": pixels.tobytes().hex()}


def prepared(image, channels, size, fit, crop):
    image = image.convert("L" if channels == 1 else "RGB")
    bilinear = torchvision.transforms.InterpolationMode.BILINEAR
    if fit == "resize":
        return F.resize(image, list(size), bilinear)
    if fit == "pad":
        left, top = (size[1] - image.width) // 2, (size[0] - image.height) // 2
        return F.pad(image, [left, top, size[1] - image.width - left, size[0] - image.height - top])
    return F.center_crop(F.resize(image, math.floor(size[0] / crop), bilinear), list(size))


CASES = [
    ((41, 57, 3), 3, (24, 24), "crop", 0.875),
    ((57, 41, 3), 1, (24, 24), "crop", 0.875),
    ((63, 50, 1), 3, (20, 20), "crop", 1.0),
    ((9, 12, 3), 3, (24, 24), "crop", 0.875),
    ((40, 30, 3), 3, (17, 26), "resize", 1.0),
    ((7, 5, 1), 1, (16, 12), "resize", 1.0),
    ((28, 28, 1), 1, (32, 32), "pad", 1.0),
    ((25, 28, 3), 1, (32, 30), "pad", 1.0),
    ((1, 1, 3), 3, (8, 8), "crop", 0.875),
]


def main():
    cases = []
    for shape, channels, size, fit, crop in CASES:
        pixels = photo(*shape)
        result = prepared(picture(pixels), channels, size, fit, crop)
        said = {"channels": channels, "size": list(size), "fit": fit, "crop": crop}
        cases.append({"settings": said, "image": coded(pixels), "prepared": coded(result)})
    versions = {"pillow": PIL.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}
    path = pathlib.Path(__file__).parent.parent / "crates/data/parity/images.json"
    path.write_text(json.dumps({"versions": versions, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
