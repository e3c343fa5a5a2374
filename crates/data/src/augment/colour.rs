//! Changes of colour and sharpness with given strength, on 8-bit pixels in place. Each equals what torchvision does to a Pillow image, to
//! a level or two: Pillow works in 8 bits as well.

use crate::prepare::luma_of;

/// Everything towards black (0) or away from it (above 1).
pub(crate) fn brightness(pixels: &mut [u8], factor: f64) {
    let levels: [u8; 256] = std::array::from_fn(|level| blend(0.0, level as f32, factor as f32));
    look_up(pixels, &levels);
}

/// Everything towards the mean luma, or away from it.
pub(crate) fn contrast(pixels: &mut [u8], channels: usize, factor: f64) {
    let sum: u64 = match channels {
        3 => pixels.as_chunks::<3>().0.iter().map(|rgb| u64::from(luma_of(*rgb))).sum(),
        _ => pixels.iter().map(|&level| u64::from(level)).sum(),
    };
    let count = (pixels.len() / channels).max(1) as f64;
    let mean = (sum as f64 / count + 0.5).floor() as f32;
    let levels: [u8; 256] = std::array::from_fn(|level| blend(mean, level as f32, factor as f32));
    look_up(pixels, &levels);
}

/// Every pixel towards its own luma, or away from it. Grey images have no saturation.
pub(crate) fn saturation(pixels: &mut [u8], channels: usize, factor: f64) {
    if channels != 3 {
        return;
    }
    for rgb in pixels.as_chunks_mut::<3>().0 {
        let grey = f32::from(luma_of(*rgb));
        rgb.iter_mut().for_each(|level| *level = blend(grey, f32::from(*level), factor as f32));
    }
}

/// Every hue turned by a share of the circle, -0.5 to 0.5. Grey images have no hue.
pub(crate) fn hue(pixels: &mut [u8], channels: usize, turn: f64) {
    if channels != 3 {
        return;
    }
    let turn = (turn * 255.0) as i32 as u8;
    for rgb in pixels.as_chunks_mut::<3>().0 {
        let [hue, saturation, value] = hsv(*rgb);
        *rgb = from_hsv([hue.wrapping_add(turn), saturation, value]);
    }
}

/// Every pixel towards the smoothed image, or away from it. `smooth` is as large as `pixels` and overwritten.
pub(crate) fn sharpness(pixels: &mut [u8], [height, width, channels]: [usize; 3], factor: f64, smooth: &mut [u8]) {
    smooth.copy_from_slice(pixels);
    let stride = width * channels;
    for y in 1..height.saturating_sub(1) {
        for x in channels..stride.saturating_sub(channels) {
            let at = y * stride + x;
            // Pillow's SMOOTH: ones around a five, by thirteen.
            let around: u32 = [at - stride, at, at + stride]
                .iter()
                .flat_map(|&middle| [middle - channels, middle, middle + channels])
                .map(|place| u32::from(pixels[place]))
                .sum();
            smooth[at] = ((around + 4 * u32::from(pixels[at])) as f32 / 13.0 + 0.5) as u8;
        }
    }
    pixels.iter_mut().zip(smooth).for_each(|(level, smooth)| *level = blend(f32::from(*smooth), f32::from(*level), factor as f32));
}

/// Only the highest bits of each level.
pub(crate) fn posterize(pixels: &mut [u8], bits: u32) {
    let mask = if bits >= 8 { 255 } else { !(255u8 >> bits) };
    pixels.iter_mut().for_each(|level| *level &= mask);
}

/// Levels from the threshold on inverted.
pub(crate) fn solarize(pixels: &mut [u8], threshold: f64) {
    let levels: [u8; 256] = std::array::from_fn(|level| if (level as f64) < threshold { level as u8 } else { 255 - level as u8 });
    look_up(pixels, &levels);
}

/// Each channel stretched to all levels.
pub(crate) fn autocontrast(pixels: &mut [u8], channels: usize) {
    by_channel(pixels, channels, |counts| {
        let low = counts.iter().position(|count| *count > 0)?;
        let high = counts.iter().rposition(|count| *count > 0)?;
        if high <= low {
            return None;
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        Some(std::array::from_fn(|level| (level as f64 * scale + offset).clamp(0.0, 255.0) as u8))
    });
}

/// Each channel's levels spread so that they are equally frequent.
pub(crate) fn equalize(pixels: &mut [u8], channels: usize) {
    by_channel(pixels, channels, |counts| {
        let last = counts.iter().rposition(|count| *count > 0)?;
        let step = (counts.iter().sum::<u32>() - counts[last]) / 255;
        if step == 0 {
            return None;
        }
        let mut below = step / 2;
        Some(std::array::from_fn(|level| {
            let equal = (below / step).min(255) as u8;
            below += counts[level];
            equal
        }))
    });
}

/// Replaces the levels of each channel by what is found for their histogram, if anything is.
fn by_channel(pixels: &mut [u8], channels: usize, levels: impl Fn(&[u32; 256]) -> Option<[u8; 256]>) {
    for channel in 0..channels {
        let mut counts = [0u32; 256];
        pixels.iter().skip(channel).step_by(channels).for_each(|&level| counts[usize::from(level)] += 1);
        if let Some(levels) = levels(&counts) {
            pixels.iter_mut().skip(channel).step_by(channels).for_each(|level| *level = levels[usize::from(*level)]);
        }
    }
}

fn look_up(pixels: &mut [u8], levels: &[u8; 256]) {
    pixels.iter_mut().for_each(|level| *level = levels[usize::from(*level)]);
}

/// Between two levels, or beyond the second, cut to a whole level as Pillow does.
fn blend(from: f32, to: f32, factor: f32) -> u8 {
    (from + factor * (to - from)).clamp(0.0, 255.0) as u8
}

/// Hue, saturation and value in 8 bits each, as Pillow's.
fn hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let of = |level: u8| f32::from(most - level) / range;
    let hue = match most {
        most if red == most => of(blue) - of(green),
        most if green == most => 2.0 + of(red) - of(blue),
        _ => 4.0 + of(green) - of(red),
    };
    let hue = (hue / 6.0 + 1.0).fract();
    [(hue * 255.0) as u8, (range / f32::from(most) * 255.0) as u8, most]
}

fn from_hsv([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let (hue, saturation, level) = (f32::from(hue) * 6.0 / 255.0, f32::from(saturation) / 255.0, f32::from(value));
    let part = hue.fract();
    let of = |share: f32| (level * (1.0 - saturation * share)).round() as u8;
    let (p, q, t) = (of(1.0), of(part), of(1.0 - part));
    match hue as u32 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}
