//! What is in a picture: objects and a digit in the cells of a square grid.
//!
//! Every scene is drawn from a distribution that does not change when colors, shapes, sizes, digits or directions trade
//! places, and the size of the counted group is uniform. So whatever a question asks about, each of its possible
//! answers is equally likely to be right, and the text of a question tells nothing.
//! This file knows neither pixels nor words of questions.

use crate::random::Random;

/// Cells in a row and in a column of the grid.
pub(super) const GRID: usize = 3;
/// The largest group that is counted.
pub(super) const MAX_COUNT: usize = 4;
/// Full scenes in 100 with one more object that no question asks about.
const STRAY_PERCENT: usize = 50;
/// Digits that can be shown.
pub(super) const NUM_DIGITS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Color {
    Red,
    Green,
    Blue,
    Yellow,
}

impl Color {
    pub(super) const ALL: [Self; 4] = [Self::Red, Self::Green, Self::Blue, Self::Yellow];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Ring,
    Square,
    Triangle,
    Cross,
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Ring, Self::Square, Self::Triangle, Self::Cross];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Small,
    Large,
}

impl Size {
    pub(super) const ALL: [Self; 2] = [Self::Small, Self::Large];
}

/// Where an object lies, seen from a digit in the same row or column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Left,
    Right,
    Above,
    Below,
}

impl Direction {
    pub(super) const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Above, Self::Below];

    pub(super) fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }
}

/// A place in the grid; row 0 is at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) row: usize,
    pub(super) column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) shape: Shape,
    pub(super) color: Color,
    pub(super) size: Size,
    pub(super) cell: Cell,
}

/// Which things a picture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Composition {
    /// One object.
    One,
    /// Two objects.
    Pair,
    /// One object and a digit, in one row or column.
    Landmark,
    /// Two objects and a digit, the first in the digit's row or column.
    Trio,
    /// A digit.
    Digit,
    /// Objects to count.
    Group,
    /// All of these; every kind of question can be asked.
    Full,
}

/// The contents of a picture. What is absent is not asked about.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    /// One or two objects, each the only one of its shape and of its color. With a digit, the first stands in the
    /// digit's row or column.
    pub(super) subjects: Vec<Object>,
    pub(super) digit: Option<(usize, Cell)>,
    /// Where the first subject lies, seen from the digit.
    pub(super) direction: Option<Direction>,
    /// One to [`MAX_COUNT`] objects of one shape that no other object has.
    pub(super) group: Vec<Object>,
    pub(super) stray: Option<Object>,
}

impl Scene {
    /// A random scene.
    pub(super) fn random(composition: Composition, random: &mut Random) -> Self {
        let full = Self::full(random);
        let nothing = Self::default();
        let first = full.subjects[..1].to_vec();
        match composition {
            Composition::One => Self { subjects: first, ..nothing },
            Composition::Pair => Self { subjects: full.subjects, ..nothing },
            Composition::Landmark => {
                Self { subjects: first, group: Vec::new(), stray: None, ..full }
            }
            Composition::Trio => Self { group: Vec::new(), stray: None, ..full },
            Composition::Digit => Self { digit: full.digit, ..nothing },
            Composition::Group => Self { group: full.group, ..nothing },
            Composition::Full => full,
        }
    }

    /// A scene that every kind of question can be asked about.
    fn full(random: &mut Random) -> Self {
        let [first_shape, second_shape, group_shape, stray_shape] = random.shuffled(Shape::ALL);
        let [first_color, second_color, others @ ..] = random.shuffled(Color::ALL);
        let (direction, first_cell, digit_cell) = aligned_cells(random);
        let mut free = free_cells([first_cell, digit_cell]);
        random.shuffle(&mut free);
        let mut free = free.into_iter();
        let mut next_cell = || free.next().expect("the grid has a cell for everything");

        let object = |random: &mut Random, shape, color, cell| Object {
            shape,
            color,
            size: random.pick(&Size::ALL),
            cell,
        };
        let subjects = vec![
            object(random, first_shape, first_color, first_cell),
            object(random, second_shape, second_color, next_cell()),
        ];
        let digit = (random.below(NUM_DIGITS), digit_cell);
        // Groups of one color and of several: neither the color alone nor the shape alone may do for counting.
        let common_color = random.chance(50).then(|| random.pick(&others));
        let count = 1 + random.below(MAX_COUNT);
        let group = (0..count)
            .map(|_| {
                let color = common_color.unwrap_or_else(|| random.pick(&others));
                object(random, group_shape, color, next_cell())
            })
            .collect();
        let stray = random.chance(STRAY_PERCENT).then(|| {
            let color = random.pick(&others);
            object(random, stray_shape, color, next_cell())
        });
        Self { subjects, digit: Some(digit), direction: Some(direction), group, stray }
    }

    /// Every object of the picture.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.subjects.iter().chain(&self.group).chain(&self.stray)
    }
}

/// Where an object lies, seen from the digit, its cell and the digit's: the middle one. What lies where is asked from a fixed
/// place, since a small network does not learn in minutes to compare two places that both move.
fn aligned_cells(random: &mut Random) -> (Direction, Cell, Cell) {
    const MIDDLE: usize = GRID / 2;
    let direction = random.pick(&Direction::ALL);
    let (row, column) = match direction {
        Direction::Left => (MIDDLE, MIDDLE - 1),
        Direction::Right => (MIDDLE, MIDDLE + 1),
        Direction::Above => (MIDDLE - 1, MIDDLE),
        Direction::Below => (MIDDLE + 1, MIDDLE),
    };
    (direction, Cell { row, column }, Cell { row: MIDDLE, column: MIDDLE })
}

fn free_cells(taken: [Cell; 2]) -> Vec<Cell> {
    let all = (0..GRID).flat_map(|row| (0..GRID).map(move |column| Cell { row, column }));
    all.filter(|cell| !taken.contains(cell)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_things_share_a_cell() {
        for item in 0..2_000 {
            let scene = Scene::full(&mut Random::for_item(1, item));
            let digit = scene.digit.map(|(_, cell)| cell);
            let cells: Vec<Cell> = scene.objects().map(|object| object.cell).chain(digit).collect();
            for (index, cell) in cells.iter().enumerate() {
                assert!(!cells[..index].contains(cell), "{scene:?}");
            }
        }
    }

    #[test]
    fn what_is_asked_about_is_alone_in_its_shape_and_color() {
        for item in 0..2_000 {
            let scene = Scene::full(&mut Random::for_item(2, item));
            for object in &scene.subjects {
                let twins = |same: fn(&Object, &Object) -> bool| {
                    scene.objects().filter(|other| same(other, object)).count()
                };
                assert_eq!(twins(|a, b| a.shape == b.shape), 1, "{scene:?}");
                assert_eq!(twins(|a, b| a.color == b.color), 1, "{scene:?}");
            }
            let grouped = scene.objects().filter(|other| other.shape == scene.group[0].shape);
            assert_eq!(grouped.count(), scene.group.len(), "{scene:?}");
        }
    }

    #[test]
    fn directions_agree_with_the_cells() {
        for item in 0..500 {
            let (direction, object, digit) = aligned_cells(&mut Random::for_item(3, item));
            let holds = match direction {
                Direction::Left => object.row == digit.row && object.column < digit.column,
                Direction::Right => object.row == digit.row && object.column > digit.column,
                Direction::Above => object.column == digit.column && object.row < digit.row,
                Direction::Below => object.column == digit.column && object.row > digit.row,
            };
            assert!(holds, "{direction:?} {object:?} {digit:?}");
        }
    }
}
