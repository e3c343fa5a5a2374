//! Dense layers on a table: numbers as they are prepared, categories by embeddings that are learned along.
//!
//! The plain network of Gorishniy et al., "Revisiting deep learning models for tabular data", 2021, section 3.1 (linear, activation,
//! dropout), which they find a strong baseline, with entity embeddings for categories and, when asked for, batch norm.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "mlp").expect("it is registered");
//! let hidden = cupola_task::Value::parse("[64, 32]");
//! let settings = cupola_task::Settings::check("model", model.settings, [("hidden", &hidden)])?;
//! assert_eq!((settings.list("hidden").len(), settings.text("activation")), (2, "relu"));
//! # Ok::<(), cupola_task::Error>(())
//! ```

use super::columns::{PackedColumns, TableColumns};
use crate::head::{Head, Truth};
use crate::layers::{Activation, BatchNorm, Dense, Features, Sequence, Shape, Stack};
use crate::layout::{Builder, Layout};
use crate::net::{Net, Packing, Training};
use crate::pass::Pass;
use crate::weights;
use burn::tensor::Tensor;
use cupola_task::{
    Batch, Error, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Range, Result, Schema, Setting, Settings, Task, TrainSplit,
    Value, Where,
};

/// The registry's entry.
pub(crate) const MLP: ModelDef = ModelDef {
    name: "mlp",
    doc: "Dense layers on a table, with learned embeddings for categories.",
    tasks: &[Task::Classify, Task::Regress],
    settings: SETTINGS,
    needs: Needs::Embedded,
    math: Math::Rounded(1e-3),
    auto: &["hidden=[256,128] dropout=0.1"],
    make: Make::Trainee(|settings, schema, place| Ok(Training::new(Mlp::new(settings, schema)?, settings, place)?.boxed())),
    open,
};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "hidden",
        alias: &["hidden_layer_sizes", "hidden_units", "layers"],
        default: "[256, 128]",
        range: Range::List(&Range::Integer { min: 1, max: 1 << 16 }),
        doc: "Units of the hidden layers, from input to output; [] makes the model linear.",
    },
    Setting {
        name: "activation",
        alias: &[],
        default: "relu",
        range: Range::Choice(&["relu", "gelu", "silu", "tanh", "leaky_relu", "sigmoid"]),
        doc: "What follows every hidden layer.",
    },
    Setting {
        name: "dropout",
        alias: &["dropout_rate"],
        default: "0.1",
        range: Range::Real { min: 0.0, max: 0.95 },
        doc: "The share of hidden units that each step of training leaves out.",
    },
    Setting {
        name: "batch_norm",
        alias: &["use_bn"],
        default: "false",
        range: Range::Flag,
        doc: "Whether batch normalisation stands between every hidden layer and its activation.",
    },
    Setting {
        name: "embedding_dim",
        alias: &["embed_dim"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 4096 }]),
        doc: "The width of each category's embedding; auto is half its number of classes, 50 at most.",
    },
];

/// The network.
struct Mlp {
    layout: Layout,
    columns: TableColumns,
    body: Sequence,
    head: Head,
}

/// A batch on the host.
struct Rows {
    columns: PackedColumns,
    truth: Option<Truth>,
}

fn open(parts: &Parts, schema: &Schema, place: Where) -> Result<Box<dyn Predictor>> {
    let saved = weights::settings(parts)?;
    let settings = Settings::check("model part", SETTINGS, saved.iter())
        .map_err(|error| Error::input("model part model/settings.json", error, "settings of this network"))?;
    Training::new(Mlp::new(&settings, schema)?, &settings, place)?.open(parts)
}

impl Mlp {
    fn new(settings: &Settings, schema: &Schema) -> Result<Mlp> {
        let mut builder = Builder::default();
        let embedding = settings.try_integer("embedding_dim").map(|width| width as usize);
        let columns = TableColumns::new(schema, embedding, &mut builder)?;
        let head = Head::new(schema, &mut builder)?;
        let mut stack = Stack::new(&mut builder, Shape::Flat(columns.out()));
        hidden_layers(settings, &mut stack)?;
        stack.linear("head", Dense::new(head.width()))?;
        let body = stack.finish();
        Ok(Mlp { layout: builder.finish(), columns, body, head })
    }
}

fn hidden_layers(settings: &Settings, stack: &mut Stack<'_>) -> Result<()> {
    let activation = Activation::of(settings.text("activation")).unwrap_or_default();
    for (number, units) in settings.list("hidden").iter().enumerate() {
        let Value::Integer(units) = units else { continue };
        stack.at(&format!("hidden.{number}"), |stack| {
            stack.linear("linear", Dense::new(*units as usize))?;
            if settings.flag("batch_norm") {
                stack.batch_norm("norm", BatchNorm::default())?;
            }
            stack.activation("activation", activation)?;
            stack.dropout("dropout", settings.real("dropout"))
        })?;
    }
    Ok(())
}

impl Net for Mlp {
    type Input = Rows;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn learn(&self, train: &TrainSplit, arena: &mut [f32]) -> Result<()> {
        self.head.learn(train, &self.layout, arena)
    }

    fn collate(&self, arena: &[f32], batch: &Batch, packing: &Packing) -> Result<Rows> {
        if packing.blend.is_some() {
            return Err(Error::Unsupported {
                what: "mixing of rows".into(),
                by: "mlp".into(),
                hint: Some("leave mixup and cutmix out".into()),
            });
        }
        let truth = || self.head.truth(batch, None, packing.smoothing, &self.layout, arena);
        Ok(Rows { columns: self.columns.pack(&batch.inputs)?, truth: packing.truth.then(truth).transpose()? })
    }

    fn weight(&self, input: &Rows) -> f64 {
        input.truth.as_ref().map_or(input.columns.rows() as f64, Truth::weight)
    }

    fn outputs(&self, input: &Rows, pass: &Pass<'_>) -> Tensor<2> {
        self.body.forward(Features::Flat(self.columns.forward(&input.columns, pass)), pass).flat()
    }

    fn loss(&self, outputs: Tensor<2>, input: &Rows, pass: &Pass<'_>) -> Tensor<1> {
        let truth = input.truth.as_ref().expect("a batch to learn from was packed with its targets");
        self.head.loss(outputs, truth, pass)
    }

    fn answer(&self, outputs: &[f32], arena: &[f32]) -> Predictions {
        self.head.answer(outputs, &self.layout, arena)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{answers, arena, batch, check_gradients, columns_table as table, gradients, packed, splits, trainee};
    use crate::optim::{Optimizer, SETTINGS as TRAIN};
    use arrow_array::{ArrayRef, Float64Array, UInt32Array};
    use cupola_task::{Column, Dataset, Draw};
    use std::sync::Arc;

    #[test]
    fn embeddings_have_a_row_more_than_classes() {
        let trainee = trainee("mlp", "hidden=[8];batch_norm=true", table(4, 2).schema()).unwrap();
        let layout = trainee.layout();
        let shape = |path: &str| layout.entry(path).unwrap().shape.clone();
        assert_eq!(shape("embeddings.code.weight"), [6, 3]);
        assert_eq!(shape("hidden.0.linear.weight"), [8, 1 + 2 + 3]);
        assert_eq!((shape("hidden.0.norm.running_mean"), shape("head.weight")), (vec![8], vec![2, 8]));
        assert_eq!(layout.params(), 18 + 48 + 8 + 16 + 16 + 2);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (target, given) in
            [(3, "hidden=[6];activation=tanh;dropout=0.2"), (0, "hidden=[5, 4];activation=gelu;batch_norm=true"), (2, "hidden=[]")]
        {
            check_gradients("mlp", given, &table(12, target));
        }
    }

    #[test]
    fn it_learns_what_no_linear_model_can_and_answers_the_same_when_reopened() {
        for target in [0, 2] {
            let table = table(256, target);
            let trainee = trainee("mlp", "hidden=[32];dropout=0", table.schema()).unwrap();
            let splits = splits(&table);
            let mut arena = trainee.initial(Draw::new(1), splits.train()).unwrap();
            let input = packed(&*trainee, &arena, &table);
            let mut optimizer = Optimizer::open(&Settings::check("train", TRAIN, []).unwrap(), trainee.layout()).unwrap();
            let frozen = vec![false; trainee.layout().entries().len()];
            let first = gradients(&*trainee, &mut arena, &input, Draw::new(1)).0;
            let mut last = first;
            for step in 0..150 {
                let (loss, gradients) = gradients(&*trainee, &mut arena, &input, Draw::new(1).at(step));
                optimizer.step(&mut arena, &gradients, 0.02, &frozen);
                last = loss;
            }
            assert!(last < 0.1 * first, "{target}: from {first} to {last}");
            let model = trainee.freeze(arena);
            let before = answers(&*model, &table).unwrap();
            let mut parts = Parts::default();
            model.save(&mut parts).unwrap();
            let reopened = open(&parts, table.schema(), Where::Cpu).unwrap();
            assert_eq!(before, answers(&*reopened, &table).unwrap());
        }
    }

    #[test]
    fn wrong_columns_are_told() {
        let table = table(4, 2);
        let trainee = trainee("mlp", "", table.schema()).unwrap();
        let arena = arena(trainee.layout());
        let refuse = |name: &str, array: ArrayRef| {
            let mut batch = batch(&table);
            batch.inputs.insert(name.into(), Column::Array(array));
            let Err(error) = trainee.collate(&arena, &batch, &Packing::default()) else { panic!("{name} is refused") };
            error.to_string()
        };
        let found = [
            refuse("number", Arc::new(Float64Array::from(vec![1.0, 2.0, f64::NAN, 3.0]))),
            refuse("number", Arc::new(UInt32Array::from(vec![1; 4]))),
            refuse("code", Arc::new(UInt32Array::from(vec![1, 2, 3, 5]))),
        ];
        assert_eq!(
            found,
            [
                "column number: found missing values, wanted values in every row",
                "column number: found UInt32, wanted numbers",
                "column code: found code 5 of 5 classes, wanted codes of its classes"
            ]
        );
    }
}
