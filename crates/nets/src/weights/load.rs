//! From a file of another system to an arena: names are mapped, shapes compared, and what does not fit is said.

use super::tensors::{Dtype, Stored, contiguous};
use super::torch;
use crate::layout::{Layout, Role};
use crate::optim::texts;
use cupola_task::{Error, Result, Settings, nearest};
use safetensors::tensor::{Dtype as Type, SafeTensors};
use std::collections::BTreeMap;

/// How names in a file become paths of a network.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeyMap {
    rules: Vec<(String, String)>,
}

/// What a file held for a network.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Loaded {
    /// Numbers by path.
    pub values: BTreeMap<String, Vec<f32>>,
    /// Paths of the network that the file has no tensor for.
    pub missing: Vec<String>,
    /// Names in the file that the network has no place for.
    pub unexpected: Vec<String>,
    /// Paths whose tensor has another shape.
    pub other_shape: Vec<OtherShape>,
}

/// A tensor that does not fit its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtherShape {
    /// The network's path.
    pub path: String,
    /// The tensor's shape.
    pub found: Vec<usize>,
    /// The place's shape.
    pub wanted: Vec<usize>,
}

/// What of a network must come from the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Everything, and the file may hold nothing else.
    All,
    /// Everything below the last layer, which answers other classes and is learned anew where it does not fit.
    Body,
    /// Whatever fits, one entry at least.
    Some,
}

/// The weights that a recipe begins with.
#[derive(Clone, PartialEq, Debug)]
pub struct Pretrained {
    /// The file, as the recipe writes it.
    pub path: String,
    /// How its names become paths.
    pub map: KeyMap,
    /// What must come from it.
    pub wanted: Match,
}

/// What became of an arena that took weights from a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Warmed {
    /// How many entries came from the file.
    pub taken: usize,
    /// Paths that keep their first weights.
    pub fresh: Vec<String>,
    /// Names in the file that the network has no place for.
    pub unexpected: Vec<String>,
}

/// What wrappers and checkpoints put in front of names.
const WRAPPERS: &[&str] = &["module.", "model.", "_orig_mod.", "state_dict.", "model_state_dict."];

impl Pretrained {
    /// What a recipe says, whose settings are checked against [`SETTINGS`](crate::optim::SETTINGS); none when it begins with no file.
    ///
    /// # Errors
    /// Those of [`KeyMap::parse`].
    pub fn open(settings: &Settings) -> Result<Option<Pretrained>> {
        let path = match settings.text("weights") {
            "none" => return Ok(None),
            path => path.to_owned(),
        };
        let map = KeyMap::parse(texts(settings, "weights_map"))?;
        let wanted = match settings.text("weights_match") {
            "all" => Match::All,
            "some" => Match::Some,
            _ => Match::Body,
        };
        Ok(Some(Pretrained { path, map, wanted }))
    }

    /// Puts the file's weights into an arena.
    ///
    /// # Errors
    /// Those of [`load`] and [`warm`].
    pub fn warm(&self, bytes: &[u8], layout: &Layout, arena: &mut [f32]) -> Result<Warmed> {
        let loaded = load(&self.path, bytes, layout, &self.map)?;
        let fresh = warm(&self.path, arena, layout, &loaded, self.wanted)?;
        Ok(Warmed { taken: loaded.values.len(), fresh, unexpected: loaded.unexpected })
    }
}

impl KeyMap {
    /// Rules as a recipe writes them: `old=new` puts `new` where a name begins with `old` and a dot, or is `old`; `old=` takes `old` away. Each rule
    /// is tried on what those before it made.
    ///
    /// # Errors
    /// When a rule has no `=`, or nothing before it.
    pub fn parse<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<KeyMap> {
        let parse = |rule: &str| match rule.split_once('=') {
            Some((old, new)) if !old.trim().is_empty() => {
                Ok((old.trim().trim_end_matches('.').to_owned(), new.trim().trim_end_matches('.').to_owned()))
            }
            _ => Err(Error::setting("train.weights_map", rule, "old=new, for example backbone=features")),
        };
        Ok(KeyMap { rules: rules.into_iter().map(parse).collect::<Result<_>>()? })
    }

    /// A name's path, and whether wrappers were taken off it.
    fn path(&self, name: &str, layout: &Layout) -> (String, bool) {
        let mut path = name.to_owned();
        for (old, new) in &self.rules {
            let Some(rest) = path.strip_prefix(old.as_str()) else { continue };
            if rest.is_empty() || rest.starts_with('.') {
                path = if new.is_empty() { rest.trim_start_matches('.').to_owned() } else { format!("{new}{rest}") };
            }
        }
        let mut was_wrapped = false;
        while layout.entry(&path).is_none()
            && let Some(bare) = WRAPPERS.iter().find_map(|wrapper| path.strip_prefix(wrapper))
        {
            (path, was_wrapped) = (bare.to_owned(), true);
        }
        (path, was_wrapped)
    }
}

/// Reads weights of another system: safetensors, or PyTorch's `.pt` and `.pth`. The bytes may be hostile.
///
/// # Errors
/// When the file is of another kind, torn, holds more than tensors, two tensors for one place, or numbers that are not finite.
pub fn load(place: &str, bytes: &[u8], layout: &Layout, map: &KeyMap) -> Result<Loaded> {
    let (mut loaded, mut seen) = (Loaded::default(), BTreeMap::new());
    for tensor in open(place, bytes)? {
        let (path, was_wrapped) = map.path(&tensor.name, layout);
        let Some(entry) = layout.entry(&path).filter(|entry| entry.role != Role::Fixed) else {
            loaded.unexpected.push(tensor.name);
            continue;
        };
        match seen.get(&path) {
            // A checkpoint may hold the same weights again inside a wrapper.
            Some(false) if was_wrapped => continue,
            Some(other) if *other == was_wrapped => {
                let hint = "weights_map can put one of them elsewhere, for example [\"old=unused\"]";
                return Err(Error::input(format!("{place}: {path}"), "two tensors", "one tensor").with_hint(hint));
            }
            _ => seen.insert(path.clone(), was_wrapped),
        };
        loaded.values.remove(&path);
        loaded.other_shape.retain(|other| other.path != path);
        if tensor.shape == entry.shape {
            loaded.values.insert(path, tensor.values(place)?);
        } else {
            loaded.other_shape.push(OtherShape { path, found: tensor.shape, wanted: entry.shape.clone() });
        }
    }
    // PyTorch counts batches where it needs no count.
    loaded.unexpected.retain(|name| !name.ends_with("num_batches_tracked"));
    let wanted = layout.plain_entries().iter().filter(|entry| entry.role != Role::Fixed);
    loaded.missing = wanted.map(|entry| entry.path.clone()).filter(|path| !seen.contains_key(path)).collect();
    Ok(loaded)
}

/// Puts loaded weights into an arena, and gives the paths that keep their first weights.
///
/// # Errors
/// When weights are missing, or are of another shape, where [`Match`] does not allow it.
pub fn warm(place: &str, arena: &mut [f32], layout: &Layout, loaded: &Loaded, wanted: Match) -> Result<Vec<String>> {
    let head = layout.head();
    let may_miss = |path: &str| match wanted {
        Match::All => false,
        Match::Body => layout.entry(path).map(|entry| entry.layer) == head,
        Match::Some => true,
    };
    if let Some(other) = loaded.other_shape.iter().find(|other| !may_miss(&other.path)) {
        let found = format!("shape {:?}", other.found);
        let error = Error::input(format!("{place}: {}", other.path), found, format!("shape {:?}", other.wanted));
        return Err(error.with_hint("check the model's name and settings; weights_match=some takes what fits and learns the rest anew"));
    }
    if let Some(path) = loaded.missing.iter().find(|path| !may_miss(path)) {
        let error = Error::input(place, format!("no tensor {path}"), "weights of this network");
        return Err(error.with_hint(names_hint(path, loaded)));
    }
    if loaded.values.is_empty() {
        let error = Error::input(place, "no tensor that fits", "weights of this network");
        return Err(error.with_hint(names_hint(loaded.missing.first().map_or("", String::as_str), loaded)));
    }
    if let (Match::All, [first, ..]) = (wanted, &loaded.unexpected[..]) {
        let found = format!("{} tensors more, {first} among them", loaded.unexpected.len());
        return Err(Error::input(place, found, "weights of this network").with_hint("weights_match=body lets them be"));
    }
    for (path, values) in &loaded.values {
        let entry = layout.entry(path).expect("what was loaded is in the layout");
        arena[entry.range()].copy_from_slice(values);
    }
    let fresh = loaded.missing.iter().cloned().chain(loaded.other_shape.iter().map(|other| other.path.clone()));
    Ok(fresh.collect())
}

fn names_hint(path: &str, loaded: &Loaded) -> String {
    let names = || loaded.unexpected.iter().map(String::as_str);
    let near = nearest(path, names());
    let some: Vec<&str> = near.into_iter().chain(names().filter(|name| Some(*name) != near)).take(3).collect();
    match &some[..] {
        [] => "weights_match=some takes what fits and learns the rest anew".into(),
        some => format!("the file also has {}; weights_map = [\"old=new\"] renames", some.join(", ")),
    }
}

fn open<'a>(place: &str, bytes: &'a [u8]) -> Result<Vec<Stored<'a>>> {
    if bytes.starts_with(b"PK\x03\x04") {
        return torch::tensors(place, bytes);
    }
    // Before 1.6 a file was a row of pickles, of which the first is a magic number, or a tar archive.
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    if bytes.starts_with(&[0x80, 0x02]) || is_tar {
        let hint = "save it again with PyTorch 1.6 or newer: torch.save(torch.load(path, map_location=\"cpu\"), path)";
        return Err(Error::input(place, "PyTorch's old format", "a .pt file of PyTorch 1.6 or newer, or safetensors").with_hint(hint));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| {
        let found = format!("no safetensors file ({error}) and no zip archive");
        Error::input(place, found, "weights as safetensors, or as PyTorch's .pt or .pth")
    })?;
    tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let dtype = dtype(view.dtype());
            let wrong =
                || Error::input(format!("{place}: tensor {name}"), format!("{:?}", view.dtype()), "f16, bf16, f32, f64 or whole numbers");
            let (dtype, shape) = (dtype.ok_or_else(wrong)?, view.shape().to_vec());
            Ok(Stored { strides: contiguous(&shape), shape, dtype, offset: 0, bytes: view.data(), name })
        })
        .collect()
}

fn dtype(dtype: Type) -> Option<Dtype> {
    Some(match dtype {
        Type::F16 => Dtype::F16,
        Type::BF16 => Dtype::BF16,
        Type::F32 => Dtype::F32,
        Type::F64 => Dtype::F64,
        Type::I8 => Dtype::I8,
        Type::U8 => Dtype::U8,
        Type::I16 => Dtype::I16,
        Type::I32 => Dtype::I32,
        Type::I64 => Dtype::I64,
        Type::BOOL => Dtype::Bool,
        _ => return None,
    })
}
