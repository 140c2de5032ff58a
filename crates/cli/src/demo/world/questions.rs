//! Questions about a scene, their right answer, and wrong answers with what is wrong with them.
//!
//! The answers of a question are drawn from one list of candidates that depends on its text alone, the wrong ones
//! uniformly among those that are left, and all are worded alike. With scenes as [`super::scene`] makes them, neither
//! an answer's words nor its length tell whether it is right; only the picture does.

use super::digits;
use super::scene::{Color, Direction, MAX_COUNT, NUM_DIGITS, Object, Scene, Shape, Size};
use crate::random::Random;

/// Wrong answers of a question, at most.
pub(super) const MAX_WRONG: usize = 3;

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The color of a shape.
    Color,
    /// The shape of a colored object.
    Shape,
    /// The number of objects of one shape.
    Counting,
    /// Where an object lies, seen from the digit.
    Position,
    /// Whether an object is large or small.
    Size,
    /// The digit in the picture.
    Digit,
}

impl Kind {
    /// Every kind, in the order of tables.
    pub(crate) const ALL: [Self; 6] =
        [Self::Color, Self::Shape, Self::Counting, Self::Position, Self::Size, Self::Digit];

    /// The name in files and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Color => "color",
            Self::Shape => "shape",
            Self::Counting => "counting",
            Self::Position => "position",
            Self::Size => "size",
            Self::Digit => "digit",
        }
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A color or a shape that nothing in the picture has.
    AbsentAttribute,
    /// A color or a shape of something else in the picture.
    OtherObject,
    /// One more or one less than there are.
    OffByOne,
    /// A number further away.
    WrongNumber,
    /// The opposite direction.
    SwappedDirection,
    /// A direction along the other axis.
    WrongAxis,
    /// Large for small or small for large.
    SwappedSize,
    /// A digit that is easily taken for the right one.
    SimilarDigit,
    /// Another digit.
    WrongDigit,
}

impl Fault {
    /// The name in files and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AbsentAttribute => "absent_attribute",
            Self::OtherObject => "other_object",
            Self::OffByOne => "off_by_one",
            Self::WrongNumber => "wrong_number",
            Self::SwappedDirection => "swapped_direction",
            Self::WrongAxis => "wrong_axis",
            Self::SwappedSize => "swapped_size",
            Self::SimilarDigit => "similar_digit",
            Self::WrongDigit => "wrong_digit",
        }
    }
}

/// One answer; without a fault it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What is said.
    pub(crate) text: String,
    /// What is wrong with it.
    pub(crate) fault: Option<Fault>,
}

/// A question about one picture, with one right and up to three wrong answers in random order.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What it asks for.
    pub(crate) kind: Kind,
    /// The question in words.
    pub(crate) prompt: String,
    /// The answers.
    pub(crate) answers: Vec<Answer>,
}

/// One question of every kind that the scene allows.
pub(super) fn about(scene: &Scene, random: &mut Random) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Some(first) = scene.subjects.first() {
        // A question may be about either, so that one has to look for what it names.
        let any = |random: &mut Random| &scene.subjects[random.below(scene.subjects.len())];
        questions.push(color(scene, any(random), random));
        questions.push(shape(scene, any(random), random));
        questions.push(size(any(random), random));
        questions.extend(scene.direction.map(|direction| position(first, direction, random)));
    }
    questions.extend(scene.digit.map(|(right, _)| digit(right, random)));
    if let Some(member) = scene.group.first() {
        questions.push(counting(member.shape, scene.group.len(), random));
    }
    questions
}

fn color(scene: &Scene, object: &Object, random: &mut Random) -> Question {
    let name = shape_name(object.shape);
    let prompt = random.pick(&["What color is the {}?", "Which color has the {}?"]);
    let fault = |wrong: &Color| {
        if scene.objects().any(|other| other.color == *wrong) {
            Fault::OtherObject
        } else {
            Fault::AbsentAttribute
        }
    };
    let prompt = prompt.replace("{}", name);
    question(Kind::Color, prompt, &Color::ALL, &object.color, fault, |it| color_name(*it), random)
}

fn shape(scene: &Scene, object: &Object, random: &mut Random) -> Question {
    let name = color_name(object.color);
    let prompt = random.pick(&["What shape is the {} object?", "Which shape is {}?"]);
    let fault = |wrong: &Shape| {
        if scene.objects().any(|other| other.shape == *wrong) {
            Fault::OtherObject
        } else {
            Fault::AbsentAttribute
        }
    };
    let prompt = prompt.replace("{}", name);
    question(Kind::Shape, prompt, &Shape::ALL, &object.shape, fault, |it| shape_name(*it), random)
}

fn size(object: &Object, random: &mut Random) -> Question {
    let prompt = random.pick(&["What size is the {}?", "How large is the {}?"]);
    let prompt = prompt.replace("{}", shape_name(object.shape));
    let name = |size: &Size| match size {
        Size::Small => "small",
        Size::Large => "large",
    };
    let fault = |_: &Size| Fault::SwappedSize;
    question(Kind::Size, prompt, &Size::ALL, &object.size, fault, name, random)
}

fn position(object: &Object, right: Direction, random: &mut Random) -> Question {
    let prompt = random
        .pick(&["Where is the {}, seen from the digit?", "On which side of the digit is the {}?"]);
    let prompt = prompt.replace("{}", shape_name(object.shape));
    let name = |direction: &Direction| match direction {
        Direction::Left => "left",
        Direction::Right => "right",
        Direction::Above => "above",
        Direction::Below => "below",
    };
    let fault = |wrong: &Direction| {
        if *wrong == right.opposite() { Fault::SwappedDirection } else { Fault::WrongAxis }
    };
    question(Kind::Position, prompt, &Direction::ALL, &right, fault, name, random)
}

fn digit(right: usize, random: &mut Random) -> Question {
    let prompt = random.pick(&["Which digit is shown?", "What digit do you see?"]).to_owned();
    let candidates: [usize; NUM_DIGITS] = std::array::from_fn(|digit| digit);
    let name = |digit: &usize| ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][*digit];
    let fault = |wrong: &usize| {
        if digits::look_alike(*wrong, right) { Fault::SimilarDigit } else { Fault::WrongDigit }
    };
    question(Kind::Digit, prompt, &candidates, &right, fault, name, random)
}

fn counting(shape: Shape, count: usize, random: &mut Random) -> Question {
    let prompt = random.pick(&["How many {} are there?", "How many {} do you see?"]);
    let prompt = prompt.replace("{}", shape_plural(shape));
    let candidates: [usize; MAX_COUNT] = std::array::from_fn(|index| index + 1);
    let name = |count: &usize| ["one", "two", "three", "four"][*count - 1];
    let fault = |wrong: &usize| {
        if wrong.abs_diff(count) == 1 { Fault::OffByOne } else { Fault::WrongNumber }
    };
    question(Kind::Counting, prompt, &candidates, &count, fault, name, random)
}

/// Puts a question together: the right answer and wrong ones drawn uniformly from the other candidates.
fn question<T: PartialEq>(
    kind: Kind,
    prompt: String,
    candidates: &[T],
    right: &T,
    fault: impl Fn(&T) -> Fault,
    name: impl Fn(&T) -> &'static str,
    random: &mut Random,
) -> Question {
    let mut wrong: Vec<&T> = candidates.iter().filter(|candidate| *candidate != right).collect();
    random.shuffle(&mut wrong);
    wrong.truncate(MAX_WRONG);
    let sentence = if kind == Kind::Counting { "I count {}." } else { "It is {}." };
    let wording = random.pick(&["{}", sentence]);
    let text = |candidate| wording.replace("{}", name(candidate));
    let mut answers = vec![Answer { text: text(right), fault: None }];
    answers.extend(
        wrong.into_iter().map(|wrong| Answer { text: text(wrong), fault: Some(fault(wrong)) }),
    );
    random.shuffle(&mut answers);
    Question { kind, prompt, answers }
}

fn color_name(color: Color) -> &'static str {
    match color {
        Color::Red => "red",
        Color::Green => "green",
        Color::Blue => "blue",
        Color::Yellow => "yellow",
    }
}

fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Ring => "ring",
        Shape::Square => "square",
        Shape::Triangle => "triangle",
        Shape::Cross => "cross",
    }
}

fn shape_plural(shape: Shape) -> &'static str {
    match shape {
        Shape::Ring => "rings",
        Shape::Square => "squares",
        Shape::Triangle => "triangles",
        Shape::Cross => "crosses",
    }
}
