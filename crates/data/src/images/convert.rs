//! Whatever a file holds becomes 8-bit grey or colour: 16 bits are rounded to 8, what is transparent is laid on white.

use image::DynamicImage;

/// Pixels and channels, and what was done to get them.
pub(super) struct Converted {
    pub(super) pixels: Vec<u8>,
    pub(super) channels: u8,
    pub(super) was_deep: bool,
    pub(super) was_transparent: bool,
}

/// Brings a decoded picture to 1 or 3 channels of 8 bits.
pub(super) fn convert(image: DynamicImage) -> Converted {
    let plain = |pixels, channels| Converted { pixels, channels, was_deep: false, was_transparent: false };
    let deep = |converted| Converted { was_deep: true, ..converted };
    match image {
        DynamicImage::ImageLuma8(pixels) => plain(pixels.into_raw(), 1),
        DynamicImage::ImageRgb8(pixels) => plain(pixels.into_raw(), 3),
        DynamicImage::ImageLumaA8(pixels) => on_white::<2>(&pixels),
        DynamicImage::ImageRgba8(pixels) => on_white::<4>(&pixels),
        DynamicImage::ImageLuma16(pixels) => deep(plain(halved(&pixels), 1)),
        DynamicImage::ImageRgb16(pixels) => deep(plain(halved(&pixels), 3)),
        DynamicImage::ImageLumaA16(pixels) => deep(on_white::<2>(&halved(&pixels))),
        DynamicImage::ImageRgba16(pixels) => deep(on_white::<4>(&halved(&pixels))),
        other => deep(on_white::<4>(&other.into_rgba8())),
    }
}

/// 16 bits to 8, to the nearest: 65535 / 257 = 255.
fn halved(deep: &[u16]) -> Vec<u8> {
    deep.iter().map(|&value| ((u32::from(value) + 128) / 257) as u8).collect()
}

/// Colours with their share of opacity over white, of `N` channels with alpha last.
fn on_white<const N: usize>(pixels: &[u8]) -> Converted {
    let mut flat = Vec::with_capacity(pixels.len() / N * (N - 1));
    let mut was_transparent = false;
    for pixel in pixels.chunks_exact(N) {
        let alpha = u32::from(pixel[N - 1]);
        was_transparent |= alpha < 255;
        flat.extend(pixel[..N - 1].iter().map(|&colour| ((u32::from(colour) * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
    }
    Converted { pixels: flat, channels: N as u8 - 1, was_deep: false, was_transparent }
}
