//! `data preview`: a sheet of pictures.

use crate::desk::{Desk, good};
use expect_test::expect;
use serde_json::Value;
use std::fs;

/// A folder as MNIST's: 30 pictures of 6x5 pixels, three classes.
fn digits(desk: &Desk) {
    fs::create_dir(desk.path("digits")).unwrap();
    let number = |number: u32| number.to_be_bytes();
    for (side, rows) in [("train", 30u32), ("t10k", 9)] {
        let pixels = (0..rows * 30).map(|place| (place * 37 % 251) as u8).collect::<Vec<u8>>();
        let images = [&[0, 0, 8, 3][..], &number(rows), &number(6), &number(5), &pixels].concat();
        let labels = [&[0, 0, 8, 1][..], &number(rows), &(0..rows).map(|row| (row % 3) as u8).collect::<Vec<u8>>()].concat();
        desk.put(&format!("digits/{side}-images-idx3-ubyte"), images);
        desk.put(&format!("digits/{side}-labels-idx1-ubyte"), labels);
    }
}

#[test]
fn a_sheet_shows_every_class_as_epochs_will() {
    let desk = Desk::new();
    digits(&desk);
    let ran = desk.ok(&["data", "preview", "digits", "augment.policy=standard", "-o", "sheet.png", "--rows", "3", "--views", "2"]);
    expect![[r#"
        row  1: 0  (digits/train-images-idx3-ubyte row 1)
        row  2: 1  (digits/train-images-idx3-ubyte row 20)
        row  3: 2  (digits/train-images-idx3-ubyte row 3)
        column image: 5x6 in grey; images of other sizes: the middle, cut out after the shorter side was brought to it
        wrote sheet.png: the prepared image, then 2 epochs
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!(ran.stderr, "");
    let sheet = desk.bytes("sheet.png");
    let side = |at: usize| u32::from_be_bytes([sheet[at], sheet[at + 1], sheet[at + 2], sheet[at + 3]]);
    assert_eq!((&sheet[1..4], side(16), side(20)), (&b"PNG"[..], 234, 268));
    let again = desk.ok(&["data", "preview", "digits", "augment.policy=standard", "--rows", "3", "--views", "2", "--json"]);
    let told: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((told["column"].as_str(), told["rows"].as_array().map(Vec::len)), (Some("image"), Some(3)));
    assert_eq!(desk.bytes("runs/preview.png"), sheet, "the same recipe draws the same sheet");
    let plain = desk.ok(&["data", "preview", "digits"]);
    assert!(plain.stderr.starts_with("nothing is changed at random"), "{}", plain.stderr);
}

#[test]
fn what_has_no_pictures_is_refused() {
    let desk = Desk::new();
    digits(&desk);
    desk.put("good.csv", good(50));
    desk.refuses(
        &[
            "data preview good.csv target=c",
            "data preview digits augment.flop=1",
            "data preview digits augment.scale=[2,1]",
            "data preview digits model=gbdt",
            "train digits model=gbdt",
            "train good.csv target=c model=tree augment.flip=0.5",
            "train good.csv target=c model=lenet5",
            "data preview digits inputs.image.size=9999",
        ],
        expect![[r#"
            $ data preview good.csv target=c
            error: failed to draw the images: no column of images among the inputs: a (number), b (number), y (number)
            = 3
            $ data preview digits augment.flop=1
            error: failed to check the recipe: command line: unknown key augment.flop
            hint: did you mean augment.flip?
            = 2
            $ data preview digits augment.scale=[2,1]
            error: failed to check the recipe: command line: augment.scale: found [2.0, 1.0], wanted two numbers that ascend, from 0.01 to 100: [0.01, 100]
            = 2
            $ data preview digits model=gbdt
            error: failed to draw the images: to look at images (column image) is not supported by model gbdt
            hint: models for images: baseline, lenet5, lenet5_modern, layers, resnet8, resnet20, resnet32, resnet44, resnet56, resnet9, resnet18, resnet34, resnet50, resnet101, resnet152, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn, mobilenet_v2
            = 2
            $ train digits model=gbdt
            target: label, as the data is laid out
            error: failed to train: to look at images (column image) is not supported by model gbdt
            hint: models for images: baseline, lenet5, lenet5_modern, layers, resnet8, resnet20, resnet32, resnet44, resnet56, resnet9, resnet18, resnet34, resnet50, resnet101, resnet152, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn, mobilenet_v2
            = 2
            $ train good.csv target=c model=tree augment.flip=0.5
            error: failed to train: command line: augment.flip changes images, and no input holds any
            hint: leave [augment] out
            = 2
            $ train good.csv target=c model=lenet5
            error: failed to train: to learn from columns without an image is not supported by model lenet5
            hint: models for such columns: gbdt, forest, extra_trees, tree, logistic, svm, knn, naive_bayes, baseline, mlp, ensemble
            = 2
            $ data preview digits inputs.image.size=9999
            error: failed to check the recipe: command line: inputs.image.size: found 9999, wanted auto, or a list of a whole number in 1..4096
            hint: the default is "auto"
            = 2
        "#]],
    );
}
