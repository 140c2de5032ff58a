//! In which order the world is learned: pictures of one thing first, full pictures later.
//!
//! Rows to train on stand in this order in their file, and are meant to be read in it. Before a network can tell
//! anything about a picture, full pictures are noise to it, and with all of them mixed from the beginning rewards
//! collapsed to one number. With one thing in a picture colors are learned first, and the rest builds on that. Two objects teach to look for the one
//! that a question names; without them the step to full pictures is too large. Places are the hardest, and need a
//! time in which they are asked about alone, up to the end. A lone object's place can be told without looking for the
//! object, and what was learned so was of little use in full pictures: hence two objects beside the digit.
//! Held-out pictures are all those of the last lesson.

use super::questions::Kind;
use super::scene::Composition;
use crate::random::Random;

/// What a picture holds, and which of the questions it allows are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) composition: Composition,
    pub(super) kinds: &'static [Kind],
}

/// A stretch of the training rows.
struct Lesson {
    /// Where it begins, in percent of all pictures.
    from_percent: usize,
    /// Its pictures, each as likely as its weight says.
    weights: &'static [(Task, usize)],
}

const ONE: Task = Task { composition: Composition::One, kinds: &Kind::ALL };
const PAIR: Task = Task { composition: Composition::Pair, kinds: &Kind::ALL };
const LANDMARK: Task = Task { composition: Composition::Landmark, kinds: &Kind::ALL };
const PLACE: Task = Task { composition: Composition::Landmark, kinds: &[Kind::Position] };
const TRIO: Task = Task { composition: Composition::Trio, kinds: &Kind::ALL };
const TRIO_PLACE: Task = Task { composition: Composition::Trio, kinds: &[Kind::Position] };
const DIGIT: Task = Task { composition: Composition::Digit, kinds: &Kind::ALL };
const GROUP: Task = Task { composition: Composition::Group, kinds: &Kind::ALL };
const FULL: Task = Task { composition: Composition::Full, kinds: &Kind::ALL };
const FULL_PLACE: Task = Task { composition: Composition::Full, kinds: &[Kind::Position] };

const LESSONS: [Lesson; 3] = [
    Lesson { from_percent: 0, weights: &[(ONE, 1)] },
    Lesson {
        from_percent: 8,
        weights: &[
            (ONE, 1),
            (LANDMARK, 3),
            (PLACE, 1),
            (TRIO, 4),
            (TRIO_PLACE, 4),
            (DIGIT, 1),
            (GROUP, 2),
        ],
    },
    Lesson {
        from_percent: 47,
        weights: &[
            (ONE, 1),
            (PAIR, 2),
            (TRIO, 2),
            (DIGIT, 1),
            (GROUP, 1),
            (FULL, 5),
            (FULL_PLACE, 6),
        ],
    },
];

/// The training picture of this number, of `num_pictures` in all.
pub(super) fn training_task(number: usize, num_pictures: usize, random: &mut Random) -> Task {
    let begun = |lesson: &&Lesson| 100 * number >= lesson.from_percent * num_pictures;
    let lesson =
        LESSONS.iter().rfind(begun).expect("the first lesson begins with the first picture");
    draw(lesson, random)
}

/// A held-out picture.
pub(super) fn final_task(random: &mut Random) -> Task {
    draw(&LESSONS[LESSONS.len() - 1], random)
}

/// A picture that every kind of question is asked about.
pub(super) fn full_task() -> Task {
    FULL
}

fn draw(lesson: &Lesson, random: &mut Random) -> Task {
    let total = lesson.weights.iter().map(|(_, weight)| weight).sum();
    let mut left = random.below(total);
    for (task, weight) in lesson.weights {
        if left < *weight {
            return *task;
        }
        left -= weight;
    }
    unreachable!("the number drawn is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of(task: Task, numbers: std::ops::Range<usize>) -> usize {
        let drawn = numbers.filter(|number| {
            let mut random = Random::for_item(8, *number as u64);
            training_task(*number, 10_000, &mut random) == task
        });
        drawn.count()
    }

    #[test]
    fn single_objects_come_first_and_full_pictures_last() {
        assert_eq!(share_of(ONE, 0..800), 800);
        assert_eq!(share_of(FULL, 0..4_700), 0);
        let full = share_of(FULL, 4_700..10_000);
        assert!((1_350..1_600).contains(&full), "{full} of 5300");
    }

    #[test]
    fn a_single_picture_is_of_the_first_lesson() {
        assert_eq!(training_task(0, 1, &mut Random::for_item(8, 0)), ONE);
    }
}
