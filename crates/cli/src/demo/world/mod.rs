//! The visual world of the demo: drawn pictures, and questions with right and wrong answers about them.
//!
//! A picture is a grid of cells with colored shapes of two sizes and a digit. Questions ask for a color, a shape, a
//! number of objects, a relative position, a size, or the digit. Only the picture tells which answer is right.
//! Nothing is read and nothing is trained here.

mod digits;
mod draw;
mod lessons;
mod questions;
mod scene;
#[cfg(test)]
mod tests;
mod write;

use image::RgbImage;

use crate::random::Random;
use lessons::Task;
use scene::Scene;

pub(crate) use draw::SIDE_PIXELS;
pub(crate) use questions::{Fault, Kind, Question};
pub(crate) use write::{WorldOptions, WorldSummary, write_world};

/// Which pictures: those to train on, those held out, or those to look at. No picture is in two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// To train on.
    Train,
    /// To evaluate on.
    Validation,
    /// To show.
    Showcase,
}

impl Part {
    /// The name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Showcase => "showcase",
        }
    }
}

/// A picture and what is asked about it.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    /// The picture, [`SIDE_PIXELS`] wide and high.
    pub(crate) picture: RgbImage,
    /// One question of each kind that the picture allows.
    pub(crate) questions: Vec<Question>,
}

impl Example {
    /// The training picture of this number, of `num_pictures` in all; early ones hold less than late ones.
    pub(crate) fn training(seed: u64, number: usize, num_pictures: usize) -> Self {
        let mut random = stream(seed, Part::Train, number);
        let task = lessons::training_task(number, num_pictures, &mut random);
        Self::of(task, &mut random)
    }

    /// The held-out picture of this number.
    pub(crate) fn held_out(seed: u64, number: usize) -> Self {
        let mut random = stream(seed, Part::Validation, number);
        let task = lessons::final_task(&mut random);
        Self::of(task, &mut random)
    }

    /// A picture to show: a full one, with questions of every kind. It is neither trained on nor held out.
    pub(crate) fn showcase(seed: u64, number: usize) -> Self {
        let mut random = stream(seed, Part::Showcase, number);
        Self::of(lessons::full_task(), &mut random)
    }

    /// The question of a kind, when the picture allows one.
    pub(crate) fn question(&self, kind: Kind) -> Option<&Question> {
        self.questions.iter().find(|question| question.kind == kind)
    }

    fn of(task: Task, random: &mut Random) -> Self {
        let scene = Scene::random(task.composition, random);
        let mut questions = questions::about(&scene, random);
        questions.retain(|question| task.kinds.contains(&question.kind));
        Self { picture: draw::picture(&scene, random), questions }
    }
}

fn stream(seed: u64, part: Part, number: usize) -> Random {
    // Numbers of pictures stay below 2^32, so no two pictures of a seed share a stream.
    Random::for_item(seed, ((part as u64) << 32) | number as u64)
}
