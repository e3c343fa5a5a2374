//! How long a batch takes to augment: `cargo run --release -p cupola-data --example augment_speed`.

use cupola_data::augment::Augment;
use cupola_task::{Draw, Images, Setting, Settings, Value};
use std::time::Instant;

const RECIPES: &[(&str, &[(&str, &str)])] = &[
    ("crop and flip", &[("crop", "4"), ("flip", "0.5")]),
    ("affine", &[("rotate", "15"), ("scale", "[0.9, 1.1]")]),
    ("random resized crop", &[("random_resized_crop", "[0.3, 1]"), ("flip", "0.5")]),
    ("jitter", &[("brightness", "0.4"), ("contrast", "0.4"), ("saturation", "0.4"), ("hue", "0.1")]),
    ("randaugment", &[("randaugment", "2")]),
    ("mixup", &[("mixup", "0.2")]),
    ("cutmix", &[("cutmix", "1")]),
];

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), cupola_task::Error> {
    let list: Vec<Setting> = Augment::settings().concat();
    for shape in [[28, 28, 1], [32, 32, 3], [224, 224, 3]] {
        let count = if shape[0] > 100 { 32 } else { 128 };
        let bytes = count * shape.iter().product::<u32>() as usize;
        let images = Images::packed((0..bytes).map(|byte| (byte * 7919 % 251) as u8).collect(), vec![shape; count]);
        let rows: Vec<u64> = (0..count as u64).collect();
        for (name, given) in RECIPES {
            let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
            let augment = Augment::open(&Settings::check("augment", &list, values.iter().map(|(name, value)| (*name, value)))?)?;
            let repeats = if shape[0] > 100 { 10 } else { 200 };
            let began = Instant::now();
            for epoch in 0..repeats {
                std::hint::black_box(augment.apply(&images, Draw::new(1).at(epoch), &rows));
            }
            let each = began.elapsed().as_secs_f64() * 1e3 / repeats as f64;
            println!("{count} of {}x{}x{}  {name:<20} {each:8.3} ms a batch", shape[0], shape[1], shape[2]);
        }
    }
    Ok(())
}
