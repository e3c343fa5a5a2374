//! How pictures are read: the recipe's keys under `[data.images]`.

use cupola_task::{Range, Setting, Settings};

/// Where decoded pixels are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// In memory up to a limit, then in a file.
    #[default]
    Auto,
    /// In memory.
    Memory,
    /// In a temporary file without a name, which is mapped into memory.
    File,
}

/// How pictures are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageOptions {
    /// Most pixels of one picture; a picture that says it has more is not decoded.
    pub max_pixels: u64,
    /// Most pixels of a picture's shorter side: larger ones are made smaller while they are read.
    pub shrink: Option<u32>,
    /// Where decoded pixels are kept.
    pub keep: Keep,
    /// From how many bytes of pixels on [`Keep::Auto`] takes a file.
    pub memory: u64,
}

impl Default for ImageOptions {
    fn default() -> Self {
        ImageOptions::from_settings(&Settings::check("data.images", ImageOptions::SETTINGS, []).expect("defaults are in range"))
    }
}

impl ImageOptions {
    /// The recipe's keys, with their defaults.
    pub const SETTINGS: &[Setting] = &[
        Setting {
            name: "max_pixels",
            alias: &[],
            default: "100000000",
            range: Range::Integer { min: 1, max: 1 << 32 },
            doc: "Most pixels of one picture, height times width; larger ones are refused before they are decoded.",
        },
        Setting {
            name: "shrink",
            alias: &["max_side"],
            default: "auto",
            range: Range::Any(&[Range::Choice(&["auto", "off"]), Range::Integer { min: 8, max: 1 << 16 }]),
            doc: "Pictures whose shorter side has more pixels are made smaller while they are read. auto: twice what the model wants.",
        },
        Setting {
            name: "keep",
            alias: &[],
            default: "auto",
            range: Range::Choice(&["auto", "memory", "file"]),
            doc: "Where decoded pixels are kept: in memory, or in a temporary file that the system pages in. auto: in memory up to data.images.memory.",
        },
        Setting {
            name: "memory",
            alias: &[],
            default: "4294967296",
            range: Range::Integer { min: 0, max: i64::MAX },
            doc: "Bytes of decoded pixels from which on keep=auto takes a file.",
        },
    ];

    /// Options from checked settings. `shrink` stays open where the recipe says auto: only who knows the model knows it.
    pub fn from_settings(settings: &Settings) -> ImageOptions {
        ImageOptions {
            max_pixels: settings.integer("max_pixels").unsigned_abs(),
            shrink: settings.try_integer("shrink").and_then(|side| u32::try_from(side).ok()),
            keep: match settings.text("keep") {
                "memory" => Keep::Memory,
                "file" => Keep::File,
                _ => Keep::Auto,
            },
            memory: settings.integer("memory").unsigned_abs(),
        }
    }
}
