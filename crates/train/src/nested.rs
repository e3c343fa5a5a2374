//! Nested cross-validation: the whole choice of a model or of its settings is made again in each outer fold, from the other folds' rows alone, and
//! what was chosen is measured on rows that had no part in choosing. The score of the one that was chosen among many is too good where it was chosen
//! by that score (Cawley and Talbot, "On over-fitting in model selection", JMLR 2010); this one is not.

use crate::crossval::{Fold, Rounds, share_until, table};
use crate::fit::{Fit, fit, for_target, read_all};
use crate::journal::heard_by;
use crate::report::CrossValidation;
use crate::{Choice, Plan, Result, auto};
use cupola_task::{Dataset, Event, Field, Flow, ModelDef, Run, Settings, Splits, Task, TrainSplit};
use std::time::Duration;

/// What outer folds are drawn by.
pub(crate) const DRAW: &str = "nested cross-validation";

/// What was chosen, as a phrase, with its settings.
pub(crate) struct Chosen {
    pub def: &'static ModelDef,
    pub settings: Settings,
    pub said: String,
    /// The plan with what was chosen beside the model's own settings.
    pub plan: Option<Plan>,
    /// What was fitted while choosing, where nothing is left to fit.
    pub fitted: Option<Fit>,
}

/// What chooses: it is given rows that teach and rows to stop early on, and says what it chose and until when the last fit may take.
type Choose<'a> = dyn Fn(&Splits, &Run<'_>) -> Result<(Chosen, Option<Duration>)> + 'a;

/// How many times a choice is made: once on all training rows, and once in each outer fold.
pub(crate) fn parts(plan: &Plan, choice: &Choice) -> u32 {
    match choice {
        Choice::Auto => 1 + plan.nested.unwrap_or(0) as u32,
        Choice::Named(..) => 1,
    }
}

/// The leaderboard of `model=auto` made again in each outer fold, with so much time for each; none when the run was stopped.
///
/// # Errors
/// Those of the leaderboard and of fitting.
pub(crate) fn of_leaderboard(
    train: &TrainSplit,
    (field, task): (&Field, Task),
    plan: &Plan,
    run: &Run<'_>,
    time: Duration,
) -> Result<Option<CrossValidation>> {
    let choose = |splits: &Splits, run: &Run<'_>| {
        let until = (run.clock)() + time;
        let mut board = auto::leaderboard(splits.train(), (field, task), plan, run, time, splits.test().len())?;
        let (def, settings) = board.best(!splits.valid().is_empty())?;
        let said = board.standings[0].entrant.phrase();
        Ok((Chosen { def, settings, said, plan: None, fitted: board.fitted.take() }, Some(until.max((run.clock)() + time / 4))))
    };
    outer(train, (field, task), plan, run, &choose)
}

/// Makes a choice in each outer fold and measures what was chosen; `choose` must not look at the rows to be measured on.
///
/// # Errors
/// Those of choosing and of fitting.
pub(crate) fn outer(
    train: &TrainSplit,
    (field, task): (&Field, Task),
    plan: &Plan,
    run: &Run<'_>,
    choose: &Choose<'_>,
) -> Result<Option<CrossValidation>> {
    let Some(k) = plan.nested else { return Ok(None) };
    run.tell(Event::Stage { name: "nested cross-validation".into() });
    let table_of = for_target(train.data(), &field.name)?;
    let sides = Rounds::once(k).deal(table_of.schema(), &read_all(&table_of)?, run.draw(DRAW))?;
    let total = sides.len() as u64;
    let (mut found, mut chosen) = (Vec::new(), Vec::new());
    for (place, sides) in sides.iter().enumerate() {
        let progress = |done: u64| Event::Progress { done, total: Some(total), unit: "outer folds".into(), score: None };
        // What a fold's choice tells is no news of the run's; but that it is to stop is heard.
        let quiet = |_: &Event| run.tell(progress(place as u64));
        let mut inner = heard_by(run, &quiet);
        let splits = train.split(sides);
        let begun = choose(&splits, &inner);
        if run.tell(progress(place as u64)) == Flow::Stop {
            run.tell(Event::Warning { text: "the run was stopped before the choice was cross-validated".into() });
            return Ok(None);
        }
        let (best, until) = begun?;
        inner.until = until.or_else(|| share_until(run, total - place as u64));
        let own = best.plan.as_ref().unwrap_or(plan);
        let fitted = match best.fitted {
            Some(fitted) => fitted,
            None => fit(best.def, &best.settings, field, splits.train(), &**splits.valid(), own, &inner)?,
        };
        let learned = splits.train().data().len() + splits.valid().len();
        found.push(Fold { learned, ..Fold::answered(&fitted.pipeline, &**splits.test())? });
        run.tell(Event::Note { text: format!("outer fold {}/{total}: {}", place + 1, best.said) });
        chosen.push(best.said);
    }
    run.tell(Event::Progress { done: total, total: Some(total), unit: "outer folds".into(), score: None });
    Ok(Some(CrossValidation { chosen, ..table(field, task, &found, plan, 1)? }))
}

#[cfg(test)]
mod tests {
    use crate::recipe::Recipe;
    use crate::report::{CrossValidation, TargetReport};
    use crate::{Plan, train, tune};
    use cupola_task::{Draw, Run};
    use std::fmt::Write;
    use std::path::Path;

    fn plan(data: &Path, said: &str) -> Plan {
        let mut recipe = Recipe::parse("r.toml", "").unwrap();
        let words = ["target=y", "seed=3"].into_iter().chain(said.split(' ')).map(str::to_owned);
        words.chain([format!("data={}", data.display())]).for_each(|word| recipe.argue(&word).unwrap());
        Plan::check(recipe).unwrap()
    }

    /// Classes that follow nothing.
    fn noise(path: &Path) {
        let draw = Draw::new(11);
        let mut text = String::from("a,b,c,d,y\n");
        for row in 0..400 {
            let number = |stream| draw.at(stream).below(row, 1000);
            writeln!(text, "{},{},{},{},{}", number(1), number(2), number(3), number(4), ["no", "yes"][number(5) as usize % 2]).unwrap();
        }
        std::fs::write(path, text).unwrap();
    }

    fn measure(found: &CrossValidation, name: &str) -> f64 {
        found.measures.iter().find(|measure| measure.name == name).unwrap().mean
    }

    #[test]
    fn a_search_is_made_again_in_outer_folds_and_its_score_there_is_honest() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("noise.csv");
        noise(&data);
        let plan = plan(
            &data,
            "model=tree tune.trials=12 tune.sampler=random tune.pruner=none nested_cv=3 data.clean.leaks=off eval.importance=false",
        );
        let outcome = tune::tune(&plan, &Run::quiet(3), folder.path(), "").unwrap();
        let target: &TargetReport = &outcome.report.targets[0];
        let nested = target.nested.as_ref().unwrap();
        assert_eq!((nested.folds, nested.chosen.len()), (3, 3), "{nested:?}");
        assert!((nested.ratio - 0.5).abs() < 0.01, "a fold of three leaves two to learn from");
        let honest = measure(nested, "roc_auc");
        // Where there is nothing to be found the best of twelve trials is worth nothing.
        assert!((honest - 0.5).abs() < 0.12, "{honest}");
        let interval = nested.measures.iter().find(|measure| measure.name == "roc_auc").unwrap().interval.unwrap();
        assert!(interval.low <= 0.5 && 0.5 <= interval.high, "{interval:?}");
        assert!(folder.path().join("0001-noise-tree/nested/3/tune/trials.sqlite").is_file());
    }

    #[test]
    fn repeats_deal_rows_out_anew_and_the_first_is_that_without_others() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("noise.csv");
        noise(&data);
        let run = |said: &str| {
            let plan = plan(&data, &format!("{said} data.clean.leaks=off eval.importance=false cv=3"));
            train(&plan, &Run::quiet(3), folder.path(), "").unwrap().report.targets.remove(0).cross_validation.unwrap()
        };
        let [once, twice, other] = ["model=tree", "model=tree cv_repeats=2", "model=naive_bayes cv_repeats=2"].map(run);
        assert_eq!((once.folds, once.repeats, twice.folds, twice.repeats), (3, 1, 6, 2));
        let folds = |found: &CrossValidation| found.measures[0].folds.iter().map(|fold| fold.value).collect::<Vec<_>>();
        assert_eq!(folds(&twice)[..3], folds(&once)[..]);
        assert_ne!(folds(&twice)[3..], folds(&once)[..]);
        assert_eq!(twice.dealt, other.dealt, "other models are measured on the same folds");
        assert_ne!(twice.dealt, once.dealt);
        // A fold of three leaves two to learn from.
        assert!((twice.ratio - 0.5).abs() < 0.01 && twice.measures[0].interval.is_some());
    }
}
