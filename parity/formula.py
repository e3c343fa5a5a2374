"""Weights and images by formula, equal to those of crates/nets/src/fixtures.rs, so that no weights need to be committed."""

import numpy as np


def bits(name, count):
    """32 mixed bits for each place under a name."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    hashed = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed)) & np.uint64(0xFFFFFFFF)
    for _ in range(2):
        hashed = ((hashed ^ (hashed >> np.uint64(16))) * np.uint64(0x045D9F3B)) & np.uint64(0xFFFFFFFF)
    return hashed ^ (hashed >> np.uint64(16))


def value(path, shape):
    """A parameter or buffer, rounded to single precision as the other side holds it."""
    last = path.split(".")[-1]
    count = int(np.prod(shape))
    if last in ("running_mean", "bias"):
        base, scale = 0.0, 0.1
    elif last == "running_var":
        base, scale = 1.0, 0.5
    elif len(shape) == 1:
        base, scale = 0.8, 0.1
    else:
        base, scale = 0.0, (6.0 / (count // shape[0])) ** 0.5
    unit = bits(path, count).astype(np.float64) / 2.0**31 - 1.0
    return (base + scale * unit).astype(np.float32).reshape(shape)


def images(rows, height, width, channels):
    """Pixels / 255 in [batch, channels, height, width], rounded to single precision: patches of 8x8 with a quarter of noise, so that images
    and places differ far into a network."""
    shape, patches = (rows, height, width, channels), (rows, -(-height // 8), -(-width // 8), channels)
    fine = (bits("image", int(np.prod(shape))) >> np.uint64(24)).reshape(shape)
    coarse = (bits("patch", int(np.prod(patches))) >> np.uint64(24)).reshape(patches)
    coarse = coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    pixels = ((3 * coarse + fine) >> np.uint64(2)).astype(np.float32) / np.float32(255)
    return pixels.transpose(0, 3, 1, 2).copy()


def fill(module, torch, rename=lambda name: name):
    """Fills a module's parameters and buffers by their names."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(torch.from_numpy(value(rename(name), tuple(tensor.shape))))
