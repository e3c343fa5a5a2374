//! Pictures that look alike: saved again, made smaller or larger, a little brighter, slightly cut.
//!
//! Candidates have perceptual hashes that differ in a few of 64 bits: signs, against their median, of the lowest frequencies of the picture in grey
//! (pHash: Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010). They are found by an index for each quarter of the
//! hash, for hashes that differ in few bits differ in fewer in some quarter (Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index
//! hashing", CVPR 2012). Each is then measured: the correlation of both pictures at 16 by 16, since hashes alone take many shirts for one.

use crate::images::resized;
use cupola_task::Images;
use rayon::prelude::*;

/// Side of the picture that frequencies are taken of, of its lowest ones, and of the picture that is compared.
const WHOLE: usize = 32;
const LOW: usize = 8;
const SMALL: usize = 16;
/// Pictures of fewer grey levels than this between their lightest and darkest part look like any other blank.
const LEVELS_MIN: u8 = 4;
/// Quarters of a hash.
const QUARTERS: u32 = 4;
/// Candidates of one picture that are measured at most.
const CANDIDATES_MAX: usize = 4_000;

/// Pairs of one picture with earlier ones that are kept at most: more say no more.
const FOUND_MAX: usize = 256;

/// What is kept of a picture.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    hash: u64,
    small: [u8; SMALL * SMALL],
}

/// Two pictures that look alike, the later one second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Alike {
    pub one: u32,
    pub other: u32,
    /// Bits in which their hashes differ.
    pub distance: u32,
    /// Of their small pictures.
    pub correlation: f64,
}

impl Look {
    /// What a picture looks like; nothing for a blank one.
    pub(crate) fn of(images: &Images, row: usize) -> Option<Look> {
        let shape = images.shape(row);
        if shape.contains(&0) {
            return None;
        }
        let pixels = resized(images.pixels(row), shape, WHOLE as u32);
        let grey: Vec<f32> = match shape[2] {
            3 => pixels
                .chunks_exact(3)
                .map(|colour| 0.299 * f32::from(colour[0]) + 0.587 * f32::from(colour[1]) + 0.114 * f32::from(colour[2]))
                .collect(),
            _ => pixels.iter().map(|&level| f32::from(level)).collect(),
        };
        let small = halved(&grey);
        let (least, most) = small.iter().fold((u8::MAX, 0), |(least, most), &level| (level.min(least), level.max(most)));
        (most.saturating_sub(least) >= LEVELS_MIN).then(|| Look { hash: hash(&grey), small })
    }

    /// Pearson's correlation with another picture.
    fn correlation(&self, other: &Look) -> f64 {
        let n = self.small.len() as f64;
        let (mut x, mut y, mut xy, mut xx, mut yy) = (0u32, 0u32, 0u32, 0u32, 0u32);
        for (&a, &b) in self.small.iter().zip(&other.small) {
            let (a, b) = (u32::from(a), u32::from(b));
            (x, y, xy, xx, yy) = (x + a, y + b, xy + a * b, xx + a * a, yy + b * b);
        }
        let [x, y, xy, xx, yy] = [x, y, xy, xx, yy].map(f64::from);
        (n * xy - x * y) / ((n * xx - x * x) * (n * yy - y * y)).sqrt()
    }
}

/// Means of two by two.
fn halved(grey: &[f32]) -> [u8; SMALL * SMALL] {
    std::array::from_fn(|place| {
        let at = 2 * (place / SMALL) * WHOLE + 2 * (place % SMALL);
        ((grey[at] + grey[at + 1] + grey[at + WHOLE] + grey[at + WHOLE + 1]) / 4.0).round() as u8
    })
}

/// The signs of the lowest frequencies (discrete cosine transform) against their median; the mean of the picture is not asked.
fn hash(grey: &[f32]) -> u64 {
    let wave = |frequency: usize, at: usize| (std::f32::consts::PI * (2 * at + 1) as f32 * frequency as f32 / (2 * WHOLE) as f32).cos();
    let waves: Vec<f32> = (0..LOW).flat_map(|frequency| (0..WHOLE).map(move |at| wave(frequency, at))).collect();
    let product =
        |line: &[f32], frequency: usize| -> f32 { line.iter().zip(&waves[frequency * WHOLE..]).map(|(level, wave)| level * wave).sum() };
    // Along rows first: [WHOLE, LOW], then along columns.
    let rows: Vec<f32> = grey
        .chunks_exact(WHOLE)
        .flat_map(|line| (0..LOW).map(move |frequency| (line, frequency)))
        .map(|(line, frequency)| product(line, frequency))
        .collect();
    let column = |across: usize| -> Vec<f32> { rows.iter().skip(across).step_by(LOW).copied().collect() };
    let columns: Vec<Vec<f32>> = (0..LOW).map(column).collect();
    let low: Vec<f32> = (0..LOW * LOW).map(|place| product(&columns[place % LOW], place / LOW)).collect();
    let mut ordered = low[1..].to_vec();
    ordered.sort_by(f32::total_cmp);
    let median = ordered[ordered.len() / 2];
    low.iter().enumerate().fold(0, |hash, (bit, level)| hash | u64::from(*level > median) << bit)
}

/// A quarter of a hash.
fn quarter(hash: u64, at: u32) -> usize {
    usize::from((hash >> (16 * at)) as u16)
}

/// Pictures by a quarter of their hashes: those with value `v` are `order[starts[v]..starts[v + 1]]`, in their order.
struct Index {
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl Index {
    fn new(looks: &[Option<Look>], at: u32) -> Index {
        let hashes = || looks.iter().enumerate().filter_map(|(row, look)| Some((row as u32, quarter(look.as_ref()?.hash, at))));
        let mut starts = vec![0u32; (1 << 16) + 1];
        hashes().for_each(|(_, value)| starts[value + 1] += 1);
        (1..starts.len()).for_each(|value| starts[value] += starts[value - 1]);
        let (mut next, mut order) = (starts.clone(), vec![0u32; starts[1 << 16] as usize]);
        for (row, value) in hashes() {
            order[next[value] as usize] = row;
            next[value] += 1;
        }
        Index { starts, order }
    }

    fn with(&self, value: usize) -> &[u32] {
        &self.order[self.starts[value] as usize..self.starts[value + 1] as usize]
    }
}

/// All pairs of pictures whose hashes differ in at most so many bits and that correlate so well, in order; and whether some picture had too many
/// candidates to measure all.
pub(crate) fn alike(looks: &[Option<Look>], distance_max: u32, least: f64) -> (Vec<Alike>, bool) {
    let near = distance_max / QUARTERS;
    let indices: Vec<Index> = (0..QUARTERS).into_par_iter().map(|at| Index::new(looks, at)).collect();
    let flips: Vec<usize> = (0..1usize << 16).filter(|flip| flip.count_ones() <= near).collect();
    let of = |second: usize| -> (Vec<Alike>, bool) {
        let Some(look) = &looks[second] else { return (vec![], false) };
        let (mut found, mut measured) = (Vec::new(), 0);
        for (at, index) in (0..QUARTERS).zip(&indices) {
            for flip in &flips {
                for &first in index.with(quarter(look.hash, at) ^ flip).iter().take_while(|first| (**first as usize) < second) {
                    let other = looks[first as usize].as_ref().expect("an index holds pictures that look like something");
                    let differ = look.hash ^ other.hash;
                    // A pair that an earlier quarter shows was measured there.
                    let is_known = (0..at).any(|before| quarter(differ, before).count_ones() <= near);
                    if differ.count_ones() > distance_max || is_known {
                        continue;
                    }
                    if measured == CANDIDATES_MAX || found.len() == FOUND_MAX {
                        return (found, true);
                    }
                    measured += 1;
                    let correlation = look.correlation(other);
                    if correlation >= least {
                        found.push(Alike { one: first, other: second as u32, distance: differ.count_ones(), correlation });
                    }
                }
            }
        }
        (found, false)
    };
    let found: Vec<(Vec<Alike>, bool)> = (0..looks.len()).into_par_iter().map(of).collect();
    let is_cut = found.iter().any(|(_, is_cut)| *is_cut);
    let mut pairs: Vec<Alike> = found.into_iter().flat_map(|(pairs, _)| pairs).collect();
    pairs.sort_by_key(|pair| (pair.one, pair.other));
    (pairs, is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, ReadOptions, read};
    use cupola_task::{Column, Draw};
    use image::{GrayImage, ImageFormat, imageops};
    use std::io::Cursor;
    use std::path::Path;

    /// What is done to a picture, and how it is called.
    type Change<'a> = (&'a str, &'a dyn Fn(&GrayImage) -> GrayImage);

    /// The pictures of clothes that ship.
    fn clothes() -> Vec<GrayImage> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/fashion-small/train-images-idx3-ubyte.gz");
        let raw = read(&Input::Path(path), &ReadOptions::default()).unwrap();
        let images = raw.columns.get("image").and_then(Column::images).unwrap().clone();
        (0..images.len()).map(|row| GrayImage::from_raw(28, 28, images.pixels(row).to_vec()).unwrap()).collect()
    }

    fn looks<'a>(pictures: impl IntoIterator<Item = &'a GrayImage>) -> Vec<Option<Look>> {
        let look = |picture: &GrayImage| {
            let (width, height) = picture.dimensions();
            Look::of(&Images::packed(picture.as_raw().clone(), [[height, width, 1]]), 0)
        };
        pictures.into_iter().map(look).collect()
    }

    fn saved(picture: &GrayImage, quality: u8) -> GrayImage {
        let mut bytes = Cursor::new(Vec::new());
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
        picture.write_with_encoder(encoder).unwrap();
        image::load_from_memory_with_format(bytes.get_ref(), ImageFormat::Jpeg).unwrap().into_luma8()
    }

    fn sized(picture: &GrayImage, side: u32) -> GrayImage {
        imageops::resize(picture, side, side, imageops::FilterType::Triangle)
    }

    fn cut(picture: &GrayImage, edge: u32) -> GrayImage {
        let (width, height) = picture.dimensions();
        imageops::crop_imm(picture, edge, edge, width - 2 * edge, height - 2 * edge).to_image()
    }

    /// Copies of real pictures are found, and few other pairs. What a copy loses by a cut of 2 and 7 % a side is told here, too.
    #[test]
    fn copies_are_found_and_few_others() {
        let pictures = clothes();
        let changes: [Change<'_>; 7] = [
            ("saved at 75", &|picture| saved(picture, 75)),
            ("saved at 40", &|picture| saved(picture, 40)),
            ("twice as large", &|picture| sized(picture, 56)),
            ("17 pixels a side", &|picture| sized(picture, 17)),
            ("brighter", &|picture| {
                GrayImage::from_fn(28, 28, |x, y| image::Luma([(1.15 * f32::from(picture.get_pixel(x, y).0[0]) + 8.0).min(255.0) as u8]))
            }),
            ("cut by 2 %", &|picture| cut(&sized(picture, 112), 2)),
            ("cut by 4 %", &|picture| cut(picture, 1)),
        ];
        let own = looks(&pictures);
        let (others, is_cut) = alike(&own, 8, 0.99);
        let mut lines = vec![format!("{} pictures, {} pairs of them alike, cut {is_cut}", pictures.len(), others.len())];
        for (name, change) in changes {
            let changed: Vec<GrayImage> = pictures.iter().take(200).map(change).collect();
            let all: Vec<Option<Look>> = own[..200].iter().cloned().chain(looks(&changed)).collect();
            let (pairs, _) = alike(&all, 8, 0.99);
            let found = pairs.iter().filter(|pair| pair.other == pair.one + 200).count();
            lines.push(format!("{name}: {found} of 200"));
        }
        expect_test::expect![[r#"
            1000 pictures, 2 pairs of them alike, cut false
            saved at 75: 200 of 200
            saved at 40: 199 of 200
            twice as large: 200 of 200
            17 pixels a side: 84 of 200
            brighter: 200 of 200
            cut by 2 %: 65 of 200
            cut by 4 %: 0 of 200"#]]
        .assert_eq(&lines.join("\n"));
    }

    /// The index finds what looking at all pairs finds.
    #[test]
    fn the_index_misses_nothing() {
        let draw = Draw::new(1);
        let look = |row: u64| {
            // Hashes in heaps: a few origins, each with up to 12 bits turned.
            let flips = (0..draw.at(row).below(0, 13)).fold(0u64, |flips, at| flips ^ 1 << draw.at(row).below(1 + at, 64));
            Look { hash: draw.bits(row % 7) ^ flips, small: std::array::from_fn(|at| draw.at(row % 7).bits(at as u64) as u8) }
        };
        let looks: Vec<Option<Look>> = (0..300).map(|row| (row % 50 != 3).then(|| look(row))).collect();
        for distance in [0, 3, 4, 8, 11] {
            let mut plain = Vec::new();
            for one in 0..looks.len() {
                for other in one + 1..looks.len() {
                    if let (Some(a), Some(b)) = (&looks[one], &looks[other])
                        && (a.hash ^ b.hash).count_ones() <= distance
                        && a.correlation(b) >= 0.5
                    {
                        plain.push((one as u32, other as u32));
                    }
                }
            }
            let (pairs, is_cut) = alike(&looks, distance, 0.5);
            assert_eq!(pairs.iter().map(|pair| (pair.one, pair.other)).collect::<Vec<_>>(), plain, "{distance}");
            assert!(!is_cut && (distance == 0 || !plain.is_empty()));
        }
        let blank = Images::packed(vec![7; 9 + 4], [[3, 3, 1], [2, 2, 1]]);
        assert!(Look::of(&blank, 0).is_none() && Look::of(&blank, 1).is_none());
    }
}
