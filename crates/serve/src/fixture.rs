//! A model that answers at once, waits or panics as its input says, and a client that sends what it is told.

use crate::{ServeOptions, Source, World, serve};
use arrow_array::{Array, Float64Array, StringArray};
use cupola_task::{
    Against, Answer, Ask, Column, Columns, Contributions, Draw, Error, Field, Fitted, Kind, Make, Math, ModelDef, Needs, Parts,
    Predictions, Predictor, Result, Role, Schema, Settings, Task, Trail, Unit,
};
use cupola_train::{Artifact, Contents, GoldenMode, Made, Pipeline, Postprocess};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

static MODEL: ModelDef = ModelDef {
    name: "fixture",
    doc: "",
    tasks: &[Task::Classify, Task::Regress],
    settings: &[],
    needs: Needs::Native,
    math: Math::Exact,
    auto: &[],
    make: Make::Learner(|_, _| Err(Error::input("fixture", "a fit", "nothing"))),
    open: |_, _, _| Err(Error::input("fixture", "a file", "nothing")),
};

/// Predictions with `x = WAIT` wait here until the test opens it.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

pub(crate) const WAIT: f64 = 777.0;
pub(crate) const PANIC: f64 = 666.0;

impl Gate {
    fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    /// Returns once so many predictions have come.
    pub(crate) async fn arrived(self: &Arc<Gate>, count: usize) {
        let gate = self.clone();
        let wait = move || {
            let mut state = gate.state.lock().unwrap();
            while state.0 < count {
                state = gate.changed.wait(state).unwrap();
            }
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
    }
}

struct Fixture {
    schema: Schema,
    gate: Arc<Gate>,
}

impl Predictor for Fixture {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let x = inputs.array("x")?.as_any().downcast_ref::<Float64Array>().expect("x is conformed");
        let red = inputs.array("colour")?.as_any().downcast_ref::<StringArray>().expect("colour is conformed");
        assert!(x.iter().all(|x| x != Some(PANIC)), "the fixture panics when it is told to");
        if x.iter().any(|x| x == Some(WAIT)) {
            self.gate.wait();
        }
        let p: Vec<f64> =
            x.iter().zip(red).map(|(x, red)| x.unwrap_or(0.0) / 8.0 + f64::from(u8::from(red == Some("red"))) / 2.0).collect();
        let scores = Answer::Scores { classes: ["no".into(), "yes".into()].into(), values: p.iter().flat_map(|p| [1.0 - p, *p]).collect() };
        Ok(Predictions(vec![("y".into(), scores), ("z".into(), Answer::Numbers { values: p, range: None })]))
    }

    fn explain(&self, inputs: &Columns, _: Against<'_>) -> Option<Result<Contributions>> {
        let x = inputs.array("x").ok()?.as_any().downcast_ref::<Float64Array>()?;
        let red = inputs.array("colour").ok()?.as_any().downcast_ref::<StringArray>()?;
        let part = |(x, red): (Option<f64>, Option<&str>)| [x.unwrap_or(0.0) / 8.0, f64::from(u8::from(red == Some("red"))) / 2.0];
        let names = || self.schema.inputs().map(|field| field.name.clone());
        let values = x.iter().zip(red).map(part).flat_map(|part| {
            names()
                .map(move |name| match &*name {
                    "x" => part[0],
                    "colour" => part[1],
                    _ => 0.0,
                })
                .collect::<Vec<_>>()
        });
        let values = values.collect();
        Some(Ok(Contributions { inputs: names().collect(), outputs: vec!["yes".into()], unit: Unit::Probability, base: vec![0.0], values }))
    }

    fn save(&self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

impl Fitted for Fixture {
    fn raw(&self) -> &Schema {
        &self.schema
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)> {
        Ok((raw.clone(), Trail::default()))
    }

    fn restore(&self, answers: Predictions, _: &Trail) -> Result<Predictions> {
        Ok(answers)
    }

    fn save(&self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

fn pipeline(target: &str, fitted: Box<dyn Fitted>, predictor: Box<dyn Predictor>) -> Pipeline {
    let (target, settings) = (target.into(), Settings::default());
    Pipeline { target, model: &MODEL, settings, fitted, predictor, postprocess: Postprocess::default(), bounds: None }
}

/// A model of the inputs `x` (number), `colour` (red, green) and `day` (date) with the first `targets` of `y` (no, yes) and `z` (number).
pub(crate) fn artifact(gate: &Arc<Gate>, targets: usize) -> Arc<Artifact> {
    let classes = |names: &[&str]| Kind::Category { classes: names.iter().map(|&name| Arc::from(name)).collect() };
    let field = |name: &str, kind: Kind, role: Role| Field { name: name.into(), kind, role };
    let mut fields = vec![
        field("x", Kind::Number, Role::Input),
        field("colour", classes(&["red", "green"]), Role::Input),
        field("day", Kind::Date, Role::Input),
        field("y", classes(&["no", "yes"]), Role::Target(Task::Classify)),
        field("z", Kind::Number, Role::Target(Task::Regress)),
    ];
    fields.truncate(3 + targets);
    let raw = Schema { fields };
    let own = || Box::new(Fixture { schema: raw.clone(), gate: gate.clone() });
    let pipelines = ["y", "z"][..targets].iter().map(|target| pipeline(target, own(), own())).collect();
    let (profile, extra) = (serde_json::Value::Null, serde_json::Value::Null);
    let missing_values = cupola_data::ReadOptions::default().missing_values;
    let notation = cupola_data::Notation { missing_values, ..Default::default() };
    let contents = Contents { notation, made: Made::default(), pipelines, scores: vec![], profile, extra, raw, watched: None };
    let x = Column::Array(Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0])));
    let text = |values: Vec<Option<&str>>| Column::Array(Arc::new(StringArray::from(values)));
    let rows = vec![("x".into(), x), ("colour".into(), text(vec![Some("green"); 3])), ("day".into(), text(vec![None; 3]))];
    Arc::new(Artifact::new(contents, &Columns::new(rows), GoldenMode::Real, Draw::new(1)).unwrap())
}

/// Answers how bright pictures are.
struct Brightness(Schema);

impl Predictor for Brightness {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let photos = inputs.get("photo").and_then(Column::images).expect("photo is conformed");
        let mean = |row: usize| photos.pixels(row).iter().map(|&level| f64::from(level)).sum::<f64>() / photos.pixels(row).len() as f64;
        Ok(Predictions(vec![("light".into(), Answer::Numbers { values: (0..photos.len()).map(mean).collect(), range: None })]))
    }

    fn save(&self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

impl Fitted for Brightness {
    fn raw(&self) -> &Schema {
        &self.0
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)> {
        Ok((raw.clone(), Trail::default()))
    }

    fn restore(&self, answers: Predictions, _: &Trail) -> Result<Predictions> {
        Ok(answers)
    }

    fn save(&self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

/// A model of the inputs `photo` (image) and `age` (number) that answers the mean level of the photo.
fn brightness() -> Arc<Artifact> {
    let field = |name: &str, kind: Kind, role: Role| Field { name: name.into(), kind, role };
    let fields = vec![
        field("photo", Kind::Image { channels: 3, size: None }, Role::Input),
        field("age", Kind::Number, Role::Input),
        field("light", Kind::Number, Role::Target(Task::Regress)),
    ];
    let raw = Schema { fields };
    let own = || Box::new(Brightness(raw.clone()));
    let (profile, extra) = (serde_json::Value::Null, serde_json::Value::Null);
    let contents = Contents {
        notation: Default::default(),
        made: Made::default(),
        pipelines: vec![pipeline("light", own(), own())],
        scores: vec![],
        profile,
        extra,
        raw: raw.clone(),
        watched: None,
    };
    Arc::new(Artifact::new(contents, &Columns::default(), GoldenMode::Off, Draw::new(1)).unwrap())
}

/// A server of its own for one test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Arc<Gate>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) done: tokio::task::JoinHandle<crate::Result<()>>,
}

pub(crate) async fn start(targets: usize, change: impl FnOnce(&mut ServeOptions)) -> Server {
    let gate = Arc::new(Gate::default());
    let models = vec![("flowers".to_owned(), Source::Fixed(artifact(&gate, targets)))];
    start_models(models, gate, change).await
}

/// A server of the model `photos` with the inputs `photo` and `age`, which answers the photo's mean level.
pub(crate) async fn start_photos(change: impl FnOnce(&mut ServeOptions)) -> Server {
    start_models(vec![("photos".to_owned(), Source::Fixed(brightness()))], Arc::default(), change).await
}

pub(crate) async fn start_models(models: Vec<(String, Source)>, gate: Arc<Gate>, change: impl FnOnce(&mut ServeOptions)) -> Server {
    // The fixture waits when it is told to: it must not do so where requests are read.
    let mut options = ServeOptions { http: "127.0.0.1:0".parse().unwrap(), inline: Duration::ZERO, ..ServeOptions::default() };
    change(&mut options);
    let (stop, stopped) = oneshot::channel();
    let (tell, ready) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let done = tokio::spawn(serve(models, options, world(), shutdown, move |address| tell.send(address).unwrap()));
    Server { address: ready.await.unwrap(), gate, stop, done }
}

/// A world whose time stands still.
pub(crate) fn world() -> World {
    let deploy = std::env::temp_dir().join("cupola-tests-keep-nothing-here");
    World {
        instance: "r".to_owned(),
        now_us: Arc::new(|| 1_700_000_000_000_000),
        deploy,
        store: None,
        tell: Arc::new(|_| {}),
        retrain: None,
    }
}

/// Status, headers and body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }
}

impl Server {
    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        let answer = self.raw(&[head.as_bytes(), body].concat()).await;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Reply { status, body: answer[end + 4..].to_vec(), head }
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, "content-type: application/json\r\n", body.as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", b"").await
    }
}
