//! The loop on small pictures: it learns, ends in the same bytes however often it is cut off, and goes back when it diverges.

use super::fit::Trained;
use crate::fit::Prepared;
use crate::recipe::Recipe;
use crate::{Choice, Plan, Result};
use arrow_array::StringArray;
use cupola_task::{Column, Columns, Draw, Event, Field, Flow, Images, Kind, Role, Run, Schema, Side, Splits, Start, Table, Task};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SIDE: u32 = 8;
const NETWORK: &str = "layers = [\"conv 4 3 relu\", \"maxpool 2\", \"flatten\", \"dense 16 relu dropout=0.2\"]";

/// The same for a test that nothing random may enter.
const PLAIN: &str = "layers = [\"flatten\", \"dense 8 tanh\"]";

/// Bright bars that lie or stand, on noise.
fn pictures(rows: usize) -> Table {
    let noise = Draw::new(3).stream("noise");
    let pixel = |place: usize| {
        let area = (SIDE * SIDE) as usize;
        let (row, place_in) = (place / area, place % area);
        let (y, x) = (place_in as u32 / SIDE, place_in as u32 % SIDE);
        let at = Draw::new(5).below(row as u64, u64::from(SIDE)) as u32;
        let is_bar = if row % 2 == 0 { y == at } else { x == at };
        (noise.below(place as u64, 120) + if is_bar { 100 } else { 0 }) as u8
    };
    let pixels = (0..rows * (SIDE * SIDE) as usize).map(pixel).collect();
    let labels: StringArray = (0..rows).map(|row| Some(if row % 2 == 0 { "lies" } else { "stands" })).collect();
    let columns = Columns::new(vec![
        ("image".into(), Column::Images(Images::packed(pixels, std::iter::repeat_n([SIDE, SIDE, 1], rows)))),
        ("label".into(), Column::Array(Arc::new(labels))),
    ]);
    let classes = Arc::from([]);
    let fields = vec![
        Field { name: "image".into(), kind: Kind::Image { channels: 1, size: Some([SIDE; 2]) }, role: Role::Input },
        Field { name: "label".into(), kind: Kind::Category { classes }, role: Role::Target(Task::Classify) },
    ];
    Table::new(Schema { fields }, columns).unwrap()
}

fn plan(said: &str) -> Plan {
    let network = if said.contains("batch=4") || said.contains("momentum=0.0") { PLAIN } else { NETWORK };
    let mut recipe =
        Recipe::parse("r.toml", &format!("data.train = 'x'\ntarget = 'label'\n[model]\nname = 'layers'\n{network}\n")).unwrap();
    for pair in "train.lr=0.01 train.batch=16 train.epochs=6".split(' ').chain(said.split_whitespace()) {
        recipe.argue(pair).unwrap();
    }
    Plan::check(recipe).unwrap()
}

/// Trains on 144 pictures and judges on 36.
fn fit(said: &str, run: &Run<'_>) -> Result<Trained> {
    let plan = plan(said);
    let table = pictures(180);
    let sides: Vec<Side> = (0..180).map(|row| if row % 10 < 8 { Side::Train } else { Side::Valid }).collect();
    let splits = Splits::new(Arc::new(table.clone()), &sides);
    let Choice::Named(def, settings) = &plan.model else { panic!("the recipe names a model") };
    let (field, _) = table.schema_field();
    let prepared = Prepared::new(def, &field, splits.train(), &**splits.valid(), &plan, None, run)?;
    super::fit(def, settings, &prepared.data(&field), &plan, run).map(|(_, trained)| trained)
}

trait Target {
    fn schema_field(&self) -> (Field, Task);
}

impl Target for Table {
    fn schema_field(&self) -> (Field, Task) {
        let (field, task) = cupola_task::Dataset::schema(self).targets().next().unwrap();
        (field.clone(), task)
    }
}

#[test]
fn it_learns() {
    let trained = fit("train.epochs=30", &Run::quiet(1)).unwrap();
    let last = trained.points.last().unwrap();
    let best = trained.points.iter().filter_map(|point| point.valid_score).fold(0.0, f64::max);
    assert!(best > 0.95 && last.train_loss < 0.4, "{best} {last:?}");
    assert_eq!(trained.points.len(), 30.min(trained.points.len()));
}

#[test]
fn a_training_cut_off_anywhere_ends_in_the_same_bytes() {
    let cases = [
        "train.optimizer=adamw save.every=3",
        "train.optimizer=sgd train.ema=0.9 save.every=4",
        "train.optimizer=muon train.accumulate=2 save.every=1 train.schedule=one-cycle",
        "train.lr=auto train.batch=16 save.every=5 train.patience=2",
        "save.every=4 augment.crop=1 augment.flip=0.5 augment.mixup=0.2 augment.random_erasing=0.3",
    ];
    for said in cases {
        let whole = fit(said, &Run::quiet(7)).unwrap();
        for stops in [&[1u64, 2][..], &[5, 9, 10, 23], &[30]] {
            let folder = tempfile::tempdir().unwrap();
            let mut last = None;
            for (place, stop) in stops.iter().chain([&u64::MAX]).enumerate() {
                last = Some(until(said, *stop, folder.path(), place > 0).unwrap());
            }
            let last = last.unwrap();
            assert!(last.arena.iter().map(|x| x.to_bits()).eq(whole.arena.iter().map(|x| x.to_bits())), "{said}, stopped at {stops:?}");
            let of = |trained: &Trained| {
                trained.points.iter().map(|point| (point.step, point.train_loss.to_bits(), point.valid_loss)).collect::<Vec<_>>()
            };
            assert_eq!(of(&last), of(&whole), "{said}, stopped at {stops:?}");
        }
    }
}

/// A training whose clock leaps, so that every step is told, and that stops once so many were.
fn until(said: &str, stop: u64, folder: &Path, resumes: bool) -> Result<Trained> {
    let ticks = AtomicU64::new(0);
    let clock = || Duration::from_millis(150 * ticks.fetch_add(1, Ordering::Relaxed));
    let events = |event: &Event| match event {
        Event::Progress { done, unit, .. } if unit == "steps" && *done >= stop => Flow::Stop,
        _ => Flow::Go,
    };
    let start = if resumes { Start::Resume } else { Start::Cold };
    fit(said, &Run { folder: Some(folder), clock: &clock, events: &events, start, ..Run::quiet(7) })
}

#[test]
fn threads_do_not_change_the_bytes() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            fit("train.epochs=3 augment.rotate=10 augment.cutmix=1", &Run { threads: 2 * threads, ..Run::quiet(7) }).unwrap().arena
        })
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn two_trainings_in_one_process_do_not_disturb_each_other() {
    let alone = [fit("seed=1", &Run::quiet(1)).unwrap().arena, fit("seed=2", &Run::quiet(2)).unwrap().arena];
    let together = std::thread::scope(|scope| {
        let one = scope.spawn(|| fit("seed=1", &Run::quiet(1)).unwrap().arena);
        let two = scope.spawn(|| fit("seed=2", &Run::quiet(2)).unwrap().arena);
        [one.join().unwrap(), two.join().unwrap()]
    });
    assert_eq!(alone, together);
    assert_ne!(alone[0], alone[1]);
}

#[test]
fn a_training_that_diverges_goes_back_and_says_so() {
    let warnings = AtomicU64::new(0);
    let events = |event: &Event| {
        if let Event::Warning { text } = event
            && text.contains("diverged")
        {
            warnings.fetch_add(1, Ordering::Relaxed);
        }
        Flow::Go
    };
    let run = Run { events: &events, ..Run::quiet(7) };
    let said = "train.optimizer=sgd train.lr=300.0 train.schedule=constant train.warmup=0 train.epochs=8";
    let trained = fit(&format!("{said} train.retreats=20"), &run).unwrap();
    assert!(warnings.load(Ordering::Relaxed) > 0);
    assert!(trained.arena.iter().all(|value| value.is_finite()));
    let error = fit(&format!("{said} train.retreats=0"), &Run::quiet(7)).err().unwrap();
    assert!(error.to_string().contains("diverged at step"), "{error}");
}

#[test]
fn more_steps_of_smaller_batches_are_the_same_as_one() {
    let trained = |said: &str| {
        let plain = "train.optimizer=sgd train.momentum=0.0 train.epochs=2 train.keep=last";
        fit(&format!("{plain} {said}"), &Run::quiet(1)).unwrap().arena
    };
    let one = trained("train.batch=16");
    let four = trained("train.batch=4 train.accumulate=4");
    let apart = one.iter().zip(&four).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-5, "{apart}");
}
