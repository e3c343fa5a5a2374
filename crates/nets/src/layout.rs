//! What a network is made of before it has any weights: every parameter by its path, every layer with its shape and cost.
//!
//! All weights of a network lie in one `Vec<f32>`, the *arena*; [`Layout`] says where. Modules hold [`Param`]s, which are places in
//! the layout, and no tensor: a network is a plain structure, and everything it does is a function of an arena and a batch. Optimiser,
//! clipping, averaging, checkpoints and ranks work on whole arenas.

use cupola_task::Draw;
use std::collections::BTreeMap;
use std::ops::Range;

/// What a stretch of the arena is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The optimiser changes it.
    Trained,
    /// Statistics that training batches move along (batch norm).
    Running,
    /// Learned from the training rows before the first step, then fixed (means and scales of inputs and targets).
    Fixed,
}

/// How a parameter begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fill {
    /// All the same.
    Constant(f32),
    /// Uniform in -bound..bound.
    Uniform(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
}

/// A parameter or buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Dotted, as the reference implementation's state dictionary names it: `layer1.0.conv1.weight`.
    pub path: String,
    /// Its shape, as the reference stores it.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// How it begins.
    pub fill: Fill,
    /// Whether weight decay is for it: matrices and kernels, not biases and norms.
    pub decays: bool,
    /// The number of its layer, counted from the input.
    pub layer: usize,
    /// Its first place in the arena.
    pub start: usize,
}

/// A place in the layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param(pub(crate) usize);

/// A layer as `cupola model show` lists it.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerRow {
    /// Dotted path.
    pub path: String,
    /// Its kind with its sizes, as a recipe writes it: `conv 32 3 stride=2`.
    pub kind: String,
    /// Shape of what it gives for one row.
    pub output: Vec<usize>,
    /// How many trained numbers it has.
    pub params: u64,
    /// Multiplications and additions for one row, forwards.
    pub flops: u64,
}

/// Every parameter and layer of a network.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Layout {
    entries: Vec<Entry>,
    layers: Vec<LayerRow>,
    len: usize,
    /// By the parameter that they are added to. Their own entries come after all others.
    adapters: BTreeMap<usize, Adapter>,
}

/// Two matrices of low rank whose product is added to a parameter (LoRA).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adapter {
    /// `[rank, in]`
    pub a: Param,
    /// `[out, rank]`
    pub b: Param,
    /// The product is multiplied by it.
    pub scale: f64,
}

/// Collects a [`Layout`] while a network is built.
#[derive(Debug, Default)]
pub struct Builder {
    layout: Layout,
    path: Vec<String>,
}

impl Entry {
    /// How many numbers.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it lies in the arena.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len()
    }
}

impl Layout {
    /// All parameters and buffers, in the order of their layers.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All layers, from input to output.
    pub fn layers(&self) -> &[LayerRow] {
        &self.layers
    }

    /// Length of the arena.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry of that path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// The entry of a parameter.
    pub fn of(&self, param: Param) -> &Entry {
        &self.entries[param.0]
    }

    /// The last layer that is trained, which answers: other classes need another one.
    pub fn head(&self) -> Option<usize> {
        self.entries.iter().filter(|entry| entry.role == Role::Trained).map(|entry| entry.layer).max()
    }

    /// Adds matrices of low rank to a parameter of two or more sides: `PATH.lora_a` and `PATH.lora_b`, whose product begins at zero.
    pub(crate) fn adapt(&mut self, param: Param, rank: usize, scale: f64) {
        let base = self.of(param).clone();
        let (rows, columns) = (base.shape[0], base.len() / base.shape[0].max(1));
        // As the reference implementation (Hu et al. 2021) and PEFT: `kaiming_uniform_` with a = sqrt 5, and zeros.
        let bound = 1.0 / (columns.max(1) as f32).sqrt();
        let mut add = |name: &str, shape: [usize; 2], fill: Fill| {
            let path = format!("{}.{name}", base.path);
            let entry = Entry { path, shape: shape.to_vec(), role: Role::Trained, fill, decays: true, layer: base.layer, start: self.len };
            self.len += entry.len();
            if let Some(row) = self.layers.get_mut(base.layer) {
                row.params += entry.len() as u64;
            }
            self.entries.push(entry);
            Param(self.entries.len() - 1)
        };
        let a = add("lora_a", [rank, columns], Fill::Uniform(bound));
        let b = add("lora_b", [rows, rank], Fill::Constant(0.0));
        self.adapters.insert(param.0, Adapter { a, b, scale });
    }

    /// What is added to a parameter.
    pub(crate) fn adapter(&self, param: Param) -> Option<Adapter> {
        self.adapters.get(&param.0).copied()
    }

    /// All that is added to parameters.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = (Param, Adapter)> {
        self.adapters.iter().map(|(&place, &adapter)| (Param(place), adapter))
    }

    /// The entries of the network itself, without those of adapters, which come after them.
    pub fn plain_entries(&self) -> &[Entry] {
        &self.entries[..self.entries.len() - 2 * self.adapters.len()]
    }

    /// How many trained numbers.
    pub fn params(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.role == Role::Trained).map(|entry| entry.len() as u64).sum()
    }

    /// Multiplications and additions for one row, forwards.
    pub fn flops(&self) -> u64 {
        self.layers.iter().map(|layer| layer.flops).sum()
    }

    /// First weights: each parameter's numbers depend on the draw and on its path, and on no other parameter.
    pub fn initial(&self, draw: Draw) -> Vec<f32> {
        let mut arena = vec![0.0; self.len];
        for entry in &self.entries {
            let draw = draw.stream("weights").stream(&entry.path);
            let values = &mut arena[entry.range()];
            match entry.fill {
                Fill::Constant(value) => values.fill(value),
                Fill::Uniform(bound) => {
                    let key = draw.key();
                    for (place, value) in values.iter_mut().enumerate() {
                        // 24 random bits, so that the number is exact in f32.
                        let unit = (Draw::value(key, place as u64) >> 40) as f32 / (1u32 << 24) as f32;
                        *value = (2.0 * unit - 1.0) * bound;
                    }
                }
                Fill::Normal(deviation) => {
                    values.iter_mut().enumerate().for_each(|(place, value)| *value = draw.normal(place as u64) as f32 * deviation)
                }
            }
        }
        arena
    }
}

impl Builder {
    /// Builds something below a name: paths of its parameters begin with it. An empty name adds no segment.
    pub fn at<T>(&mut self, name: &str, build: impl FnOnce(&mut Builder) -> T) -> T {
        if name.is_empty() {
            return build(self);
        }
        self.path.push(name.to_owned());
        let built = build(self);
        self.path.pop();
        built
    }

    /// The path of a name at the present place.
    pub fn path(&self, name: &str) -> String {
        let all: Vec<&str> = self.path.iter().map(String::as_str).chain([name]).filter(|part| !part.is_empty()).collect();
        all.join(".")
    }

    /// A trained parameter of the layer that is built next; matrices and kernels (two or more sides) decay.
    pub fn param(&mut self, name: &str, shape: &[usize], fill: Fill) -> Param {
        self.entry(name, shape, fill, Role::Trained)
    }

    /// Statistics that training moves along.
    pub fn running(&mut self, name: &str, shape: &[usize], fill: Fill) -> Param {
        self.entry(name, shape, fill, Role::Running)
    }

    /// Numbers learned once before training.
    pub fn fixed(&mut self, name: &str, shape: &[usize], fill: Fill) -> Param {
        self.entry(name, shape, fill, Role::Fixed)
    }

    fn entry(&mut self, name: &str, shape: &[usize], fill: Fill, role: Role) -> Param {
        let path = self.path(name);
        assert!(self.layout.entry(&path).is_none(), "{path} is built once");
        let decays = role == Role::Trained && shape.len() > 1;
        let entry = Entry { path, shape: shape.to_vec(), role, fill, decays, layer: self.layout.layers.len(), start: self.layout.len };
        self.layout.len += entry.len();
        self.layout.entries.push(entry);
        Param(self.layout.entries.len() - 1)
    }

    /// Closes a layer: what was built since the last one are its parameters. Gives its number.
    pub fn layer(&mut self, kind: String, output: &[usize], flops: u64) -> usize {
        let number = self.layout.layers.len();
        let own = self.layout.entries.iter().filter(|entry| entry.layer == number && entry.role == Role::Trained);
        let params = own.map(|entry| entry.len() as u64).sum();
        self.layout.layers.push(LayerRow { path: self.path(""), kind, output: output.to_vec(), params, flops });
        number
    }

    /// How many layers were built so far.
    pub fn layers(&self) -> usize {
        self.layout.layers.len()
    }

    /// How long the arena is so far.
    pub fn len(&self) -> usize {
        self.layout.len
    }

    /// Whether nothing was built yet.
    pub fn is_empty(&self) -> bool {
        self.layout.len == 0
    }

    /// The finished layout.
    pub fn finish(self) -> Layout {
        self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut builder = Builder::default();
        builder.at("fc", |builder| {
            builder.param("weight", &[3, 2], Fill::Uniform(0.5));
            builder.param("bias", &[3], Fill::Normal(1.0));
            builder.layer("dense 3".into(), &[3], 12)
        });
        builder.at("bn", |builder| {
            builder.param("weight", &[3], Fill::Constant(1.0));
            builder.running("running_mean", &[3], Fill::Constant(0.0));
            builder.layer("batchnorm".into(), &[3], 6)
        });
        builder.finish()
    }

    #[test]
    fn parameters_have_paths_places_and_layers() {
        let layout = layout();
        assert_eq!((layout.len(), layout.params(), layout.flops()), (15, 12, 18));
        let bias = layout.entry("fc.bias").unwrap();
        assert_eq!((bias.range(), bias.decays, bias.layer), (6..9, false, 0));
        assert_eq!((layout.layers()[1].path.as_str(), layout.layers()[1].params), ("bn", 3));
    }

    #[test]
    fn first_weights_follow_seed_and_path() {
        let layout = layout();
        let arena = layout.initial(Draw::new(1));
        assert_eq!(arena, layout.initial(Draw::new(1)));
        assert_ne!(arena[..6], layout.initial(Draw::new(2))[..6]);
        assert!(arena[..6].iter().all(|value| value.abs() <= 0.5));
        assert_eq!(arena[9..], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    }
}
