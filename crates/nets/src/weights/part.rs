//! Weights in files: safetensors keyed by parameter path, sorted.

use crate::layout::Layout;
use cupola_task::{Error, Parts, Result, Settings};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The part of a model file that holds a network's weights.
pub const WEIGHTS: &str = "model/weights.safetensors";
const SETTINGS: &str = "model/settings.json";

/// The settings a saved network was made with.
///
/// # Errors
/// When the part is missing or not what [`into_parts`] writes.
pub fn settings(parts: &Parts) -> Result<Settings> {
    let place = format!("model part {SETTINGS}");
    let bytes = parts.0.get(SETTINGS).ok_or_else(|| Error::input(&place, "nothing", "a network's settings"))?;
    serde_json::from_slice(bytes).map_err(|error| Error::input(&place, error, "a network's settings"))
}

/// Writes settings and weights as parts of a model file.
///
/// # Errors
/// When the settings hold what JSON cannot.
pub fn into_parts(settings: &Settings, layout: &Layout, arena: &[f32], parts: &mut Parts) -> Result<()> {
    let json = serde_json::to_vec(settings).map_err(|error| Error::input("network settings", error, "values that JSON can hold"))?;
    parts.0.insert(SETTINGS.to_owned(), json);
    parts.0.insert(WEIGHTS.to_owned(), to_safetensors(layout, arena));
    Ok(())
}

/// Reads the weights of a model file. The bytes may be hostile.
///
/// # Errors
/// When the part is missing, or its tensors are not those of the layout.
pub fn from_part(parts: &Parts, layout: &Layout) -> Result<Vec<f32>> {
    let place = format!("model part {WEIGHTS}");
    let bytes = parts.0.get(WEIGHTS).ok_or_else(|| Error::input(&place, "nothing", "a network's weights"))?;
    from_safetensors(&place, bytes, layout)
}

/// An arena of a layout as a safetensors file: tensors by path, sorted, little-endian `f32`.
pub fn to_safetensors(layout: &Layout, arena: &[f32]) -> Vec<u8> {
    write_tensors(layout.entries().iter().map(|entry| (entry.path.clone(), entry.shape.clone(), &arena[entry.range()])).collect())
}

/// Flat lists of numbers as a safetensors file: by name, sorted, little-endian `f32`.
pub fn to_lists(lists: Vec<(String, &[f32])>) -> Vec<u8> {
    write_tensors(lists.into_iter().map(|(name, values)| (name, vec![values.len()], values)).collect())
}

fn write_tensors(mut tensors: Vec<(String, Vec<usize>, &[f32])>) -> Vec<u8> {
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the bytes fill the shape"))
    });
    safetensors::serialize(views, None).expect("names are unique and shapes small")
}

/// A list that [`to_lists`] wrote; it must have that many numbers.
///
/// # Errors
/// When the file is none, or has no such list.
pub fn list(place: &str, bytes: &[u8], name: &str, length: usize) -> Result<Vec<f32>> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::input(place, error, "a safetensors file"))?;
    read_tensor(place, &tensors, name, &[length])
}

fn read_tensor(place: &str, tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let wrong = |found: String| Error::input(format!("{place}: {name}"), found, format!("f32 of shape {shape:?}"));
    let view = tensors.tensor(name).map_err(|_| wrong("nothing".into()))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(wrong(format!("{:?} of shape {:?}", view.dtype(), view.shape())));
    }
    Ok(view.data().chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
}

/// The arena of a layout from a safetensors file that holds exactly its entries.
///
/// # Errors
/// When the file is none, or its tensors are not those of the layout.
pub fn from_safetensors(place: &str, bytes: &[u8], layout: &Layout) -> Result<Vec<f32>> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::input(place, error, "a safetensors file"))?;
    if tensors.len() != layout.entries().len() {
        return Err(Error::input(place, format!("{} tensors", tensors.len()), format!("{}", layout.entries().len())));
    }
    // A layout from hostile settings may want more memory than there is; the file shows whether it fits.
    if layout.len() > bytes.len() / size_of::<f32>() {
        return Err(Error::input(place, format!("{} bytes", bytes.len()), format!("{} numbers of f32", layout.len())));
    }
    let mut arena = vec![0.0; layout.len()];
    for entry in layout.entries() {
        arena[entry.range()].copy_from_slice(&read_tensor(place, &tensors, &entry.path, &entry.shape)?);
    }
    Ok(arena)
}
