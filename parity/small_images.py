"""Writes data/mnist-small and data/fashion-small: the first pictures of each class of MNIST and Fashion-MNIST, in the files' order.

Run by hand, after `just data`: python parity/small_images.py (Python's own library is enough).
"""

import gzip
import pathlib
import struct

data = pathlib.Path(__file__).parent.parent / "data"


def opened(folder, name):
    packed = folder / f"{name}.gz"
    return gzip.open(packed, "rb").read() if packed.exists() else (folder / name).read_bytes()


def written(folder, name, content):
    # `gzip -9n`: no name, no time.
    with open(folder / f"{name}.gz", "wb") as file, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packer:
        packer.write(content)


def shorten(source, target, side, each):
    """The first `each` pictures of every class."""
    images, labels = (opened(source, f"{side}-{what}-ubyte") for what in ("images-idx3", "labels-idx1"))
    _, count, height, width = struct.unpack(">4I", images[:16])
    size = height * width
    rows, seen = [], [0] * 10
    for row, label in enumerate(labels[8 : 8 + count]):
        if seen[label] < each:
            seen[label] += 1
            rows.append(row)
    target.mkdir(exist_ok=True)
    pixels = b"".join(images[16 + row * size : 16 + (row + 1) * size] for row in rows)
    written(target, f"{side}-images-idx3-ubyte", struct.pack(">4I", 2051, len(rows), height, width) + pixels)
    written(target, f"{side}-labels-idx1-ubyte", struct.pack(">2I", 2049, len(rows)) + bytes(labels[8 + row] for row in rows))


for source, target, train, test in [("mnist", "mnist-small", 200, 50), ("fashion-mnist", "fashion-small", 100, 25)]:
    shorten(data / "full" / source, data / target, "train", train)
    shorten(data / "full" / source, data / target, "t10k", test)
