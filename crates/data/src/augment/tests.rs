//! Laws of all operations: what a row becomes depends on seed, epoch and row number; identity changes nothing; any size goes.

use super::{Augment, OPERATIONS};
use cupola_task::{Draw, Fault, Images, Result, Setting, Settings, Value};
use expect_test::expect;

/// One recipe for each operation, and one of all.
const RECIPES: &[&[(&str, &str)]] = &[
    &[("policy", "standard")],
    &[("flip", "0.5"), ("vflip", "0.5")],
    &[("crop", "3"), ("padding_mode", "reflect")],
    &[("random_resized_crop", "[0.1, 0.9]")],
    &[("rotate", "40"), ("translate", "0.2"), ("scale", "[0.7, 1.4]"), ("shear", "10")],
    &[("brightness", "0.5"), ("contrast", "0.5"), ("saturation", "0.5"), ("hue", "0.2")],
    &[("cutout", "5")],
    &[("random_erasing", "0.9")],
    &[("randaugment", "3"), ("magnitude", "15")],
    &[("mixup", "0.4")],
    &[("cutmix", "1")],
    &[
        ("policy", "standard"),
        ("rotate", "10"),
        ("randaugment", "2"),
        ("brightness", "0.2"),
        ("hue", "0.1"),
        ("cutout", "2"),
        ("random_erasing", "0.3"),
        ("mixup", "0.2"),
        ("cutmix", "1"),
    ],
];

fn open(given: &[(&str, &str)]) -> Result<Augment> {
    let list: Vec<Setting> = Augment::settings().concat();
    let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
    Augment::open(&Settings::check("augment", &list, values.iter().map(|(name, value)| (*name, value)))?)
}

fn images(count: usize, [height, width, channels]: [u32; 3]) -> Images {
    let bytes = count * (height * width * channels) as usize;
    let draw = Draw::new(5);
    Images::packed((0..bytes as u64).map(|byte| draw.bits(byte / 3) as u8).collect(), vec![[height, width, channels]; count])
}

fn draw() -> Draw {
    Draw::new(7).stream("augment").at(2)
}

#[test]
fn a_row_is_the_same_in_whatever_batch_thread_and_order() {
    for shape in [[9, 12, 3], [1, 1, 1], [80, 70, 1], [1, 7, 3]] {
        let all = images(40, shape);
        let rows: Vec<u64> = (100..140).collect();
        for recipe in RECIPES {
            let augment = open(recipe).unwrap();
            let together = augment.apply(&all, draw(), &rows);
            assert_eq!(together.images.common_shape(), Some(shape), "{recipe:?}");
            let again = augment.apply(&all, draw(), &rows);
            assert_eq!((&again.images, &again.blend), (&together.images, &together.blend), "{recipe:?}");
            let order: Vec<u64> = draw().permutation(40);
            let shuffled: Vec<u64> = order.iter().map(|&place| rows[place as usize]).collect();
            let other = augment.apply(&all.take(&order), draw(), &shuffled);
            assert_eq!(other.images, together.images.take(&order), "{recipe:?} {shape:?}");
            if together.blend.is_none() {
                let few = augment.apply(&all.take(&[3, 5]), draw(), &[103, 105]);
                assert_eq!(few.images, together.images.take(&[3, 5]), "{recipe:?} {shape:?}");
            }
        }
    }
}

#[test]
fn every_recipe_changes_something_and_differs_by_row_epoch_and_seed() {
    let all = images(1, [16, 16, 3]).take(&[0; 32]);
    let rows: Vec<u64> = (0..32).collect();
    for recipe in &RECIPES[..9] {
        let augment = open(recipe).unwrap();
        let at = |draw: Draw| augment.apply(&all, draw, &rows).images;
        let now = at(draw());
        let distinct: std::collections::HashSet<&[u8]> = (0..32).map(|row| now.pixels(row)).collect();
        assert!(distinct.len() >= 4, "{recipe:?}: {} of 32 differ", distinct.len());
        assert!(now != all && now != at(draw().at(3)) && now != at(Draw::new(8).stream("augment").at(2)), "{recipe:?}");
    }
}

#[test]
fn nothing_asked_for_shares_the_pixels() {
    let all = images(3, [5, 5, 1]);
    for recipe in [&[][..], &[("flip", "0"), ("scale", "[1, 1]")], &[("policy", "none"), ("magnitude", "30"), ("ratio", "[0.5, 2]")]] {
        let augment = open(recipe).unwrap();
        assert!(augment.is_nothing([5, 5]));
        assert_eq!(augment.apply(&all, draw(), &[1, 2, 3]).images.pixels(2).as_ptr(), all.pixels(2).as_ptr());
    }
    let certain = open(&[("flip", "1")]).unwrap();
    let twice = certain.apply(&certain.apply(&all, draw(), &[1, 2, 3]).images, draw(), &[1, 2, 3]);
    assert_eq!(twice.images, all);
}

#[test]
fn mixtures_are_what_their_shares_say() {
    let plain = Images::packed((0..8u8).flat_map(|image| [image * 30; 64]).collect(), [[8, 8, 1]; 8]);
    let rows: Vec<u64> = (50..58).collect();
    for recipe in [&[("mixup", "1")][..], &[("cutmix", "1")]] {
        let mixed = open(recipe).unwrap().apply(&plain, draw(), &rows);
        let (partner, share) = mixed.blend.unwrap();
        let mut seen = partner.clone();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..8), "every row is a partner once");
        for row in 0..8 {
            assert_ne!(partner[row], row as u32);
            let mean = mixed.images.pixels(row).iter().map(|&level| f32::from(level)).sum::<f32>() / 64.0;
            let wanted = 30.0 * (share[row] * row as f32 + (1.0 - share[row]) * partner[row] as f32);
            assert!((mean - wanted).abs() < 0.51, "{recipe:?} row {row}: {mean} is not {wanted}");
        }
    }
    let alone = open(&[("mixup", "1")]).unwrap().apply(&plain.take(&[4]), draw(), &[9]);
    assert_eq!((alone.images, alone.blend.unwrap().0), (plain.take(&[4]), vec![0]));
}

#[test]
fn the_policy_follows_the_size_and_gives_way_to_what_is_said() {
    let standard = open(&[("policy", "standard")]).unwrap();
    assert!(!standard.is_nothing([32, 32]) && !standard.is_nothing([224, 224]));
    for (given, same) in [
        (&[("policy", "standard"), ("flip", "0")][..], &[("crop", "4")][..]),
        (&[("policy", "standard"), ("crop", "0"), ("flip", "0.5")], &[("flip", "0.5")]),
        (&[("policy", "standard"), ("random_resized_crop", "[0.5, 1]")], &[("rrc", "[0.5, 1]"), ("fliplr", "0.5")]),
    ] {
        let (all, rows) = (images(9, [32, 32, 3]), (0..9).collect::<Vec<u64>>());
        assert_eq!(
            open(given).unwrap().apply(&all, draw(), &rows).images,
            open(same).unwrap().apply(&all, draw(), &rows).images,
            "{given:?}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut told = String::new();
    for given in [
        &[("flip", "2")][..],
        &[("flop", "1")],
        &[("scale", "[1.2, 0.8]")],
        &[("random_resized_crop", "[0.5, 2]")],
        &[("random_resized_crop", "0.5")],
        &[("crop", "4"), ("rrc", "[0.5, 1]")],
        &[("randaugment", "99")],
    ] {
        let error = open(given).unwrap_err();
        told += &format!("{error}; {}\n", error.hint().unwrap_or_default());
    }
    expect![[r#"
        setting augment.flip: found 2, wanted auto, or a number in 0..1; the default is "auto"
        setting augment.flop: found an unknown key, wanted a key of the list; did you mean flip?
        setting augment.scale: found [1.2, 0.8], wanted two numbers that ascend, from 0.01 to 100: [0.01, 100]; 
        setting augment.random_resized_crop: found [0.5, 2.0], wanted two numbers that ascend, from 0.01 to 1: [0.01, 1]; 
        setting augment.random_resized_crop: found [0.5], wanted two numbers that ascend, from 0.01 to 1: [0.01, 1]; 
        setting augment.crop: found 4, wanted 0 beside random_resized_crop, for both cut a window; leave one of them out
        setting augment.randaugment: found 99, wanted a whole number in 0..16; the default is 0
    "#]]
    .assert_eq(&told);
}

#[test]
fn names_are_unique() {
    let names: Vec<&str> = OPERATIONS.iter().flat_map(|operation| operation.settings).map(|setting| setting.name).collect();
    let aliases: Vec<&str> =
        OPERATIONS.iter().flat_map(|operation| operation.settings).flat_map(|setting| setting.alias).copied().collect();
    let all: std::collections::HashSet<&str> = names.iter().chain(&aliases).copied().collect();
    assert_eq!(all.len(), names.len() + aliases.len());
    OPERATIONS.iter().flat_map(|operation| operation.settings).for_each(|setting| drop(setting.default_value()));
}
