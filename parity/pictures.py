"""Writes crates/data/fixtures/pictures: one small picture in every form that files bring, and pictures.json with what Pillow makes of each.

Run by hand: python parity/pictures.py (needs Pillow and numpy; made with Pillow 13.0).
"""

import io
import json
import pathlib

import numpy as np
from PIL import Image, ImageOps

folder = pathlib.Path(__file__).parent.parent / "crates" / "data" / "fixtures" / "pictures"
folder.mkdir(exist_ok=True, parents=True)

HEIGHT, WIDTH = 6, 9
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
colour = np.stack([20 + 22 * x, 30 + 33 * y, 200 - 10 * x - 8 * y], axis=2).astype(np.uint8)
grey = (10 + 20 * x + 9 * y).astype(np.uint8)
alpha = np.clip(40 * x, 0, 255).astype(np.uint8)
rgb, light = Image.fromarray(colour), Image.fromarray(grey)
rgba = Image.fromarray(np.dstack([colour, alpha]))
deep = (grey.astype(np.uint16) * 257 + 100).clip(0, 65535).astype(np.uint16)


def deep_rgb():
    """A PNG of 16 bits and three channels, which Pillow does not write."""
    import struct
    import zlib

    samples = (colour.astype(np.uint16) * 257 - (colour > 128) * 90).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in samples)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    return samples, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


exif = Image.Exif()
exif[0x0112] = 6  # to be turned a quarter to the right
samples, deep_bytes = deep_rgb()
files = {
    "grey.png": saved(light, "PNG"),
    "colour.png": saved(rgb, "PNG"),
    "one_bit.png": saved(light.point(lambda v: 255 * (v > 100)).convert("1"), "PNG"),
    "grey_alpha.png": saved(Image.merge("LA", [light, Image.fromarray(alpha)]), "PNG"),
    "alpha.png": saved(rgba, "PNG"),
    "palette.png": saved(rgb.quantize(16), "PNG"),
    "palette_alpha.png": saved(rgba.quantize(16, method=Image.Quantize.FASTOCTREE), "PNG"),
    "grey_16.png": saved(Image.fromarray(deep), "PNG"),
    "colour_16.png": deep_bytes,
    "grey.jpg": saved(light, "JPEG", quality=90),
    "colour.jpg": saved(rgb, "JPEG", quality=90),
    "progressive.jpg": saved(rgb, "JPEG", quality=90, progressive=True),
    "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG", quality=95),
    "turned.jpg": saved(rgb, "JPEG", quality=90, exif=exif),
    "colour.bmp": saved(rgb, "BMP"),
    "colour.tiff": saved(rgb, "TIFF"),
    "cmyk.tiff": saved(rgb.convert("CMYK"), "TIFF"),
    "colour.webp": saved(rgb, "WEBP", lossless=True),
    "alpha.webp": saved(rgba, "WEBP", lossless=True, exact=True),
    "animated.gif": saved(rgb.quantize(16), "GIF", save_all=True, append_images=[rgb.quantize(4).rotate(180)]),
    "one_pixel.png": saved(Image.new("RGB", (1, 1), (7, 8, 9)), "PNG"),
}


def on_white(image):
    """Grey stays grey, everything else becomes RGB, what is transparent lies on white."""
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        over = image.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), over).convert("RGB")
        return flat.getchannel(0) if image.mode == "LA" else flat
    return image.convert("RGB")


wanted = {}
for name, content in files.items():
    (folder / name).write_bytes(content)
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    if name == "grey_16.png":
        array = np.rint(deep / 257).astype(np.uint8)
    elif name == "colour_16.png":
        array = np.rint(samples.astype(float) / 257).astype(np.uint8)
    else:
        array = np.asarray(on_white(image))
    wanted[name] = {"shape": list(np.atleast_3d(array).shape), "pixels": array.flatten().tolist()}
(folder / "pictures.json").write_text(json.dumps(wanted, separators=(",", ":")).replace("},", "},\n") + "\n")

# A photograph-like picture and what Pillow's bilinear filter makes of it when its shorter side is brought to 12.
noise = np.random.default_rng(5)
photo = Image.fromarray((noise.random((40, 61, 3)) * 255).astype(np.uint8))
(folder / "photo.png").write_bytes(saved(photo, "PNG"))
small = np.asarray(photo.resize((18, 12), Image.Resampling.BILINEAR))
(folder / "photo.json").write_text(json.dumps({"shape": list(small.shape), "pixels": small.flatten().tolist()}, separators=(",", ":")) + "\n")
