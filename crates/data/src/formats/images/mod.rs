//! Folders of pictures, a folder for each class: `FOLDER/CLASS/...`, or `FOLDER/train/CLASS/...` beside `val` and `test`. ImageNet is
//! laid out so, with files that give its classes names and its validation pictures classes ([`names`]). A folder without folders gives
//! pictures without labels, to be answered.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let folder = tempfile::tempdir()?;
//! for (class, pixel) in [("dark", 10), ("light", 240)] {
//!     std::fs::create_dir(folder.path().join(class))?;
//!     // The smallest BMP there is: one grey pixel.
//!     let header = [&b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0"[..], &[0; 24]].concat();
//!     std::fs::write(folder.path().join(class).join("1.bmp"), [&header[..], &[pixel, pixel, pixel, 0]].concat())?;
//! }
//! let raw = read(&Input::Path(folder.path().to_owned()), &ReadOptions::default())?;
//! let images = raw.columns.get("image").and_then(|column| column.images()).expect("a column of images");
//! assert_eq!((raw.format, images.pixels(1), raw.layout.target), ("images", &[240, 240, 240][..], Some("label")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod names;
mod read;
mod walk;

pub(super) use read::open_listing;
pub(super) use walk::{Item, Listing, Picture, side_of};

use super::folder::Folder;
use super::{FormatDef, Open};
use crate::Result;
use crate::read::ReadOptions;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "images",
    extensions: &[],
    doc: "a folder of pictures (JPEG, PNG, WebP, BMP, TIFF, GIF), a folder for each class, below train, val and test if they are there",
    sniff: |_| false,
    open: Open::Folder { claims, open: read::open },
};

/// Endings of pictures' names. What they hold is decided by their content.
pub(crate) const SUFFIXES: &[&str] = &["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif"];

/// Whether a name ends as those of pictures do.
pub(crate) fn is_named(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, suffix)| SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known)))
}

fn claims(folder: &Folder, _: &ReadOptions) -> Result<bool> {
    walk::has_picture(folder)
}
