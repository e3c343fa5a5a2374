//! Truth against answer: where the mistakes are.

use super::canvas::{Canvas, Fasten, Ink, draw, text_width};
use super::frame::SMALL;
use super::gallery::{Plot, SQUARE, WIDE};
use crate::report::names::{plural, shown};
use crate::report::numbers::{amount, percent};
use crate::report::report::{Confusion, TargetReport};
use std::cmp::Reverse;

/// Classes shown; beyond, the most frequent and one row for all others.
const CLASSES_MAX: usize = 20;
/// Up to so many classes, a cell has room for count and share.
const CLASSES_ROOMY: usize = 8;

/// The plot, when there are classes.
pub(super) fn confusion(target: &TargetReport) -> Option<Plot> {
    let full = target.confusion.as_ref().filter(|confusion| !confusion.classes.is_empty())?;
    let few = folded(full, CLASSES_MAX);
    let is_wide = few.classes.len() > CLASSES_ROOMY;
    let size = if is_wide { [WIDE, WIDE * 0.82] } else { SQUARE };
    let body = draw(size, |canvas| heat(canvas, size, &few));
    let mut caption =
        "Each row is a true class, each column an answer; the stronger the colour, the larger the share of the row.".to_owned();
    if full.classes.len() > CLASSES_MAX {
        caption.push_str(&format!(" The {CLASSES_MAX} most frequent of {}.", plural(full.classes.len() as u64, "class")));
    }
    Some(Plot::new("confusion", "Confusion matrix", caption, size, body))
}

/// The most frequent true classes in their old order, all others in one.
fn folded(full: &Confusion, max: usize) -> Confusion {
    if full.classes.len() <= max {
        return full.clone();
    }
    let total = |class: usize| full.counts.get(class).map_or(0.0, |row| row.iter().sum::<f64>());
    let mut kept: Vec<usize> = (0..full.classes.len()).collect();
    kept.sort_by(|a, b| total(*b).total_cmp(&total(*a)));
    kept.truncate(max);
    kept.sort_unstable();
    let mut place = vec![max; full.classes.len()];
    kept.iter().enumerate().for_each(|(new, &old)| place[old] = new);
    let mut counts = vec![vec![0.0; max + 1]; max + 1];
    for (truth, row) in full.counts.iter().enumerate().take(place.len()) {
        for (answer, count) in row.iter().enumerate().take(place.len()) {
            counts[place[truth]][place[answer]] += count;
        }
    }
    let other = format!("other ({})", full.classes.len() - max);
    Confusion { classes: kept.iter().map(|&class| full.classes[class].clone()).chain([other]).collect(), counts }
}

fn heat(canvas: &mut Canvas, size: [f64; 2], few: &Confusion) {
    let classes = few.classes.len();
    let names: Vec<String> = few.classes.iter().map(|name| shown(name, 14)).collect();
    let longest = names.iter().map(|name| text_width(name, SMALL)).fold(20.0, f64::max);
    let margin = longest + 34.0;
    let is_roomy = classes <= CLASSES_ROOMY;
    let foot = if is_roomy { 46.0 } else { longest + 38.0 };
    let [across, up] = [(size[0] - margin - 12.0) / classes as f64, (size[1] - foot - 12.0) / classes as f64];
    let corner = |row: usize, column: usize| [margin + column as f64 * across, 12.0 + row as f64 * up];
    for (truth, row) in few.counts.iter().enumerate().take(classes) {
        let total: f64 = row.iter().sum();
        let middle = corner(truth, 0)[1] + up / 2.0;
        canvas.text(&names[truth], [margin - 8.0, middle], Fasten::Right, Ink::Text, SMALL);
        for (answer, &count) in row.iter().enumerate().take(classes) {
            let share = if total > 0.0 { count / total } else { 0.0 };
            let at = corner(truth, answer);
            canvas.fill([at[0] + 1.0, at[1] + 1.0], [at[0] + across - 1.0, at[1] + up - 1.0], Ink::Heat, 0.04 + 0.96 * share);
            cell(canvas, [at[0] + across / 2.0, middle], [across, up], count, share);
        }
    }
    for (answer, name) in names.iter().enumerate() {
        let middle = corner(0, answer)[0] + across / 2.0;
        if is_roomy {
            let short = shown(&few.classes[answer], ((across / (SMALL * 0.56)) as usize).clamp(3, 14));
            canvas.text(&short, [middle, size[1] - foot + 14.0], Fasten::Middle, Ink::Text, SMALL);
        } else {
            let half = text_width(name, SMALL) / 2.0;
            canvas.text(name, [middle, size[1] - foot + 8.0 + half], Fasten::Upwards, Ink::Text, SMALL);
        }
    }
    canvas.text("answer", [margin + across * classes as f64 / 2.0, size[1] - 12.0], Fasten::Middle, Ink::Muted, SMALL);
    canvas.text("truth", [12.0, 12.0 + up * classes as f64 / 2.0], Fasten::Upwards, Ink::Muted, SMALL);
}

/// Count and share where there is room, the count alone where not, nothing for an empty cell.
fn cell(canvas: &mut Canvas, middle: [f64; 2], room: [f64; 2], count: f64, share: f64) {
    let ink = if share > 0.8 { Ink::OnHeat } else { Ink::Text };
    let fits = |text: &str, size: f64| text_width(text, size) < room[0] - 4.0;
    if room[1] >= 40.0 && room[0] >= 44.0 {
        let text = if fits(&amount(count), 14.0) { amount(count) } else { compact(count) };
        canvas.text(&text, [middle[0], middle[1] - 8.0], Fasten::Middle, ink, 14.0);
        canvas.text(&percent(share), [middle[0], middle[1] + 10.0], Fasten::Middle, ink, 11.0);
    } else if count != 0.0 {
        let text = if fits(&amount(count), 11.0) { amount(count) } else { compact(count) };
        canvas.text(&text, middle, Fasten::Middle, ink, 10.5);
    }
}

/// A large count in at most five characters: `8.7k`, `12M`.
fn compact(count: f64) -> String {
    let (scale, unit) = [(1e9, "G"), (1e6, "M"), (1e3, "k")].into_iter().find(|(scale, _)| count >= *scale).unwrap_or((1.0, ""));
    let scaled = count / scale;
    format!("{scaled:.*}{unit}", usize::from(scaled < 9.95 && scaled.fract() != 0.0))
}

/// The mistakes made most often: truth, answer, count.
pub(in crate::report) fn mistakes(confusion: &Confusion, max: usize) -> Vec<(&str, &str, f64)> {
    let mut found = Vec::new();
    for (truth, row) in confusion.classes.iter().zip(&confusion.counts) {
        for (answer, &count) in confusion.classes.iter().zip(row) {
            if truth != answer && count > 0.0 {
                found.push((truth.as_str(), answer.as_str(), count));
            }
        }
    }
    found.sort_by_key(|(_, _, count)| Reverse(count.to_bits())); // positive floats order as their bits
    found.truncate(max);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_are_folded_into_one() {
        let classes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let counts = vec![vec![1.0, 0.0, 0.0, 1.0], vec![0.0, 9.0, 1.0, 0.0], vec![0.0; 4], vec![2.0, 3.0, 0.0, 4.0]];
        let full = Confusion { classes, counts };
        let few = folded(&full, 2);
        assert_eq!(few.classes, ["b", "d", "other (2)"]);
        assert_eq!(few.counts, [[9.0, 0.0, 1.0], [3.0, 4.0, 2.0], [0.0, 1.0, 1.0]]);
        assert_eq!([999.0, 1500.0, 1_234_567.0, 12e9].map(compact), ["999", "1.5k", "1.2M", "12G"]);
        assert_eq!(mistakes(&full, 2), [("d", "b", 3.0), ("d", "a", 2.0)]);
    }
}
