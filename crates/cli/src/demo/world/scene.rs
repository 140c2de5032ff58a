//! What is in a picture: objects and a digit in the cells of a square grid.
//!
//! Every scene is drawn from a distribution that does not change when colors, shapes, sizes, digits or directions trade
//! places, and the size of the counted group is uniform. So whatever a question asks about, each of its possible
//! answers is equally likely to be right, and the text of a question tells nothing.
//! This file knows neither pixels nor words of questions.

use super::random::Random;

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
    Circle,
    Square,
    Triangle,
    Cross,
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Circle, Self::Square, Self::Triangle, Self::Cross];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Small,
    Large,
}

impl Size {
    pub(super) const ALL: [Self; 2] = [Self::Small, Self::Large];
}

/// Where one object lies, seen from another one in the same row or column.
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

/// Two objects in one row or column, each the only one of its shape and of its color.
#[derive(Debug, Clone, Copy)]
pub(super) struct Couple {
    pub(super) subject: Object,
    pub(super) landmark: Object,
    /// Where the subject lies, seen from the landmark.
    pub(super) direction: Direction,
}

/// Which things a picture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Composition {
    /// One object.
    One,
    /// Two objects in one row or column.
    Couple,
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
    /// The only object of its shape and of its color.
    pub(super) subject: Option<Object>,
    pub(super) couple: Option<Couple>,
    pub(super) digit: Option<(usize, Cell)>,
    /// One to [`MAX_COUNT`] objects of one shape that no other object has.
    pub(super) group: Vec<Object>,
    pub(super) stray: Option<Object>,
}

impl Scene {
    /// A random scene.
    pub(super) fn random(composition: Composition, random: &mut Random) -> Self {
        let full = Self::full(random);
        let nothing = Self::default();
        match composition {
            Composition::One => Self { subject: full.subject, ..nothing },
            Composition::Couple => Self { subject: full.subject, couple: full.couple, ..nothing },
            Composition::Digit => Self { digit: full.digit, ..nothing },
            Composition::Group => Self { group: full.group, ..nothing },
            Composition::Full => full,
        }
    }

    /// A scene that every kind of question can be asked about.
    fn full(random: &mut Random) -> Self {
        let [subject_shape, landmark_shape, group_shape, stray_shape] = random.shuffled(Shape::ALL);
        let [subject_color, landmark_color, others @ ..] = random.shuffled(Color::ALL);
        let (direction, subject_cell, landmark_cell) = aligned_cells(random);
        let mut free = free_cells([subject_cell, landmark_cell]);
        random.shuffle(&mut free);
        let mut free = free.into_iter();
        let mut next_cell = || free.next().expect("the grid has a cell for everything");

        let object = |random: &mut Random, shape, color, cell| Object {
            shape,
            color,
            size: random.pick(&Size::ALL),
            cell,
        };
        let subject = object(random, subject_shape, subject_color, subject_cell);
        let landmark = object(random, landmark_shape, landmark_color, landmark_cell);
        let digit = (random.below(NUM_DIGITS), next_cell());
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
        Self {
            subject: Some(subject),
            couple: Some(Couple { subject, landmark, direction }),
            digit: Some(digit),
            group,
            stray,
        }
    }

    /// Every object of the picture.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        let landmark = self.couple.as_ref().map(|couple| &couple.landmark);
        self.subject.iter().chain(landmark).chain(&self.group).chain(&self.stray)
    }
}

/// Two cells in one row or column, and where the first lies, seen from the second.
fn aligned_cells(random: &mut Random) -> (Direction, Cell, Cell) {
    let direction = random.pick(&Direction::ALL);
    let line = random.below(GRID);
    let mut places: [usize; GRID] = std::array::from_fn(|place| place);
    random.shuffle(&mut places);
    let (low, high) = (places[0].min(places[1]), places[0].max(places[1]));
    let across = |column| Cell { row: line, column };
    let down = |row| Cell { row, column: line };
    let (subject, landmark) = match direction {
        Direction::Left => (across(low), across(high)),
        Direction::Right => (across(high), across(low)),
        Direction::Above => (down(low), down(high)),
        Direction::Below => (down(high), down(low)),
    };
    (direction, subject, landmark)
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
            let couple = scene.couple.expect("a full scene has a couple");
            for object in [couple.subject, couple.landmark] {
                let twins = |same: fn(&Object, &Object) -> bool| {
                    scene.objects().filter(|other| same(other, &object)).count()
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
            let (direction, subject, landmark) = aligned_cells(&mut Random::for_item(3, item));
            let holds = match direction {
                Direction::Left => subject.row == landmark.row && subject.column < landmark.column,
                Direction::Right => subject.row == landmark.row && subject.column > landmark.column,
                Direction::Above => subject.column == landmark.column && subject.row < landmark.row,
                Direction::Below => subject.column == landmark.column && subject.row > landmark.row,
            };
            assert!(holds, "{direction:?} {subject:?} {landmark:?}");
        }
    }
}
