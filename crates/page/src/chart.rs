//! The parts that every chart has: a figure with title, legend and note, and a plane with grid, axes and labels.
//!
//! What is drawn on the plane is the caller's. Sizes are units of the view box; the page scales it.

use std::fmt::Display;

use crate::axis::Axis;
use crate::markup::Markup;

/// Width of a chart. About its width in pixels on a wide screen, so that its text has the size of the page's.
pub const WIDTH: f64 = 420.0;
/// Height of a chart.
pub const HEIGHT: f64 = 252.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 42.0;

/// What a chart says beside its drawing.
#[derive(Debug, Default)]
pub struct Caption<'a> {
    /// What is shown.
    pub title: &'a str,
    /// Style class and name of each thing that is drawn.
    pub legend: &'a [(&'a str, &'a str)],
    /// How it was made and how to read it.
    pub note: &'a str,
}

/// A figure around whatever `inside` draws.
pub fn figure(page: &mut Markup, caption: &Caption<'_>, inside: impl FnOnce(&mut Markup)) {
    page.element("figure", &[], |page| {
        page.element("figcaption", &[], |page| {
            page.leaf("h3", &[], caption.title);
            if !caption.legend.is_empty() {
                page.element("ul", &[("class", &"legend")], |page| {
                    for (class, name) in caption.legend {
                        page.element("li", &[], |page| {
                            page.leaf("i", &[("class", &format!("key {class}"))], "");
                            page.text(name);
                        });
                    }
                });
            }
        });
        inside(page);
        if !caption.note.is_empty() {
            page.leaf("p", &[("class", &"note")], caption.note);
        }
    });
}

/// Two axes and the plane between them.
#[derive(Debug)]
pub struct Plane {
    /// Axis to the right.
    pub x: Axis,
    /// Axis upwards.
    pub y: Axis,
}

impl Plane {
    /// Draws grid, axes and labels, and whatever `inside` draws on them. `description` is for those who do not see it.
    pub fn draw(&self, page: &mut Markup, description: &str, inside: impl FnOnce(&mut Markup)) {
        drawing(page, HEIGHT, description, |page| {
            for (number, label) in self.y.ticks() {
                let y = self.y_of(number);
                line(page, "grid", (LEFT, y), (WIDTH - RIGHT, y));
                text(page, "tick end", (LEFT - 7.0, y + 4.0), label);
            }
            for (number, label) in self.x.ticks() {
                let x = self.x_of(number);
                line(page, "axis", (x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 4.0));
                text(page, "tick middle", (x, HEIGHT - BOTTOM + 18.0), label);
            }
            let (middle_x, middle_y) =
                ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
            text(page, "label middle", (middle_x, HEIGHT - 5.0), &self.x.label);
            let turned = format!("translate(12 {}) rotate(-90)", units(middle_y));
            page.leaf("text", &[("class", &"label middle"), ("transform", &turned)], &self.y.label);
            inside(page);
            line(page, "axis", (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM));
        });
    }

    /// Horizontal place of a number.
    pub fn x_of(&self, number: f64) -> f64 {
        LEFT + self.x.place(number) * (WIDTH - LEFT - RIGHT)
    }

    /// Vertical place of a number.
    pub fn y_of(&self, number: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(number) * (HEIGHT - TOP - BOTTOM)
    }

    /// A line through points, which are numbers of the two axes.
    pub fn polyline(&self, page: &mut Markup, class: &str, points: &[(f64, f64)]) {
        let places: Vec<String> = points
            .iter()
            .map(|&(x, y)| format!("{},{}", units(self.x_of(x)), units(self.y_of(y))))
            .collect();
        page.void("polyline", &[("class", &class), ("points", &places.join(" "))]);
    }

    /// A straight line between two points that nothing is read from, such as chance.
    pub fn reference(&self, page: &mut Markup, from: (f64, f64), to: (f64, f64)) {
        self.polyline(page, "reference", &[from, to]);
    }

    /// A dot with a text that shows when it is pointed at.
    pub fn dot(
        &self,
        page: &mut Markup,
        class: &str,
        (x, y): (f64, f64),
        radius: f64,
        hint: impl Display,
    ) {
        let (x, y) = (units(self.x_of(x)), units(self.y_of(y)));
        page.element(
            "circle",
            &[("class", &class), ("cx", &x), ("cy", &y), ("r", &units(radius))],
            |page| page.leaf("title", &[], hint),
        );
    }

    /// A rectangle between two corners, which are numbers of the two axes, with a text that shows when it is pointed at.
    pub fn bar(
        &self,
        page: &mut Markup,
        class: &str,
        (left, low): (f64, f64),
        (right, high): (f64, f64),
        hint: impl Display,
    ) {
        let corner = (self.x_of(left), self.y_of(high));
        let size = (self.x_of(right) - corner.0, self.y_of(low) - corner.1);
        bar(page, class, corner, size, hint);
    }
}

/// A drawing as wide as every chart.
pub fn drawing(
    page: &mut Markup,
    height: f64,
    description: &str,
    inside: impl FnOnce(&mut Markup),
) {
    let view_box = format!("0 0 {} {}", units(WIDTH), units(height));
    let attributes: [(&str, &dyn Display); 3] =
        [("viewBox", &view_box), ("role", &"img"), ("aria-label", &description)];
    page.element("svg", &attributes, inside);
}

/// A small drawing for a cell of a table: 100 units wide and as high as `inside` is told, stretched to the cell.
pub fn strip(page: &mut Markup, description: &str, inside: impl FnOnce(&mut Markup, f64)) {
    const STRIP_HEIGHT: f64 = 10.0;
    let view_box = format!("0 0 100 {}", units(STRIP_HEIGHT));
    let attributes: [(&str, &dyn Display); 5] = [
        ("class", &"strip"),
        ("viewBox", &view_box),
        ("preserveAspectRatio", &"none"),
        ("role", &"img"),
        ("aria-label", &description),
    ];
    page.element("svg", &attributes, |page| inside(page, STRIP_HEIGHT));
}

/// A rectangle with its upper left corner and size in units of the drawing.
pub fn bar(
    page: &mut Markup,
    class: &str,
    corner: (f64, f64),
    size: (f64, f64),
    hint: impl Display,
) {
    page.element(
        "rect",
        &[
            ("class", &class),
            ("x", &units(corner.0)),
            ("y", &units(corner.1)),
            ("width", &units(size.0.max(0.0))),
            ("height", &units(size.1.max(0.0))),
        ],
        |page| page.leaf("title", &[], hint),
    );
}

/// A straight line in units of the drawing.
pub fn line(page: &mut Markup, class: &str, from: (f64, f64), to: (f64, f64)) {
    page.void(
        "line",
        &[
            ("class", &class),
            ("x1", &units(from.0)),
            ("y1", &units(from.1)),
            ("x2", &units(to.0)),
            ("y2", &units(to.1)),
        ],
    );
}

/// A text at a place in units of the drawing.
pub fn text(page: &mut Markup, class: &str, place: (f64, f64), text: impl Display) {
    let (x, y) = (units(place.0), units(place.1));
    page.leaf("text", &[("class", &class), ("x", &x), ("y", &y)], text);
}

/// At most `most` of the points, evenly, the first and the last among them.
pub fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    (0..most).map(|place| points[place * (points.len() - 1) / (most - 1)]).collect()
}

/// A length with the decimals that can be seen.
fn units(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_both_ends() {
        let points: Vec<_> = (0..5000).map(|i| (f64::from(i), 0.0)).collect();
        let thin = thinned(&points, 100);
        assert_eq!((thin.len(), thin[0], thin[99]), (100, points[0], points[4999]));
        assert_eq!(thinned(&points[..3], 3), points[..3]);
    }

    #[test]
    fn what_lies_beyond_an_axis_is_drawn_at_its_edge() {
        let plane =
            Plane { x: Axis::exact("x", (0.0, 1.0), 4), y: Axis::exact("y", (0.0, 1.0), 4) };
        assert!((plane.x_of(9.0) - plane.x_of(1.0)).abs() < 1e-12);
        assert!((plane.y_of(-9.0) - plane.y_of(0.0)).abs() < 1e-12);
        assert!(plane.y_of(1.0) < plane.y_of(0.0), "upwards is up");
    }
}
