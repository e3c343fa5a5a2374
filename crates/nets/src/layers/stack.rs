//! Builds layers one after another, each on the shape that the last one gives.

use super::features::Shape;
use super::layer::Layer;
use super::sequence::Sequence;
use crate::layout::Builder;
use cupola_task::{Error, Result};
use std::fmt::Display;

/// Layers while they are built. Each layer's file adds a method that puts it on top.
#[derive(Debug)]
pub struct Stack<'a> {
    builder: &'a mut Builder,
    shape: Shape,
    layers: Vec<Layer>,
}

impl<'a> Stack<'a> {
    /// An empty stack on an input of that shape.
    pub fn new(builder: &'a mut Builder, input: Shape) -> Stack<'a> {
        Stack { builder, shape: input, layers: Vec::new() }
    }

    /// The shape of what the layers so far give for one row.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The finished layers.
    pub fn finish(self) -> Sequence {
        Sequence { layers: self.layers, output: self.shape }
    }

    /// Builds layers below a name: paths of their parameters begin with it.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn at(&mut self, name: &str, build: impl FnOnce(&mut Stack<'_>) -> Result<()>) -> Result<()> {
        let Sequence { layers, output } = self.aside(name, build)?;
        self.layers.extend(layers);
        self.shape = output;
        Ok(())
    }

    /// Builds layers below a name on the present shape without putting them on top.
    pub(super) fn aside(&mut self, name: &str, build: impl FnOnce(&mut Stack<'_>) -> Result<()>) -> Result<Sequence> {
        let shape = self.shape;
        self.builder.at(name, |builder| {
            let mut inner = Stack::new(builder, shape);
            build(&mut inner)?;
            Ok(inner.finish())
        })
    }

    /// Puts a layer on top; `build` gets the present shape, registers the layer, and gives it with its own shape.
    pub(super) fn add<L: Into<Layer>>(&mut self, name: &str, build: impl FnOnce(&mut Builder, Shape) -> Result<(L, Shape)>) -> Result<()> {
        let shape = self.shape;
        let (layer, output) = self.builder.at(name, |builder| {
            let built = build(builder, shape)?;
            check_size(builder, built.1).map(|()| built)
        })?;
        self.layers.push(layer.into());
        self.shape = output;
        Ok(())
    }
}

/// Neither the weights of a network nor what a layer gives for one row are more numbers than this.
const NUMBERS_MAX: usize = 1 << 31;

fn check_size(builder: &Builder, output: Shape) -> Result<()> {
    let wrong = |found: String| Err(Error::input(format!("layer {}", builder.layers()), found, format!("at most {NUMBERS_MAX}")));
    match (builder.len(), output.len()) {
        (weights, _) if weights > NUMBERS_MAX => wrong(format!("{weights} numbers of weights so far")),
        (_, numbers) if numbers > NUMBERS_MAX => wrong(format!("{numbers} numbers for one row")),
        _ => Ok(()),
    }
}

/// What is said when a layer does not fit; `kind` names it as a recipe writes it.
pub(super) fn misfit(builder: &Builder, kind: &str, found: impl Display, wanted: impl Display) -> Error {
    Error::input(format!("layer {} \"{kind}\"", builder.layers() + 1), found, wanted)
}

/// The maps that a layer needs.
pub(super) fn maps(builder: &Builder, kind: &str, input: Shape) -> Result<[usize; 3]> {
    match input {
        Shape::Maps(sides) => Ok(sides),
        Shape::Flat(_) => Err(misfit(builder, kind, input, "maps of an image").with_hint("put it before flatten and dense layers")),
    }
}

/// The flat numbers that a layer needs.
pub(super) fn flat(builder: &Builder, kind: &str, input: Shape) -> Result<usize> {
    match input {
        Shape::Flat(width) => Ok(width),
        Shape::Maps(_) => Err(misfit(builder, kind, input, "flat numbers").with_hint("put flatten or globalavgpool before it")),
    }
}
