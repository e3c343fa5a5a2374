//! PyTorch's `.pt` and `.pth` files since 1.6: a zip archive of `NAME/data.pkl`, which describes tensors, and `NAME/data/KEY`, their bytes.
//!
//! Source: `torch/serialization.py`, `caffe2/serialize/inline_container.h`.

use super::pickle::{self, Id, Pickle, Value};
use super::tensors::Stored;
use super::zip;
use cupola_task::{Error, Result};

/// Dictionaries in dictionaries: a checkpoint has `{"model": {"conv.weight": ...}}`, and an optimiser's state goes two deeper.
const DEPTH_MAX: usize = 8;

/// More named things than any checkpoint has; a hostile one can hold the same dictionary many times.
const NAMES_MAX: usize = 1 << 20;

/// All tensors of a file, those in dictionaries of dictionaries with dotted names.
///
/// # Errors
/// When the file is torn, holds more than tensors, or was written on a big-endian machine.
pub(super) fn tensors<'a>(place: &str, bytes: &'a [u8]) -> Result<Vec<Stored<'a>>> {
    let members = zip::members(place, bytes)?;
    let name = members.keys().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let name = name.ok_or_else(|| {
        let hint = "a whole model saved for other programs holds code; save the weights alone: torch.save(model.state_dict(), path)";
        Error::input(place, "a zip archive without data.pkl", "a file that torch.save wrote").with_hint(hint)
    })?;
    let root = name.trim_end_matches("data.pkl");
    if members.get(&format!("{root}byteorder")).is_some_and(|order| order.trim_ascii() != b"little") {
        return Err(Error::input(place, "numbers of a big-endian machine", "little-endian ones"));
    }
    let pickle = pickle::read(&format!("{place}: {name}"), members[name])?;
    let mut found = Found { place, pickle: &pickle, names: 0, tensors: Vec::new() };
    found.walk("", pickle.root, 0)?;
    let stored = |(name, id): (String, Id)| {
        let Value::Tensor { dtype, key, offset, shape, strides } = &pickle.values[id] else { unreachable!("only tensors are found") };
        let bytes = members.get(&format!("{root}data/{key}")).copied();
        let bytes = bytes.ok_or_else(|| Error::input(format!("{place}: tensor {name}"), "no bytes", format!("a member data/{key}")))?;
        Ok(Stored { name, dtype: *dtype, shape: shape.clone(), strides: strides.clone(), offset: *offset, bytes })
    };
    found.tensors.into_iter().map(stored).collect()
}

struct Found<'a> {
    place: &'a str,
    pickle: &'a Pickle,
    names: usize,
    tensors: Vec<(String, Id)>,
}

impl Found<'_> {
    fn walk(&mut self, name: &str, id: Id, depth: usize) -> Result<()> {
        self.names += 1;
        if depth > DEPTH_MAX || self.names > NAMES_MAX {
            return Err(Error::input(self.place, "dictionaries without end", "a list of weights"));
        }
        match &self.pickle.values[id] {
            Value::Tensor { .. } => self.tensors.push((name.to_owned(), id)),
            Value::Dict(items) => {
                for &(key, value) in items {
                    let key = match &self.pickle.values[key] {
                        Value::Text(text) => text.clone(),
                        Value::Integer(number) => number.to_string(),
                        _ => continue,
                    };
                    let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                    self.walk(&name, value, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
