//! Made-up numbers for tests: the same each time, and for each seed others.

/// Numbers in -1..1.
pub(crate) fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mixed = |place: u32| {
        let hash = (place.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(0x045d_9f3b);
        (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d)
    };
    (0..len as u32).map(|place| (mixed(place) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Numbers in -size..size.
pub(crate) fn noise_within(len: usize, seed: u32, size: f32) -> Vec<f32> {
    noise(len, seed).into_iter().map(|value| size * value).collect()
}

/// Numbers up to 1 away from a middle.
pub(crate) fn noise_around(len: usize, seed: u32, middle: f32) -> Vec<f32> {
    noise(len, seed).into_iter().map(|value| middle + value).collect()
}
