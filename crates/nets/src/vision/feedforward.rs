//! A network that goes from one image column straight to one target.

use super::image_column::ImageColumn;
use crate::head::{Head, Truth};
use crate::layers::{Features, Sequence, Shape, Stack};
use crate::layout::{Builder, Layout};
use crate::net::{Net, Packing, Training};
use crate::pass::Pass;
use crate::weights;
use burn::tensor::{Tensor, TensorData};
use cupola_task::{Batch, Error, Parts, Predictions, Predictor, Result, Schema, Setting, Settings, TrainSplit, Where};
use std::any::Any;

/// Builds a network's layers on its input; the last one gives as many flat numbers as it is told.
pub type Build = fn(&Settings, &mut Stack<'_>, usize) -> Result<()>;

/// What a network's file says beside its registry entry.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// The list that settings are checked against.
    pub settings: &'static [Setting],
    /// Height and width of what the network sees, where it sees no other; smaller images stand in its middle.
    pub field: Option<[usize; 2]>,
    /// Its layers.
    pub build: Build,
}

/// A network on one image column.
#[derive(Clone, Debug)]
pub struct Feedforward {
    layout: Layout,
    settings: Settings,
    pixels: ImageColumn,
    body: Sequence,
    head: Head,
}

/// A batch of images on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    rows: usize,
    /// `[batch, channels, height, width]`
    pixels: Vec<f32>,
    truth: Option<Truth>,
}

impl Architecture {
    /// The network for a schema.
    ///
    /// # Errors
    /// When the schema's columns are not one image and one target, or a layer does not fit the images.
    pub fn net(&self, settings: &Settings, schema: &Schema) -> Result<Feedforward> {
        let mut builder = Builder::default();
        let pixels = ImageColumn::new(schema, settings, self.field, &mut builder)?;
        let head = Head::new(schema, &mut builder)?;
        let mut stack = Stack::new(&mut builder, Shape::Maps(pixels.sides()));
        (self.build)(settings, &mut stack, head.width())?;
        let body = stack.finish();
        assert_eq!(body.output(), Shape::Flat(head.width()), "a network ends in what its head takes");
        Ok(Feedforward { layout: builder.finish(), settings: settings.clone(), pixels, body, head })
    }

    /// For the registry: the network ready for the loop.
    ///
    /// # Errors
    /// Those of [`Architecture::net`], and when there is no such device.
    pub fn make(&self, settings: &Settings, schema: &Schema, place: Where) -> Result<Box<dyn Any + Send>> {
        Ok(Training::new(self.net(settings, schema)?, settings, place)?.boxed())
    }

    /// For the registry: a saved network. The bytes may be hostile.
    ///
    /// # Errors
    /// When a part is missing, damaged, or does not belong to this network and schema.
    pub fn open(&self, parts: &Parts, schema: &Schema, place: Where) -> Result<Box<dyn Predictor>> {
        let saved = weights::settings(parts)?;
        let settings = Settings::check("model part", self.settings, saved.iter())
            .map_err(|error| Error::input("model part model/settings.json", error, "settings of this network"))?;
        Training::new(self.net(&settings, schema)?, &settings, place)?.open(parts)
    }
}

impl Feedforward {
    fn forward(&self, input: &Packed, pass: &Pass<'_>) -> Tensor<2> {
        let [channels, height, width] = self.pixels.sides();
        let data = TensorData::new(input.pixels.clone(), [input.rows, channels, height, width]);
        self.body.forward(Features::Maps(Tensor::from_data(data, pass.device())), pass).flat()
    }
}

impl Net for Feedforward {
    type Input = Packed;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn learn(&self, train: &TrainSplit, arena: &mut [f32]) -> Result<()> {
        self.pixels.learn(&self.settings, train, &self.layout, arena)?;
        self.head.learn(train, &self.layout, arena)
    }

    fn collate(&self, arena: &[f32], batch: &Batch, packing: &Packing) -> Result<Packed> {
        let (rows, pixels) = self.pixels.pack(&batch.inputs, &self.layout, arena)?;
        let truth = || self.head.truth(batch, packing.blend.as_ref(), packing.smoothing, &self.layout, arena);
        Ok(Packed { rows, pixels, truth: packing.truth.then(truth).transpose()? })
    }

    fn weight(&self, input: &Packed) -> f64 {
        input.truth.as_ref().map_or(input.rows as f64, Truth::weight)
    }

    fn loss(&self, outputs: Tensor<2>, input: &Packed, pass: &Pass<'_>) -> Tensor<1> {
        let truth = input.truth.as_ref().expect("a batch to learn from was packed with its targets");
        self.head.loss(outputs, truth, pass)
    }

    fn outputs(&self, input: &Packed, pass: &Pass<'_>) -> Tensor<2> {
        self.forward(input, pass)
    }

    fn answer(&self, outputs: &[f32], arena: &[f32]) -> Predictions {
        self.head.answer(outputs, &self.layout, arena)
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{check_gradients, table};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let check = |model: &str, given: &str, classes: usize| check_gradients(model, given, &table(6, [14, 14, 1], classes));
        check("layers", "layers=[conv 4 3 tanh, batchnorm, avgpool 2, flatten, dense 8 gelu dropout=0.3]", 3);
        check("layers", "layers=[conv 4 3 silu stride=2, globalavgpool, batchnorm softplus]", 0);
        check("lenet5_modern", "activation=tanh;pool=avg", 4);
        check("lenet5", "", 4);
    }
}
