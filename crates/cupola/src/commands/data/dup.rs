//! `cupola data dup`: rows that repeat others, wholly or nearly, within and across splits.

use super::{Progress, again, plan};
use crate::arguments::DupArguments;
use crate::commands::train::with_run;
use crate::commands::{counted, use_machine};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::near::{DUP, Duplicates, Rows, Spot, duplicates};
use cupola_data::stream;
use cupola_task::{Exit, Side};
use cupola_train::Plan;
use std::process::ExitCode;

/// Groups and pairs that are told on the terminal.
const SHOWN: usize = 10;

pub fn run(arguments: &DupArguments, screen: &Screen) -> Result<ExitCode> {
    let (mut plan, settings) = plan(&arguments.arguments, DUP, "dup")?;
    use_machine(&plan)?;
    again(&mut plan.train, plan.read.max_bytes)?;
    if let Some(test) = &mut plan.test {
        again(test, plan.read.max_bytes)?;
    }
    let sides = sides(&plan, screen)?;
    let inputs: Vec<_> = std::iter::once(plan.train.clone()).chain(plan.test.clone()).collect();
    let rows = Rows { inputs: &inputs, read: &plan.read, ignore: &plan.ignore, sides: sides.as_deref() };
    let mut progress = Progress::begin(screen, "count values");
    let found = duplicates(&rows, &settings, &mut |stage, done| progress.at(stage, done, None)).context("failed to look for duplicates")?;
    screen.finish();
    screen.object(&serde_json::to_value(&found)?);
    screen.text(&told(&found, sides.is_some()));
    if found.is_cut {
        screen.note("there were too many candidates to compare all: counts of near duplicates are at least so large");
    }
    Ok(if found.is_across() { ExitCode::from(Exit::Data as u8) } else { ExitCode::SUCCESS })
}

/// The side of each row, when a split is named or there is a test file.
fn sides(plan: &Plan, screen: &Screen) -> Result<Option<Vec<Side>>> {
    let is_named = plan.recipe.table(&["data", "split"]).next().is_some();
    if !is_named && plan.test.is_none() {
        return Ok(None);
    }
    let mut sides = match is_named {
        true => with_run(plan, screen, |run| cupola_train::parts(plan, run))?.context("failed to split the table")?.sides,
        false => vec![Side::Train; count(plan, &plan.train)?],
    };
    if let Some(test) = &plan.test {
        sides.extend(vec![Side::Test; count(plan, test)?]);
    }
    Ok(Some(sides))
}

fn count(plan: &Plan, input: &cupola_data::Input) -> Result<usize> {
    let mut rows = 0;
    for chunk in stream(input, &plan.read, 16_384).context("failed to read the table")? {
        rows += chunk.context("failed to read the table")?.columns.rows();
    }
    Ok(rows)
}

fn told(found: &Duplicates, is_split: bool) -> String {
    let mut text = format!(
        "{} rows: {} repeat an earlier one (in {} groups), {} nearly equal (at least {:.0} % of what they hold in common)",
        found.rows,
        found.exact_rows,
        found.exact_groups,
        counted(found.near_pairs, "pair"),
        100.0 * found.threshold
    );
    if found.picture_pairs > 0 {
        text += &format!(", {} of them pictures that look alike", found.picture_pairs);
    }
    if is_split {
        text += &match found.is_across() {
            true => format!(
                "\nacross sides: {} of equal rows, {} nearly equal",
                counted(found.exact_across, "group"),
                counted(found.near_across, "pair")
            ),
            false => "\nnone across sides".to_owned(),
        };
    }
    let spot = |spot: &Spot| spot.side.map_or(spot.place.clone(), |side| format!("{} ({side})", spot.place));
    let across = |is_across: bool| if is_across { "across  " } else { "" };
    for group in found.groups.iter().take(SHOWN) {
        let rows: Vec<String> = group.rows.iter().take(4).map(spot).collect();
        let more = if group.count > 4 { format!(" and {} more", group.count - 4) } else { String::new() };
        text += &format!("\n  equal   {}{}{more}", across(group.is_across), rows.join(", "));
    }
    for pair in found.pairs.iter().take(SHOWN) {
        text += &format!(
            "\n  {:>5.1} % {}{} and {}",
            100.0 * pair.similarity,
            across(pair.is_across),
            spot(&pair.rows[0]),
            spot(&pair.rows[1])
        );
    }
    let left = found.exact_groups.saturating_sub(SHOWN as u64) + found.near_pairs.saturating_sub(SHOWN as u64);
    if left > 0 {
        text += &format!("\n  and {left} more (--json lists {} of each)", found.groups.len().max(found.pairs.len()));
    }
    text
}
