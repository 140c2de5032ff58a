//! In which order the world is learned: pictures of one thing first, full pictures later.
//!
//! Rows to train on stand in this order in their file, and are meant to be read in it. Before a network can tell
//! anything about a picture, full pictures are noise to it: with all of them mixed from the beginning, rewards
//! collapse to one number and learning stands still for tens of thousands of pictures. With one thing in a picture,
//! colors are learned within a thousand of them, and the rest builds on that.
//! Held-out pictures are all those of the last lesson.

use super::random::Random;
use super::scene::Composition;

/// A stretch of the training rows.
struct Lesson {
    /// Where it begins, in percent of all pictures.
    from_percent: usize,
    /// What its pictures hold, each as likely as its weight says.
    weights: &'static [(Composition, usize)],
}

const LESSONS: [Lesson; 3] = [
    Lesson { from_percent: 0, weights: &[(Composition::One, 1)] },
    Lesson {
        from_percent: 20,
        weights: &[
            (Composition::One, 1),
            (Composition::Couple, 2),
            (Composition::Digit, 2),
            (Composition::Group, 2),
        ],
    },
    Lesson {
        from_percent: 50,
        weights: &[
            (Composition::One, 1),
            (Composition::Couple, 1),
            (Composition::Digit, 1),
            (Composition::Group, 1),
            (Composition::Full, 6),
        ],
    },
];

/// What the training picture of this number holds, of `num_pictures` in all.
pub(super) fn training_composition(
    number: usize,
    num_pictures: usize,
    random: &mut Random,
) -> Composition {
    let begun = |lesson: &&Lesson| 100 * number >= lesson.from_percent * num_pictures;
    let lesson =
        LESSONS.iter().rfind(begun).expect("the first lesson begins with the first picture");
    draw(lesson, random)
}

/// What a held-out picture holds.
pub(super) fn final_composition(random: &mut Random) -> Composition {
    draw(&LESSONS[LESSONS.len() - 1], random)
}

fn draw(lesson: &Lesson, random: &mut Random) -> Composition {
    let total = lesson.weights.iter().map(|(_, weight)| weight).sum();
    let mut left = random.below(total);
    for (composition, weight) in lesson.weights {
        if left < *weight {
            return *composition;
        }
        left -= weight;
    }
    unreachable!("the number drawn is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of_full(numbers: std::ops::Range<usize>) -> usize {
        let full = numbers.filter(|number| {
            let mut random = Random::for_item(8, *number as u64);
            training_composition(*number, 10_000, &mut random) == Composition::Full
        });
        full.count()
    }

    #[test]
    fn full_pictures_come_last() {
        assert_eq!(share_of_full(0..5_000), 0);
        let full = share_of_full(5_000..10_000);
        assert!((2_850..3_150).contains(&full), "{full} of 5000");
    }

    #[test]
    fn a_single_picture_is_of_the_first_lesson() {
        let first = training_composition(0, 1, &mut Random::for_item(8, 0));
        assert_eq!(first, Composition::One);
    }
}
