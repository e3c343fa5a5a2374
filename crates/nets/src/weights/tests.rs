//! Files that `parity/weights.py` wrote, with PyTorch.

use super::*;
use crate::layout::{Builder, Fill, Layout};
use crate::optim::SETTINGS;
use cupola_task::{Fault, Result, Settings, Value};
use proptest::prelude::*;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../../fixtures/weights/", $name)))),*];
    };
}

files!(
    "state.pt",
    "state_protocol_4.pth",
    "state_zip64.pt",
    "state.safetensors",
    "checkpoint.pt",
    "old_format.pt",
    "whole_module.pt",
    "code.pt",
    "compressed.pt",
);

fn file(name: &str) -> &'static [u8] {
    FILES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// The script's network with that many classes.
fn layout(classes: usize) -> Layout {
    let mut builder = Builder::default();
    let mut layer = |name: &str, params: &[(&str, &[usize])], running: &[&str]| {
        builder.at(name, |builder| {
            for (name, shape) in params {
                builder.param(name, shape, Fill::Constant(7.0));
            }
            for name in running {
                builder.running(name, &[2], Fill::Constant(7.0));
            }
            builder.layer("layer".into(), &[2], 0)
        });
    };
    layer("conv", &[("weight", &[2, 1, 2, 2]), ("bias", &[2])], &[]);
    layer("bn", &[("weight", &[2]), ("bias", &[2])], &["running_mean", "running_var"]);
    layer("fc", &[("weight", &[classes, 4]), ("bias", &[classes])], &[]);
    builder.finish()
}

fn take(name: &str, layout: &Layout, map: &str, wanted: &str) -> Result<(Vec<f32>, Warmed)> {
    let values = [("weights", Value::parse(name)), ("weights_map", Value::parse(map)), ("weights_match", Value::parse(wanted))];
    let settings = Settings::check("train", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap();
    let mut arena = vec![7.0; layout.len()];
    let warmed = Pretrained::open(&settings)?.unwrap().warm(file(name), layout, &mut arena)?;
    Ok((arena, warmed))
}

#[test]
fn files_of_every_kind_give_the_same_numbers() {
    let layout = layout(3);
    for name in ["state.pt", "state_protocol_4.pth", "state_zip64.pt", "state.safetensors", "checkpoint.pt"] {
        let wanted = if name == "checkpoint.pt" { "body" } else { "all" };
        let (arena, warmed) = take(name, &layout, "[]", wanted).unwrap();
        assert_eq!((warmed.taken, warmed.fresh.len()), (8, 0), "{name}");
        for entry in layout.entries() {
            let wanted: Vec<f32> = (0..entry.len()).map(|place| (place as f32 - 3.0) / 4.0).collect();
            assert_eq!(arena[entry.range()], wanted, "{name}: {}", entry.path);
        }
        assert!(warmed.unexpected.iter().all(|name| name.starts_with("optimizer.state.")), "{:?}", warmed.unexpected);
    }
}

#[test]
fn a_head_for_other_classes_is_learned_anew() {
    let layout = layout(5);
    let (arena, warmed) = take("state.pt", &layout, "[]", "body").unwrap();
    assert_eq!((warmed.taken, &warmed.fresh[..]), (6, &["fc.weight".to_owned(), "fc.bias".to_owned()][..]));
    let head = layout.entry("fc.weight").unwrap().start;
    assert!(arena[head..].iter().all(|&value| value == 7.0) && arena[..head].iter().all(|&value| value != 7.0));
}

#[test]
fn names_are_mapped() {
    let layout = layout(3);
    let (_, warmed) = take("state.pt", &layout, "[conv=backbone, bn=]", "some").unwrap();
    assert_eq!((warmed.taken, warmed.unexpected.len()), (2, 6));
    let (_, warmed) = take("state.pt", &layout, "[conv=backbone, backbone=conv]", "all").unwrap();
    assert_eq!(warmed.taken, 8);
}

#[test]
fn what_does_not_fit_is_told() {
    let cases = [
        (
            "state.pt",
            5,
            "[]",
            "all",
            "state.pt: fc.weight: found shape [3, 4], wanted shape [5, 4]",
            "check the model's name and settings; weights_match=some takes what fits and learns the rest anew",
        ),
        (
            "state.pt",
            3,
            "[conv=cnv]",
            "body",
            "state.pt: found no tensor conv.weight, wanted weights of this network",
            "the file also has conv.weight, conv.bias; weights_map = [\"old=new\"] renames",
        ),
        ("state.pt", 3, "[x]", "body", "setting train.weights_map: found x, wanted old=new, for example backbone=features", ""),
        (
            "state.pt",
            3,
            "[conv.weight=fc.weight]",
            "body",
            "state.pt: fc.weight: found two tensors, wanted one tensor",
            "weights_map can put one of them elsewhere, for example [\"old=unused\"]",
        ),
        (
            "code.pt",
            3,
            "[]",
            "some",
            "code.pt: code/data.pkl at byte 192: found the name posix.system, wanted tensors in dictionaries",
            "files are read without running what is in them; save the weights alone: torch.save(model.state_dict(), path)",
        ),
        (
            "whole_module.pt",
            3,
            "[]",
            "some",
            "whole_module.pt: whole_module/data.pkl at byte 34: found the name torch.nn.modules.linear.Linear, wanted tensors in dictionaries",
            "files are read without running what is in them; save the weights alone: torch.save(model.state_dict(), path)",
        ),
        (
            "old_format.pt",
            3,
            "[]",
            "some",
            "old_format.pt: found PyTorch's old format, wanted a .pt file of PyTorch 1.6 or newer, or safetensors",
            "save it again with PyTorch 1.6 or newer: torch.save(torch.load(path, map_location=\"cpu\"), path)",
        ),
        (
            "compressed.pt",
            3,
            "[]",
            "some",
            "compressed.pt: member archive/data.pkl: found compressed or encrypted data, wanted stored data",
            "PyTorch stores members as they are; unpack the archive and zip it with compression off",
        ),
    ];
    let found: Vec<(String, String)> = cases
        .iter()
        .map(|&(name, classes, map, wanted, ..)| {
            let error = take(name, &layout(classes), map, wanted).unwrap_err();
            (error.to_string(), error.hint().unwrap_or_default())
        })
        .collect();
    let wanted: Vec<(String, String)> = cases.iter().map(|&(.., text, hint)| (text.to_owned(), hint.to_owned())).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_directory_may_be_told_by_its_64_bit_record() {
    let mut bytes = file("state_zip64.pt").to_vec();
    let end = bytes.len() - 22;
    bytes[end + 10..end + 12].fill(0xff);
    bytes[end + 16..end + 20].fill(0xff);
    assert_eq!(load("file", &bytes, &layout(3), &KeyMap::default()).unwrap().values.len(), 8);
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b""[..], b"PK\x03\x04", b"PK\x05\x06", &[0; 400], b"\x89PNG\r\n\x1a\n", &[0xff; 64]] {
        assert!(load("file", bytes, &layout(3), &KeyMap::default()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is done to a file, reading it ends, with weights or an error.
    #[test]
    fn hostile_bytes_do_not_panic(
        which in 0..FILES.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), cut in any::<prop::sample::Index>(), cuts in any::<bool>(),
    ) {
        let mut bytes = FILES[which].1.to_vec();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = load("file", &bytes, &layout(3), &KeyMap::default());
    }
}
