//! Pictures in the cells of a table: pixels, the bytes of a file, or a path of one.

use super::decode::{Decoded, decode};
use super::settings::ImageOptions;
use super::shrink::{shrunk, shrunk_shape};
use super::table::file;
use crate::conform::shown;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use cupola_task::{Column, Images};
use rayon::prelude::*;
use std::path::{Component, Path, PathBuf};

/// The pictures of a column. Texts are paths below `base`, and refused without one.
pub(crate) fn cells(
    name: &str,
    column: &Column,
    shrink: Option<u32>,
    place: &dyn Fn(usize) -> String,
    base: Option<&Path>,
) -> Result<Images> {
    let options = ImageOptions { shrink, ..ImageOptions::default() };
    let array = match column {
        Column::Images(images) => return Ok(within(images, shrink)),
        Column::Array(array) => array,
        _ => return Err(Error::column(name, place(0), "sound or objects", "images")),
    };
    let places: Vec<String> = (0..array.len()).map(place).collect();
    let read = |row: usize| match (bytes_at(array, row), text_at(array, row), base) {
        (Some(bytes), ..) => decode(&places[row], bytes, &options).map_err(|error| in_column(name, &places[row], error)),
        (_, Some(text), Some(base)) => file(name, &places[row], text, base, &options),
        (_, Some(text), None) => Err(Error::column(name, &places[row], shown(text), "pixels or the bytes of a picture, and no path")),
        _ if array.is_null(row) => Err(Error::column(name, &places[row], "nothing", "a picture").with_hint("leave the row out")),
        _ => Err(Error::column(name, &places[row], format!("the type {}", array.data_type()), "pixels or the bytes of a picture")),
    };
    let decoded = (0..array.len()).into_par_iter().map(read).collect::<Result<Vec<Decoded>>>()?;
    let shapes: Vec<[u32; 3]> = decoded.iter().map(|image| image.shape).collect();
    Ok(Images::packed(decoded.into_iter().flat_map(|image| image.pixels).collect(), shapes))
}

/// Pictures as they are read under that limit; those that are small enough share their pixels.
fn within(images: &Images, shrink: Option<u32>) -> Images {
    let Some(side) = shrink.filter(|&side| images.shapes().any(|shape| shape != shrunk_shape(shape, side))) else { return images.clone() };
    let small: Vec<_> = (0..images.len()).into_par_iter().map(|row| shrunk(images.pixels(row), images.shape(row), side)).collect();
    let shapes: Vec<[u32; 3]> = small.iter().map(|(_, shape)| *shape).collect();
    Images::packed(small.iter().flat_map(|(pixels, _)| pixels.iter().copied()).collect(), shapes)
}

/// A refusal of a picture as one of its column's cell.
fn in_column(name: &str, place: &str, error: Error) -> Error {
    match error {
        Error::Refused { found, wanted, hint, .. } => {
            Error::Column { column: name.to_owned(), place: place.to_owned(), found, wanted, hint }
        }
        other => other,
    }
}

fn bytes_at(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => array.as_binary_opt::<i32>().map(|bytes| bytes.value(row)),
        DataType::LargeBinary => array.as_binary_opt::<i64>().map(|bytes| bytes.value(row)),
        DataType::BinaryView => array.as_binary_view_opt().map(|bytes| bytes.value(row)),
        _ => None,
    }
}

fn text_at(array: &ArrayRef, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().map(|texts| texts.value(row)),
        DataType::LargeUtf8 => array.as_string_opt::<i64>().map(|texts| texts.value(row)),
        DataType::Utf8View => array.as_string_view_opt().map(|texts| texts.value(row)),
        _ => None,
    }
}

/// A path that stays below `base`, as far as its words say.
pub(crate) fn below(base: &Path, text: &str) -> Option<PathBuf> {
    let path = Path::new(text.trim());
    let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    (stays && !text.trim().is_empty()).then(|| base.join(path))
}
