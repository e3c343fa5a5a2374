//! Proof that the seams carry what comes next: each fixture is the outline of a kind of model that is not here yet, and
//! compiles against the seams as they are. `Net`, `Phase` and the tensor are stand-ins for what `nets` will hold.

use crate::*;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Tensor<const D: usize>;

struct Phase {
    name: &'static str,
    owns: fn(&str) -> bool,
}

trait Net: Clone + Send + Sync + 'static {
    type Config: Clone + Send + Sync + 'static;
    type Input: Send + 'static;
    type Carry: Clone + Default + Send;
    const PHASES: &'static [Phase];
    fn new(config: &Self::Config, schema: &Schema, draw: Draw) -> Result<Self>;
    fn collate(config: &Self::Config, batch: &Batch, draw: Draw) -> Result<Self::Input>;
    fn loss(&self, phase: usize, input: &Self::Input, carry: &mut Self::Carry) -> Result<Tensor<1>>;
    fn answer(&self, input: &Self::Input, ask: &Ask) -> Result<Predictions>;
}

const ONE: &[Phase] = &[Phase { name: "all", owns: |_| true }];

fn classes(names: &[&str]) -> Arc<[Arc<str>]> {
    names.iter().map(|&name| Arc::from(name)).collect()
}

fn field(name: &str, kind: Kind, role: Role) -> Field {
    Field { name: name.into(), kind, role }
}

fn one(target: &str, answer: Answer) -> Predictions {
    Predictions(vec![(target.into(), answer)])
}

macro_rules! net {
    ($name:ident, $input:ty, $carry:ty, $phases:expr, collate $collate:expr, loss $loss:expr, answer $answer:expr) => {
        #[derive(Clone)]
        struct $name;
        impl Net for $name {
            type Config = ();
            type Input = $input;
            type Carry = $carry;
            const PHASES: &'static [Phase] = $phases;
            fn new(_: &(), _: &Schema, _: Draw) -> Result<Self> {
                Ok($name)
            }
            fn collate(_: &(), batch: &Batch, draw: Draw) -> Result<$input> {
                let collate: fn(&Batch, Draw) -> Result<$input> = $collate;
                collate(batch, draw)
            }
            fn loss(&self, phase: usize, input: &$input, carry: &mut $carry) -> Result<Tensor<1>> {
                let loss: fn(usize, &$input, &mut $carry) -> Result<Tensor<1>> = $loss;
                loss(phase, input, carry)
            }
            fn answer(&self, input: &$input, ask: &Ask) -> Result<Predictions> {
                let answer: fn(&$input, &Ask) -> Result<Predictions> = $answer;
                answer(input, ask)
            }
        }
    };
}

// A detector: images in, lists of objects out; truth and answer share `Object`.
net!(
    Detector,
    (Tensor<4>, Vec<Vec<Object>>),
    (),
    ONE,
    collate | batch,
    _draw
        | match (batch.inputs.get("image"), batch.targets.get("objects")) {
            (Some(Column::Images(_)), Some(Column::Objects(truth))) => Ok((Tensor, truth.clone())),
            _ => Err(Error::input("batch", "other columns", "image and objects")),
        },
    loss | _,
    _,
    _ | Ok(Tensor),
    answer | (_, truth),
    _ | Ok(one("objects", Answer::Objects(vec![vec![]; truth.len()])))
);

// Speech with CTC: waves in, a text out, lengths from the column's ends.
net!(
    Speech,
    (Tensor<2>, Vec<usize>, Vec<Vec<u32>>),
    (),
    ONE,
    collate | batch,
    _ | match batch.inputs.get("sound") {
        Some(Column::Waves { ends, .. }) => Ok((Tensor, ends.clone(), vec![])),
        _ => Err(Error::input("batch", "no sound", "a column of waves")),
    },
    loss | _,
    _,
    _ | Ok(Tensor),
    answer | (_, ends, _),
    _ | Ok(one("text", Answer::Texts(vec![String::new(); ends.len()])))
);

// Translation: text to text, beam width asked for at prediction time, pieces through a session.
net!(
    Translator,
    (Tensor<2>, Tensor<2>),
    (),
    ONE,
    collate | batch,
    _ | batch.inputs.array("source").map(|_| (Tensor, Tensor)),
    loss | _,
    _,
    _ | Ok(Tensor),
    answer | _,
    ask | {
        let beams = ask.0.iter().find(|(name, _)| *name == "beam_width").map_or(1, |_| 4);
        Ok(one("target", Answer::List { ends: vec![beams], items: Box::new(Answer::Texts(vec![String::new(); beams as usize])) }))
    }
);

struct Tokens(u32);

impl Session for Tokens {
    fn next(&mut self, _more: &Columns) -> Result<Option<Predictions>> {
        self.0 = self.0.saturating_sub(1);
        Ok((self.0 > 0).then(|| one("target", Answer::Texts(vec!["token".into()]))))
    }
    fn rows(&mut self, _keep: &[usize]) {}
}

// Span answering: a long document becomes several prepared rows, and `restore` brings the answers back to one a question.
net!(
    SpanAnswerer,
    Tensor<2>,
    (),
    ONE,
    collate | _,
    _ | Ok(Tensor),
    loss | _,
    _,
    _ | Ok(Tensor),
    answer | _,
    _ | Ok(one("answer", Answer::Texts(vec!["a".into(), "b".into(), "c".into()])))
);

struct Windows(Schema);

impl Fitted for Windows {
    fn raw(&self) -> &Schema {
        &self.0
    }
    fn schema(&self) -> &Schema {
        &self.0
    }
    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)> {
        Ok((raw.take(&[0, 0, 1]), Trail { row_of: vec![0, 0, 1] }))
    }
    fn restore(&self, answers: Predictions, trail: &Trail) -> Result<Predictions> {
        let Some(Answer::Texts(texts)) = answers.get("answer") else { return Ok(answers) };
        let best = |row: u32| trail.row_of.iter().rposition(|&of| of == row).map(|window| texts[window].clone()).unwrap_or_default();
        Ok(one("answer", Answer::Texts((0..2).map(best).collect())))
    }
    fn save(&self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

// A GAN: two phases own two sets of parameters and two optimisers; no target at all.
net!(
    Gan,
    Tensor<4>,
    (),
    &[
        Phase { name: "discriminator", owns: |path| path.starts_with("discriminator") },
        Phase { name: "generator", owns: |path| path.starts_with("generator") },
    ],
    collate | _,
    _ | Ok(Tensor),
    loss | phase,
    _,
    _ | if phase < 2 { Ok(Tensor) } else { Err(Error::Interrupted) },
    answer | _,
    _ | Ok(one("image", Answer::Vectors { width: 784, values: vec![] }))
);

// Memory across batches (Transformer-XL): the carry outlives the step.
net!(
    Recurrent,
    Tensor<2>,
    Vec<Tensor2>,
    ONE,
    collate | _,
    _ | Ok(Tensor),
    loss | _,
    _,
    carry | {
        carry.push(Tensor2);
        Ok(Tensor)
    },
    answer | _,
    _ | Ok(one("text", Answer::LogLikelihood { sum: vec![-3.0], tokens: vec![2] }))
);

#[derive(Clone, Default)]
struct Tensor2;

// A recommender: user and item keys in, ranked lists out.
net!(
    Recommender,
    Vec<u64>,
    (),
    ONE,
    collate | batch,
    _ | Ok(batch.rows.to_vec()),
    loss | _,
    _,
    _ | Ok(Tensor),
    answer | rows,
    _ | Ok(one(
        "items",
        Answer::List {
            ends: (1..=rows.len() as u32).map(|row| row * 2).collect(),
            items: Box::new(Answer::Numbers { values: vec![0.0; rows.len() * 2], range: None }),
        }
    ))
);

// Two inputs (an image and a table row) with two targets (a class and a number).
net!(
    TwoByTwo,
    (Tensor<4>, Tensor<2>),
    (),
    ONE,
    collate | batch,
    _ | batch.inputs.array("age").map(|_| (Tensor, Tensor)),
    loss | _,
    _,
    _ | Ok(Tensor),
    answer | _,
    _ | Ok(Predictions(vec![
        ("species".into(), Answer::Scores { classes: classes(&["cat", "dog"]).into(), values: vec![0.5, 0.5] }),
        ("weight".into(), Answer::Numbers { values: vec![3.0], range: Some(vec![[2.0, 4.0]]) }),
    ]))
);

fn walks<N: Net<Config = ()>>(batch: &Batch) -> Result<Predictions> {
    let schema = Schema { fields: vec![] };
    let net = N::new(&(), &schema, Draw::new(1))?;
    let input = N::collate(&(), batch, Draw::new(1).stream("augment"))?;
    let mut carry = N::Carry::default();
    for phase in 0..N::PHASES.len() {
        let _ = (N::PHASES[phase].name, (N::PHASES[phase].owns)("generator.layer"));
        net.loss(phase, &input, &mut carry)?;
    }
    net.answer(&input, &Ask::default())
}

fn batch() -> Batch {
    let numbers = |values: Vec<f64>| Column::Array(Arc::new(arrow_array::Float64Array::from(values)));
    let texts = |values: Vec<&str>| Column::Array(Arc::new(arrow_array::StringArray::from(values)));
    let columns = Columns::new(vec![
        ("image".into(), Column::Images(Images::packed(vec![1, 2, 3, 4], [[1, 1, 1], [1, 3, 1]]))),
        ("sound".into(), Column::Waves { samples: Arc::from([0.1, 0.2, 0.3]), ends: vec![1, 3] }),
        ("source".into(), texts(vec!["good day", "good night"])),
        ("age".into(), numbers(vec![1.0, 2.0])),
        ("objects".into(), Column::Objects(vec![vec![], vec![]])),
    ]);
    let schema = Schema {
        fields: vec![
            field("image", Kind::Image { channels: 1, size: None }, Role::Input),
            field("sound", Kind::Audio { rate: 8000 }, Role::Input),
            field("source", Kind::Text, Role::Input),
            field("age", Kind::Number, Role::Input),
            field("objects", Kind::Objects { classes: classes(&["cat"]) }, Role::Target(Task::Detect)),
        ],
    };
    Batch::new(Arc::from([0, 1]), &columns, &schema)
}

type Walk = fn(&Batch) -> Result<Predictions>;

#[test]
fn seams_carry_what_comes_next() {
    let batch = batch();
    let walked: [(&str, Walk); 8] = [
        ("detector", walks::<Detector>),
        ("speech", walks::<Speech>),
        ("translator", walks::<Translator>),
        ("span answerer", walks::<SpanAnswerer>),
        ("gan", walks::<Gan>),
        ("recurrent", walks::<Recurrent>),
        ("recommender", walks::<Recommender>),
        ("two by two", walks::<TwoByTwo>),
    ];
    for (name, walk) in walked {
        walk(&batch).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!(Tokens(3).next(&Columns::default()).unwrap().unwrap().rows(), 1);
}

#[test]
fn answers_about_windows_come_back_to_their_rows() {
    let fitted = Windows(Schema::default());
    let raw = Columns::new(vec![("q".into(), Column::Objects(vec![vec![], vec![]]))]);
    let (prepared, trail) = fitted.apply(&raw).unwrap();
    let answers = one("answer", Answer::Texts(vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(prepared.rows(), 3);
    assert_eq!(fitted.restore(answers, &trail).unwrap(), one("answer", Answer::Texts(vec!["b".into(), "c".into()])));
}

#[test]
fn columns_of_every_layout_can_be_taken() {
    let batch = batch();
    let taken = batch.inputs.take(&[1, 1, 0]);
    assert!(matches!(taken.get("image"), Some(Column::Images(images)) if images.pixels(0) == [2, 3, 4] && images.pixels(2) == [1]));
    assert!(matches!(taken.get("sound"), Some(Column::Waves { ends, .. }) if *ends == [2, 4, 5]));
    let lists = Column::List { ends: Arc::from([1, 3]), items: Box::new(batch.inputs.take(&[0, 1, 1]).get("age").unwrap().clone()) };
    assert!(matches!(lists.take(&[1, 0]), Column::List { ends, .. } if *ends == [2, 3]));
}

#[test]
fn many_columns_are_found_by_name() {
    let column = |value: f64| Column::Array(Arc::new(arrow_array::Float64Array::from(vec![value])));
    let mut columns = Columns::default();
    for place in 0..100 {
        columns.insert(format!("c{place}").into(), column(f64::from(place)));
        columns.insert(format!("c{}", place / 2).into(), column(-1.0));
        assert_eq!((columns.len(), columns.get("c0").is_some(), columns.get("d").is_none()), (place as usize + 1, true, true));
    }
    let some = columns.select(|name| name.ends_with('7')).take(&[0, 0]);
    assert_eq!((some.len(), some.rows(), some.get("c97").is_some(), some.get("c98").is_none()), (10, 2, true, true));
}

#[test]
fn seams_are_object_safe_and_cross_threads() {
    fn crosses<T: Send + Sync + ?Sized>() {}
    crosses::<dyn Predictor>();
    crosses::<dyn Dataset>();
    crosses::<dyn Fitted>();
    crosses::<dyn Collective>();
    fn sends<T: Send + ?Sized>() {}
    sends::<dyn Session>();
    sends::<dyn World>();
    sends::<dyn Metric>();
    sends::<dyn Learner>();
    sends::<dyn Preparation>();
}

#[test]
fn only_training_rows_are_in_a_train_split() {
    let columns = Columns::new(vec![("x".into(), Column::Array(Arc::new(arrow_array::Float64Array::from(vec![0.0, 1.0, 2.0, 3.0]))))]);
    let table = Table::new(Schema { fields: vec![field("x", Kind::Number, Role::Input)] }, columns).unwrap();
    let splits = Splits::new(Arc::new(table), &[Side::Test, Side::Train, Side::Out, Side::Train]);
    let batch = splits.train().read_all().unwrap();
    assert_eq!(&*batch.rows, &[1, 3]);
    assert_eq!((splits.valid().len(), splits.test().len()), (0, 1));
    let again = splits.train().split(&[Side::Valid, Side::Train]);
    assert_eq!(&*again.train().read_all().unwrap().rows, &[3]);
}
