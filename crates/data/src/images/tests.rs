//! Pictures in every form against what Pillow makes of them (`parity/pictures.py`), and pictures that are none.

use super::*;
use cupola_task::Fault;
use expect_test::expect;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Wanted {
    shape: [u32; 3],
    pixels: Vec<u8>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pictures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// JPEG's inverse transform may differ by rounding, and more so where inks become colours twice over; all else is exact.
fn tolerance(name: &str) -> u8 {
    match name {
        "cmyk.jpg" => 4,
        name if name.ends_with(".jpg") => 3,
        "cmyk.tiff" => 2,
        name if name.contains("alpha") => 1,
        _ => 0,
    }
}

#[test]
fn pictures_are_what_pillow_makes_of_them() {
    let wanted: BTreeMap<String, Wanted> = serde_json::from_slice(&bytes("pictures.json")).unwrap();
    let mut changed = String::new();
    for (name, wanted) in &wanted {
        let found = decode(name, &bytes(name), &ImageOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.shape, wanted.shape, "{name}");
        let most = found.pixels.iter().zip(&wanted.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= tolerance(name), "{name} differs by {most}:\n{:?}\n{:?}", found.pixels, wanted.pixels);
        changed += &format!("{name}: {}\n", found.changes.sentences().join(", "));
    }
    assert!(wanted.len() > 20);
    expect![[r#"
        alpha.png: 1 image with transparency laid on white
        alpha.webp: 1 image with transparency laid on white
        animated.gif: 1 image of several frames or pages, the first taken
        cmyk.jpg: 1 image in CMYK brought to RGB
        cmyk.tiff: 
        colour.bmp: 
        colour.jpg: 
        colour.png: 
        colour.tiff: 
        colour.webp: 
        colour_16.png: 1 image of more than 8 bits a channel rounded to 8
        grey.jpg: 
        grey.png: 
        grey_16.png: 1 image of more than 8 bits a channel rounded to 8
        grey_alpha.png: 1 image with transparency laid on white
        one_bit.png: 
        one_pixel.png: 
        palette.png: 1 image with a palette brought to colours
        palette_alpha.png: 1 image with transparency laid on white, 1 image with a palette brought to colours
        progressive.jpg: 
        turned.jpg: 1 image turned upright as their Exif data says
    "#]]
    .assert_eq(&changed);
}

#[test]
fn large_pictures_are_made_smaller_as_pillow_does() {
    let wanted: Wanted = serde_json::from_slice(&bytes("photo.json")).unwrap();
    let found = decode("photo.png", &bytes("photo.png"), &ImageOptions { shrink: Some(12), ..ImageOptions::default() }).unwrap();
    assert_eq!(found.shape, wanted.shape);
    let most = found.pixels.iter().zip(&wanted.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(most <= 1, "differs by {most}");
}

#[test]
fn cut_off_pictures_are_refused() {
    for name in ["colour.png", "colour.jpg", "progressive.jpg", "turned.jpg", "colour.bmp", "colour.tiff", "colour.webp", "animated.gif"] {
        let whole = bytes(name);
        let options = ImageOptions::default();
        let good = decode(name, &whole, &options).unwrap();
        for length in 0..whole.len() {
            match decode(name, &whole[..length], &options) {
                Err(error) => assert!(error.to_string().starts_with(name), "{error}"),
                // Behind the pixels may come what no picture needs.
                Ok(found) => assert_eq!(found.pixels, good.pixels, "{name} cut at {length}"),
            }
        }
    }
}

#[test]
fn damaged_pictures_never_panic() {
    for entry in std::fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).filter(|at| at % 3 == 0 || *at < 64) {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= change;
                let _ = decode("a", &damaged, &ImageOptions { max_pixels: 1 << 20, ..ImageOptions::default() });
            }
        }
    }
}

#[test]
fn bombs_and_other_files_are_refused() {
    let small = ImageOptions { max_pixels: 50, ..ImageOptions::default() };
    let mut bomb = bytes("colour.png");
    // The header's width and height; its checksum is told right, so that the size is believed.
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let sum = crc(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    let cases: [(&str, Vec<u8>, ImageOptions); 6] = [
        ("small.png", bytes("colour.png"), small),
        ("bomb.png", bomb, ImageOptions::default()),
        ("empty.jpg", vec![], ImageOptions::default()),
        ("text.jpg", b"no picture at all".to_vec(), ImageOptions::default()),
        ("half.jpg", bytes("colour.jpg")[..400].to_vec(), ImageOptions::default()),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), ImageOptions::default()),
    ];
    let said = cases.iter().map(|(name, bytes, options)| {
        let error = decode(name, bytes, options).unwrap_err();
        format!("{error}; {}", error.hint().unwrap_or_default())
    });
    expect![[r#"
        small.png: found 9 x 6 pixels, wanted at most 50 (data.images.max_pixels); make the picture smaller, or raise data.images.max_pixels
        bomb.png: found 65536 x 65536 pixels, wanted at most 100000000 (data.images.max_pixels); make the picture smaller, or raise data.images.max_pixels
        empty.jpg: found an empty file, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; copy the file again, or leave it out
        text.jpg: found no picture of a known format, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; write it as PNG or JPEG, or leave it out
        half.jpg: found a JPEG that is cut off, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; copy the file again, or leave it out
        photo.heic: found no picture of a known format, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; write it as PNG or JPEG, or leave it out"#]].assert_eq(&said.collect::<Vec<_>>().join("\n"));
}

/// The checksum of a PNG's chunk (ISO/IEC 15948, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }))
}
