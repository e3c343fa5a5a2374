//! Axes: a rectangle of the sheet, and how values map into it. Ticks fall on 1, 2 or 5 times a power of ten.

use super::canvas::{Canvas, Fasten, Ink};
use crate::report::report::Point;

/// A value beyond this is not drawn; differences of what remains cannot overflow.
const DRAWABLE_MAX: f64 = 1e150;

/// A rectangle with a scale on two of its sides.
pub(super) struct Frame {
    /// Left and right end, in pixels.
    pub(super) across: [f64; 2],
    /// Bottom and top end, in pixels.
    pub(super) up: [f64; 2],
    /// Values at left and right.
    pub(super) x: [f64; 2],
    /// Values at bottom and top.
    pub(super) y: [f64; 2],
    /// Whether only whole numbers stand below.
    pub(super) whole_x: bool,
}

/// Text size of ticks and labels.
pub(super) const SMALL: f64 = 12.0;

impl Frame {
    /// The usual place on a sheet of that size, with room for both scales.
    pub(super) fn new(size: [f64; 2], x: [f64; 2], y: [f64; 2]) -> Frame {
        Frame { across: [62.0, size[0] - 16.0], up: [size[1] - 46.0, 14.0], x, y, whole_x: false }
    }

    /// Where a value lies across.
    pub(super) fn x(&self, value: f64) -> f64 {
        place(value, self.x, self.across)
    }

    /// Where a value lies upwards.
    pub(super) fn y(&self, value: f64) -> f64 {
        place(value, self.y, self.up)
    }

    /// Where a point lies.
    pub(super) fn at(&self, point: Point) -> [f64; 2] {
        [self.x(point.x), self.y(point.y)]
    }

    /// Grid, scales and their labels; an empty label leaves its scale out.
    pub(super) fn axes(&self, canvas: &mut Canvas, x_label: &str, y_label: &str) {
        let (bottom, left) = (self.up[0], self.across[0]);
        for (value, text) in ticks(self.y, 5, 0.0) {
            canvas.line([left, self.y(value)], [self.across[1], self.y(value)], Ink::Grid, 1.0);
            if !y_label.is_empty() {
                canvas.text(&text, [left - 8.0, self.y(value)], Fasten::Right, Ink::Muted, SMALL);
            }
        }
        match x_label.is_empty() {
            true => canvas.line([left, bottom], [self.across[1], bottom], Ink::Muted, 1.0),
            false => self.scale_below(canvas, x_label),
        }
        if !y_label.is_empty() {
            canvas.text(y_label, [12.0, (self.up[0] + self.up[1]) / 2.0], Fasten::Upwards, Ink::Text, SMALL);
        }
    }

    /// The scale along the bottom, with its label.
    pub(super) fn scale_below(&self, canvas: &mut Canvas, label: &str) {
        let [left, right] = self.across;
        let bottom = self.up[0];
        canvas.line([left, bottom], [right, bottom], Ink::Muted, 1.0);
        for (value, text) in ticks(self.x, 5, f64::from(self.whole_x)) {
            canvas.line([self.x(value), bottom], [self.x(value), bottom + 4.0], Ink::Muted, 1.0);
            canvas.text(&text, [self.x(value), bottom + 14.0], Fasten::Middle, Ink::Muted, SMALL);
        }
        canvas.text(label, [(left + right) / 2.0, bottom + 34.0], Fasten::Middle, Ink::Text, SMALL);
    }
}

fn place(value: f64, values: [f64; 2], pixels: [f64; 2]) -> f64 {
    let share = ((value - values[0]) / (values[1] - values[0])).clamp(0.0, 1.0);
    pixels[0] + (pixels[1] - pixels[0]) * share
}

/// Whether a value can be placed.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() <= DRAWABLE_MAX
}

/// The points that can be placed.
pub(super) fn drawable(points: &[Point]) -> Vec<Point> {
    points.iter().copied().filter(|point| is_drawable(point.x) && is_drawable(point.y)).collect()
}

/// From the smallest to the largest drawable value, with a margin (a share of the range); never empty, whatever the values.
pub(super) fn range(values: impl IntoIterator<Item = f64>, margin: f64) -> [f64; 2] {
    let [low, high] = (values.into_iter().filter(|value| is_drawable(*value)))
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
    if low > high {
        return [0.0, 1.0];
    }
    let size = Some(low.abs().max(high.abs())).filter(|size| *size > 1e-150).unwrap_or(1.0);
    let width = high - low;
    // Equal values lie in the middle of a range that can be read.
    if width < size * 1e-6 {
        return [low - size * 0.1, high + size * 0.1];
    }
    [low - width * margin, high + width * margin]
}

/// Round values in a range, about `wanted` of them and at least a step apart, with their texts.
pub(super) fn ticks([low, high]: [f64; 2], wanted: usize, step_min: f64) -> Vec<(f64, String)> {
    let step = round_step(((high - low) / wanted as f64).max(step_min));
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let many = (last - first).clamp(0.0, 2.0 * wanted as f64) as usize;
    (0..=many).map(|i| (first + i as f64) * step).map(|value| (value, tick_text(value, step, low.abs().max(high.abs())))).collect()
}

/// The smallest of 1, 2, 5 times a power of ten that is at least that.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

fn tick_text(value: f64, step: f64, largest: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e9, "G"), (1e6, "M"), (1e4, "k"), (0.0, "")];
    if !(1e-4..1e13).contains(&largest) {
        return format!("{value:.1e}");
    }
    let (from, unit) = UNITS.into_iter().find(|(from, _)| largest >= *from).expect("the last unit takes all");
    let scale = if from == 1e4 { 1e3 } else { from.max(1.0) };
    let decimals = (-(step / scale).log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{:.decimals$}", value / scale + 0.0);
    match text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        true => "0".to_owned(),
        false => text + unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(range: [f64; 2]) -> String {
        ticks(range, 5, 0.0).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts([0.0, 1.0]), "0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(texts([-0.7, 3.1]), "0 1 2 3");
        assert_eq!(texts([0.0, 480_000.0]), "0 100k 200k 300k 400k");
        assert_eq!(texts([-23.0, 18.0]), "-20 -10 0 10");
        assert_eq!(ticks([1.0, 3.0], 5, 1.0).len(), 3);
    }

    #[test]
    fn any_values_give_a_range_and_few_ticks() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![0.0],
            vec![1e17, 1e17 + 16.0],
            vec![-1e308, 1e308],
            vec![5e-324],
            vec![-1e150, 1e150],
            vec![7.0; 3],
        ] {
            let found = range(values.iter().copied(), 0.05);
            assert!(found[0] < found[1] && found[0].is_finite() && found[1].is_finite(), "{values:?}: {found:?}");
            assert!((1..=11).contains(&ticks(found, 5, 0.0).len()), "{values:?}: {:?}", ticks(found, 5, 0.0));
        }
    }
}
