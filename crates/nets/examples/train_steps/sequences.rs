//! Networks on sequences, made of the same operations as those of the registry: an LSTM, a GPT (Radford et al. 2019) and a BERT (Devlin et al.
//! 2019). They are here to be timed; what they lack to be models is a tokenizer.

use arrow_array::UInt32Array;
use burn::tensor::{Tensor, TensorData};
use cupola_kernels::dropout::Dropout;
use cupola_nets::layers::Activation;
use cupola_nets::ops::{self, Attention, Cell};
use cupola_nets::{Builder, Fill, Layout, Net, Packing, Param, Pass};
use cupola_task::{Batch, Column, Columns, Draw, Predictions, Result, Schema, TrainSplit};
use std::sync::Arc;

/// A batch with inputs and targets, both made once.
pub struct Rows {
    places: Arc<[u32]>,
    numbers: Vec<f32>,
    /// One-hot, `[rows, classes]`.
    targets: Vec<f32>,
}

/// What the three have in common: noise for inputs and classes one after another for targets.
fn rows(count: usize, inputs: usize, vocabulary: usize, targets: usize, classes: usize) -> Rows {
    let places = (0..count as u64).map(|place| (Draw::new(2).bits(place) % vocabulary.max(1) as u64) as u32).collect();
    let numbers = (0..inputs as u64).map(|place| Draw::new(3).normal(place) as f32).collect();
    let mut one_hot = vec![0.0; targets * classes];
    one_hot.chunks_exact_mut(classes).enumerate().for_each(|(row, line)| line[row % classes] = 1.0);
    Rows { places, numbers, targets: one_hot }
}

/// A batch of one row that says nothing: these networks make their own.
pub fn nothing() -> Batch {
    let columns = Columns::new(vec![("row".into(), Column::Array(Arc::new(UInt32Array::from(vec![0]))))]);
    Batch::new(Arc::from([0]), &columns, &Schema { fields: vec![] })
}

/// A matrix and a bias.
#[derive(Clone, Copy)]
struct Dense(Param, Param);

impl Dense {
    fn new(builder: &mut Builder, name: &str, [out, inputs]: [usize; 2]) -> Dense {
        builder.at(name, |builder| {
            let weight = builder.param("weight", &[out, inputs], Fill::Normal(0.02));
            Dense(weight, builder.param("bias", &[out], Fill::Constant(0.0)))
        })
    }

    fn forward(self, x: Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
        ops::linear(x, pass.get(self.0), Some(pass.get(self.1)))
    }
}

/// Weight and bias of a normalisation.
#[derive(Clone, Copy)]
struct Norm(Param, Param);

impl Norm {
    fn new(builder: &mut Builder, name: &str, width: usize) -> Norm {
        builder.at(name, |builder| {
            let weight = builder.param("weight", &[width], Fill::Constant(1.0));
            Norm(weight, builder.param("bias", &[width], Fill::Constant(0.0)))
        })
    }

    fn forward(self, x: Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
        ops::layer_norm(x, pass.get(self.0), pass.get(self.1), 1e-5)
    }

    /// The sum of two, and its norm.
    fn of_sum(self, x: Tensor<2>, residual: Tensor<2>, pass: &Pass<'_>) -> [Tensor<2>; 2] {
        ops::add_layer_norm(x, residual, pass.get(self.0), pass.get(self.1), 1e-5)
    }
}

fn mean_loss(outputs: Tensor<2>, input: &Rows, pass: &Pass<'_>) -> Tensor<1> {
    let [rows, classes] = outputs.dims();
    let targets = Tensor::from_data(TensorData::new(input.targets.clone(), [rows, classes]), pass.device());
    ops::cross_entropy(outputs, targets).div_scalar(rows as f64)
}

/// A block of a transformer.
struct Block {
    norms: [Norm; 2],
    joined: Dense,
    out: Dense,
    wide: Dense,
    narrow: Dense,
}

/// Sides of a transformer, and which of the two it is.
#[derive(Clone, Copy)]
pub struct Sides {
    pub batch: usize,
    pub time: usize,
    pub width: usize,
    pub heads: usize,
    pub blocks: usize,
    pub vocabulary: usize,
    pub classes: usize,
    /// GPT: each place sees those before it, norms stand before what they normalise, every place is answered. BERT: the contrary of each.
    pub is_causal: bool,
    pub dropout: f64,
}

pub struct Transformer {
    layout: Layout,
    sides: Sides,
    words: Param,
    places: Param,
    norm: Norm,
    blocks: Vec<Block>,
    head: Dense,
}

impl Transformer {
    pub fn new(sides: Sides) -> Transformer {
        let mut builder = Builder::default();
        let Sides { time, width, vocabulary, .. } = sides;
        let words = builder.param("words", &[vocabulary, width], Fill::Normal(0.02));
        let places = builder.param("places", &[time, width], Fill::Normal(0.02));
        let block = |number: usize| {
            builder.at(&format!("blocks.{number}"), |builder| Block {
                norms: [Norm::new(builder, "norm1", width), Norm::new(builder, "norm2", width)],
                joined: Dense::new(builder, "joined", [3 * width, width]),
                out: Dense::new(builder, "out", [width, width]),
                wide: Dense::new(builder, "wide", [4 * width, width]),
                narrow: Dense::new(builder, "narrow", [width, 4 * width]),
            })
        };
        let blocks = (0..sides.blocks).map(block).collect();
        let norm = Norm::new(&mut builder, "norm", width);
        let head = Dense::new(&mut builder, "head", [sides.classes, width]);
        Transformer { layout: builder.finish(), sides, words, places, norm, blocks, head }
    }

    fn dropout(&self, number: usize, pass: &Pass<'_>) -> Option<Dropout> {
        let draw = pass.draw(number)?;
        (self.sides.dropout > 0.0).then(|| Dropout { key: draw.key(), share: self.sides.dropout })
    }

    fn drop(&self, x: Tensor<2>, number: usize, pass: &Pass<'_>) -> Tensor<2> {
        match self.dropout(number, pass) {
            Some(dropout) => ops::dropout(x, dropout),
            None => x,
        }
    }

    fn attend(&self, block: &Block, x: Tensor<2>, number: usize, pass: &Pass<'_>) -> Tensor<2> {
        let Sides { batch, time, width, heads, is_causal, .. } = self.sides;
        let joined = block.joined.forward(x, pass).reshape([batch, time, 3 * width]);
        let attention = Attention { heads, is_causal, keys: None, dropout: self.dropout(number, pass) };
        let y = ops::self_attention(joined, attention).reshape([batch * time, width]);
        self.drop(block.out.forward(y, pass), number + 1, pass)
    }

    fn think(&self, block: &Block, x: Tensor<2>, number: usize, pass: &Pass<'_>) -> Tensor<2> {
        let y = Activation::Gelu.apply(block.wide.forward(x, pass));
        self.drop(block.narrow.forward(y, pass), number + 2, pass)
    }
}

impl Net for Transformer {
    type Input = Rows;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn learn(&self, _train: &TrainSplit, _arena: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn collate(&self, _arena: &[f32], _batch: &Batch, _packing: &Packing) -> Result<Rows> {
        let Sides { batch, time, vocabulary, classes, is_causal, .. } = self.sides;
        Ok(rows(batch * time, 0, vocabulary, if is_causal { batch * time } else { batch }, classes))
    }

    fn weight(&self, _input: &Rows) -> f64 {
        self.sides.batch as f64
    }

    fn outputs(&self, input: &Rows, pass: &Pass<'_>) -> Tensor<2> {
        let Sides { batch, time, width, is_causal, .. } = self.sides;
        let words: Tensor<3> = ops::embedding(pass.get(self.words), input.places.clone()).reshape([batch, time, width]);
        let mut x = (words + pass.get::<2>(self.places).unsqueeze()).reshape([batch * time, width]);
        if is_causal {
            // A norm stands behind each sum here too: that of the next part.
            let norms: Vec<Norm> = self.blocks.iter().flat_map(|block| block.norms).chain([self.norm]).collect();
            let mut y = norms[0].forward(x.clone(), pass);
            for (number, block) in self.blocks.iter().enumerate() {
                [x, y] = norms[2 * number + 1].of_sum(x, self.attend(block, y, 3 * number + 1, pass), pass);
                [x, y] = norms[2 * number + 2].of_sum(x, self.think(block, y, 3 * number + 1, pass), pass);
            }
            return self.head.forward(y, pass);
        }
        x = self.drop(self.norm.forward(x, pass), 0, pass);
        for (number, block) in self.blocks.iter().enumerate() {
            let [first, second] = block.norms;
            [_, x] = first.of_sum(x.clone(), self.attend(block, x, 3 * number + 1, pass), pass);
            [_, x] = second.of_sum(x.clone(), self.think(block, x, 3 * number + 1, pass), pass);
        }
        let first: Tensor<2> = x.reshape([batch, time, width]).narrow(1, 0, 1).squeeze_dim(1);
        self.head.forward(first, pass)
    }

    fn loss(&self, outputs: Tensor<2>, input: &Rows, pass: &Pass<'_>) -> Tensor<1> {
        mean_loss(outputs, input, pass)
    }

    fn answer(&self, _outputs: &[f32], _arena: &[f32]) -> Predictions {
        unreachable!("steps of training ask for no answer")
    }
}

/// An LSTM whose last state is classified.
pub struct LongShort {
    layout: Layout,
    batch: usize,
    weights: [Param; 2],
    biases: [Param; 2],
    head: Dense,
}

/// Steps, and numbers of inputs and states.
const TIME: usize = 64;
const HIDDEN: usize = 128;
const CLASSES: usize = 10;

impl LongShort {
    pub fn new(batch: usize) -> LongShort {
        let mut builder = Builder::default();
        let fill = Fill::Uniform(1.0 / (HIDDEN as f32).sqrt());
        let weights = ["weight_ih", "weight_hh"].map(|name| builder.param(name, &[4 * HIDDEN, HIDDEN], fill));
        let biases = ["bias_ih", "bias_hh"].map(|name| builder.param(name, &[4 * HIDDEN], fill));
        let head = Dense::new(&mut builder, "head", [CLASSES, HIDDEN]);
        LongShort { layout: builder.finish(), batch, weights, biases, head }
    }
}

impl Net for LongShort {
    type Input = Rows;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn learn(&self, _train: &TrainSplit, _arena: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn collate(&self, _arena: &[f32], _batch: &Batch, _packing: &Packing) -> Result<Rows> {
        Ok(rows(0, self.batch * TIME * HIDDEN, 0, self.batch, CLASSES))
    }

    fn weight(&self, _input: &Rows) -> f64 {
        self.batch as f64
    }

    fn outputs(&self, input: &Rows, pass: &Pass<'_>) -> Tensor<2> {
        let x = Tensor::from_data(TensorData::new(input.numbers.clone(), [self.batch, TIME, HIDDEN]), pass.device());
        let states =
            ops::recurrent(Cell::Lstm, x, self.weights.map(|param| pass.get(param)), self.biases.map(|param| pass.get(param)), false);
        self.head.forward(states.narrow(1, TIME - 1, 1).squeeze_dim(1), pass)
    }

    fn loss(&self, outputs: Tensor<2>, input: &Rows, pass: &Pass<'_>) -> Tensor<1> {
        mean_loss(outputs, input, pass)
    }

    fn answer(&self, _outputs: &[f32], _arena: &[f32]) -> Predictions {
        unreachable!("steps of training ask for no answer")
    }
}
