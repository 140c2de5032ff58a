//! Records held back for validation, such that no picture and no prompt is on both sides.
//!
//! The drawing is that of [`data::Sides`]; here pictures are known by what they show, so that one that was resized stays with its twin.

use data::Sides;

/// What links a record to others.
#[derive(Debug, Clone, Copy)]
pub struct Linked<'a> {
    /// Fingerprint of its prompt.
    pub prompt: u128,
    /// Its pictures: the same number for all that look alike.
    pub images: &'a [u128],
}

/// The side of each record, about `fraction` of the groups held back. A group is drawn by the smallest of its keys and the seed.
pub fn validation<'a>(
    records: impl IntoIterator<Item = Linked<'a>>,
    fraction: f64,
    seed: u64,
) -> Sides {
    let keys = |record: Linked<'a>| -> Vec<[u8; 17]> {
        let images = record.images.iter().map(|image| key(1, *image));
        std::iter::once(key(0, record.prompt)).chain(images).collect()
    };
    Sides::draw(records.into_iter().map(keys), fraction, seed)
}

/// A key of its own kind: a prompt never equals a picture.
fn key(kind: u8, number: u128) -> [u8; 17] {
    let mut key = [kind; 17];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prompt_links_and_its_number_is_not_that_of_a_picture() {
        let records = [(1, vec![2_u128]), (1, vec![3]), (2, vec![]), (4, vec![3, 5]), (6, vec![1])];
        let linked = records.iter().map(|(prompt, images)| Linked { prompt: *prompt, images });
        let sides = validation(linked, 0.5, 0);
        assert_eq!((sides.groups, sides.largest_group), (3, 3));
    }

    proptest! {
        #[test]
        fn no_prompt_and_no_picture_is_on_both_sides(
            records in prop::collection::vec((0_u128..40, prop::collection::vec(0_u128..40, 0..3)), 1..60),
            seed: u64,
        ) {
            let linked = records.iter().map(|(prompt, images)| Linked { prompt: *prompt, images });
            let held_back = validation(linked, 0.5, seed).in_validation;
            for (first, first_side) in records.iter().zip(&held_back) {
                for (second, second_side) in records.iter().zip(&held_back) {
                    let is_linked = first.0 == second.0 || first.1.iter().any(|image| second.1.contains(image));
                    prop_assert!(!is_linked || first_side == second_side);
                }
            }
        }
    }
}
