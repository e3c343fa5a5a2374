//! Operations with given strength against torchvision on Pillow images: `parity/augment.py` writes what it makes of three.

use super::affine::inverse;
use super::colour;
use super::randaugment::Deed;
use super::warp::{Border, Picture as Pixels, Places, warp};
use crate::parity::{Picture, part};
use serde::Deserialize;
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../parity/augment.json");

#[derive(Deserialize)]
struct DeedCase {
    image: String,
    deed: Deed,
    strength: f64,
    result: Picture,
}

#[derive(Deserialize)]
struct AffineCase {
    image: String,
    degrees: f64,
    shift: [f64; 2],
    scale: f64,
    shear: f64,
    result: Picture,
}

#[derive(Deserialize)]
struct HueCase {
    image: String,
    turn: f64,
    result: Picture,
}

fn images() -> BTreeMap<String, Picture> {
    part(FILE, "images")
}

/// Most pixels are at most a level away: samples are rounded here and cut in Pillow, and Pillow's places are in fixed point. A place right
/// at the border may fall on its other side, so some pixels may differ by more.
fn check(name: &str, found: &[u8], wanted: &[u8]) {
    let far = found.iter().zip(wanted).filter(|(found, wanted)| found.abs_diff(**wanted) > 1).count();
    assert!(far * 100 <= found.len(), "{name}: {far} of {} pixels are off", found.len());
}

#[test]
fn deeds_are_those_of_torchvision() {
    let images = images();
    for case in part::<Vec<DeedCase>>(FILE, "deeds") {
        let picture = &images[&case.image];
        let mut pixels = picture.pixels();
        let mut other = vec![0; pixels.len()];
        let shape = picture.shape.map(|side| side as usize);
        case.deed.apply(case.strength, &mut pixels, shape, Border::Black, &mut Places::default(), &mut other);
        check(&format!("{:?} {} of {}", case.deed, case.strength, case.image), &pixels, &case.result.pixels());
    }
}

#[test]
fn affine_maps_are_those_of_torchvision() {
    let images = images();
    for case in part::<Vec<AffineCase>>(FILE, "affines") {
        let picture = &images[&case.image];
        let [height, width, channels] = picture.shape.map(|side| side as usize);
        let map = inverse([width as f64 / 2.0, height as f64 / 2.0], case.degrees, case.shift, case.scale, case.shear);
        let mut out = picture.pixels();
        warp(Pixels { pixels: &picture.pixels(), height, width, channels }, map, Border::Black, &mut Places::default(), &mut out);
        check(&format!("{} degrees of {}", case.degrees, case.image), &out, &case.result.pixels());
    }
}

#[test]
fn hues_are_those_of_torchvision() {
    let images = images();
    for case in part::<Vec<HueCase>>(FILE, "hues") {
        let picture = &images[&case.image];
        let mut pixels = picture.pixels();
        colour::hue(&mut pixels, picture.shape[2] as usize, case.turn);
        check(&format!("hue {} of {}", case.turn, case.image), &pixels, &case.result.pixels());
    }
}
