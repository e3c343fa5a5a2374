//! A sheet to draw on, and the inks.
//!
//! plotters writes every colour as `#RRGGBB`. We draw with placeholders `#0100NN`, NN being the ink's number, and
//! [`themed`] turns each into the ink's light colour plus a class: `fill="#010006"` becomes
//! `fill="#2f5fb3" class="f6"`. A style sheet ([`style`]) then colours the classes for light and dark; viewers without
//! CSS still see the light colours. No text can be mistaken for a placeholder, because plotters escapes its quotes.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Write;

/// What something is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Muted,
    Grid,
    /// Behind everything.
    Paper,
    /// Cells of a heat map.
    Heat,
    /// Text upon `Heat` at full strength.
    OnHeat,
    /// Curves, bars and dots; `Line(0)` is the main colour. Numbers go round.
    Line(usize),
}

impl Ink {
    /// What the eye is to see first.
    pub(super) const MAIN: Ink = Ink::Line(0);

    fn number(self) -> usize {
        match self {
            Ink::Text => 0,
            Ink::Muted => 1,
            Ink::Grid => 2,
            Ink::Paper => 3,
            Ink::Heat => 4,
            Ink::OnHeat => 5,
            Ink::Line(line) => 6 + line % LINES,
        }
    }

    fn placeholder(self) -> RGBColor {
        RGBColor(1, 0, self.number() as u8)
    }
}

/// Light and dark colour of each ink, by its number. The six lines differ in lightness too, for eyes that see few hues
/// (after M. Okabe and K. Ito's palette).
const INKS: [[&str; 2]; 12] = [
    ["#1d2330", "#e6e8ee"],
    ["#667085", "#98a2b3"],
    ["#e4e7ec", "#2c333f"],
    ["#ffffff", "#161b24"],
    ["#2f5fb3", "#3b6cc0"],
    ["#ffffff", "#ffffff"],
    ["#2f5fb3", "#7aa7f0"],
    ["#c2570c", "#f0a060"],
    ["#0b7a5e", "#4fc3a1"],
    ["#9b3b8a", "#dd8fd0"],
    ["#8a6d00", "#d8bd4a"],
    ["#4a5568", "#a9b4c6"],
];

/// How many colours lines have.
pub(super) const LINES: usize = 6;

/// Drawing units per CSS pixel: plotters rounds to whole units, and halves of a pixel keep curves smooth.
const FINE: f64 = 2.0;

/// Where text is fastened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fasten {
    Left,
    Middle,
    Right,
    /// In the middle, reading upwards.
    Upwards,
}

/// A sheet of so many CSS pixels; all places are in CSS pixels from its upper left.
pub(super) struct Canvas<'a>(SVGBackend<'a>);

/// Draws a sheet of that width and height; the drawing comes without its `<svg>` tag.
pub(super) fn draw(size: [f64; 2], paint: impl FnOnce(&mut Canvas)) -> String {
    let mut svg = String::new();
    let units = size.map(|side| (side * FINE).round() as u32);
    let mut canvas = Canvas(SVGBackend::with_string(&mut svg, (units[0], units[1])));
    paint(&mut canvas);
    canvas.0.present().expect("a string takes any drawing");
    drop(canvas);
    let body = svg.split_once('>').map_or("", |(_, rest)| rest);
    themed(body.trim().trim_end_matches("</svg>"))
}

/// The opening tag for a drawing of that size, with `extra` pixels above it.
pub(super) fn view_box(size: [f64; 2], extra: f64) -> String {
    format!("0 {} {} {}", -extra * FINE, size[0] * FINE, (size[1] + extra) * FINE)
}

/// Paper and a title for a drawing that stands alone, which begins `extra` pixels below the title's top.
pub(super) fn sheet(title: &str, size: [f64; 2], extra: f64) -> String {
    let drawn = draw(size, |canvas| {
        canvas.fill([0.0, -extra], size, Ink::Paper, 1.0);
        canvas.text(title, [16.0, 18.0 - extra], Fasten::Left, Ink::Text, 15.0);
    });
    drawn.replace("<text ", "<text font-weight=\"600\" ")
}

/// Rules that colour the classes in light and dark.
pub(in crate::report) fn style() -> String {
    let variables = |theme: usize| INKS.iter().enumerate().fold(String::new(), |text, (i, ink)| format!("{text}--p{i}:{};", ink[theme]));
    let mut css = format!(":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n", variables(0), variables(1));
    for i in 0..INKS.len() {
        write!(css, ".f{i}{{fill:var(--p{i})}}.s{i}{{stroke:var(--p{i})}}").expect("a string takes any text");
    }
    css.push_str("\nsvg text{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",sans-serif;font-variant-numeric:tabular-nums}\n");
    css
}

/// Placeholders into colours and classes; needless attributes and line ends out.
fn themed(svg: &str) -> String {
    let mut themed = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(at) = rest.find("=\"#0100") {
        let (before, placeholder) = rest.split_at(at);
        let number = placeholder.get(7..9).and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let number = number.filter(|number| *number < INKS.len()).expect("only inks are drawn with");
        let letter = if before.ends_with("fill") { 'f' } else { 's' };
        write!(themed, "{before}=\"{}\" class=\"{letter}{number}\"", INKS[number][0]).expect("a string takes any text");
        rest = &placeholder[10..]; // ="#0100NN" is ten bytes long
    }
    themed.push_str(rest);
    let needless = [" opacity=\"1\"", " stroke=\"none\"", " font-family=\"sans-serif\""];
    needless.iter().fold(themed, |text, attribute| text.replace(attribute, "")).replace(">\n", ">").replace("\n</", "</")
}

impl Canvas<'_> {
    /// A straight line.
    pub(super) fn line(&mut self, from: [f64; 2], to: [f64; 2], ink: Ink, width: f64) {
        let stroke = ShapeStyle::from(ink.placeholder()).stroke_width((width * FINE).round() as u32);
        self.0.draw_line(units(from), units(to), &stroke).expect("a string takes any drawing");
    }

    /// A line through these places.
    pub(super) fn path(&mut self, places: &[[f64; 2]], ink: Ink, width: f64) {
        let stroke = ShapeStyle::from(ink.placeholder()).stroke_width((width * FINE).round() as u32);
        let mut corners: Vec<(i32, i32)> = places.iter().copied().map(units).collect();
        corners.dedup();
        self.0.draw_path(corners, &stroke).expect("a string takes any drawing");
    }

    /// A filled rectangle between two corners; `strength` 0 to 1 is how much of the paper it hides.
    pub(super) fn fill(&mut self, corner: [f64; 2], opposite: [f64; 2], ink: Ink, strength: f64) {
        let (a, b) = (units(corner), units(opposite));
        let (low, high) = ((a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1)));
        let colour = ink.placeholder().mix((strength.clamp(0.0, 1.0) * 100.0).round() / 100.0);
        self.0.draw_rect(low, high, &ShapeStyle::from(colour), true).expect("a string takes any drawing");
    }

    /// A filled circle.
    pub(super) fn dot(&mut self, at: [f64; 2], radius: f64, ink: Ink, strength: f64) {
        let style = ShapeStyle::from(ink.placeholder().mix(strength)).filled().stroke_width(0);
        self.0.draw_circle(units(at), (radius * FINE).round() as u32, &style, true).expect("a string takes any drawing");
    }

    /// One line of text, centred on its height.
    pub(super) fn text(&mut self, text: &str, at: [f64; 2], fasten: Fasten, ink: Ink, size: f64) {
        let side = match fasten {
            Fasten::Left => HPos::Left,
            Fasten::Middle | Fasten::Upwards => HPos::Center,
            Fasten::Right => HPos::Right,
        };
        // plotters divides font sizes by 1.24 on their way into the SVG.
        let mut font = ("sans-serif", size * FINE * 1.24).into_font();
        if matches!(fasten, Fasten::Upwards) {
            font = font.transform(FontTransform::Rotate270);
        }
        let colour = ink.placeholder();
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(side, VPos::Center));
        self.0.draw_text(text, &style, units(at)).expect("a string takes any drawing");
    }
}

/// About how wide a text is, in CSS pixels; system fonts take 0.56 of their size a character on average.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

fn units(place: [f64; 2]) -> (i32, i32) {
    ((place[0] * FINE).round() as i32, (place[1] * FINE).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_colours_and_classes() {
        let svg = draw([20.0, 10.0], |canvas| {
            canvas.fill([0.0, 0.0], [5.0, 5.0], Ink::MAIN, 0.5);
            canvas.line([0.0, 0.0], [5.0, 5.0], Ink::Grid, 1.0);
            canvas.text("fill=\"#010003\" <b>", [0.0, 0.0], Fasten::Left, Ink::Text, 10.0);
        });
        expect_test::expect![[r##"<rect x="0" y="0" width="10" height="10" opacity="0.5" fill="#2f5fb3" class="f6"/><line stroke="#e4e7ec" class="s2" stroke-width="2" x1="0" y1="0" x2="10" y2="10"/><text x="0" y="0" dy="0.5ex" text-anchor="start" font-size="20" fill="#1d2330" class="f0">fill=&quot;#010003&quot; &lt;b&gt;</text>"##]].assert_eq(&svg);
    }
}
