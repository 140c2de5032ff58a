//! Limits on the records over one prompt and over one picture.
//!
//! Which of too many are kept is drawn by the seed and what a record says, not by where it stands.

use std::collections::HashMap;
use std::fmt;

use crate::chance;

/// What the limits need to know of a record.
#[derive(Debug, Clone, Copy)]
pub struct Capped<'a> {
    /// Fingerprint of everything it says.
    pub exact: u128,
    /// Fingerprint of its prompt and pictures.
    pub prompt: u128,
    /// Its pictures; how often one stands in it does not matter.
    pub images: &'a [u128],
}

/// Most records over one prompt and over one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Over one prompt.
    pub per_prompt: Option<usize>,
    /// Over one picture.
    pub per_image: Option<usize>,
}

/// Limit that a record exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cap {
    /// Records over one prompt.
    Prompt,
    /// Records over one picture.
    Image,
}

impl fmt::Display for Cap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Prompt => "more records over its prompt than `max_per_prompt`",
            Self::Image => "more records over its picture than `max_per_image`",
        })
    }
}

/// The records that exceed a limit, with the limit, in order.
pub fn over(records: &[Capped<'_>], caps: Caps, seed: u64) -> Vec<(usize, Cap)> {
    if caps == Caps::default() {
        return Vec::new();
    }
    let mut counts = Counts::new(caps);
    let order = chance::order(seed, "caps", records.iter().map(|record| record.exact));
    let exceeding = |at: usize| Some((at, counts.admit(&records[at]).err()?));
    let mut exceeding: Vec<(usize, Cap)> = order.into_iter().filter_map(exceeding).collect();
    exceeding.sort_unstable();
    exceeding
}

/// Records that have been admitted so far.
pub(crate) struct Counts {
    caps: Caps,
    prompts: HashMap<u128, usize>,
    images: HashMap<u128, usize>,
}

impl Counts {
    pub(crate) fn new(caps: Caps) -> Self {
        Self { caps, prompts: HashMap::new(), images: HashMap::new() }
    }

    /// Counts a record, unless it exceeds a limit.
    pub(crate) fn admit(&mut self, record: &Capped<'_>) -> Result<(), Cap> {
        let is_full = |counts: &HashMap<u128, usize>, key: &u128, cap: Option<usize>| {
            cap.is_some_and(|cap| counts.get(key).copied().unwrap_or(0) >= cap)
        };
        if is_full(&self.prompts, &record.prompt, self.caps.per_prompt) {
            return Err(Cap::Prompt);
        }
        if record.images.iter().any(|image| is_full(&self.images, image, self.caps.per_image)) {
            return Err(Cap::Image);
        }
        if self.caps.per_prompt.is_some() {
            *self.prompts.entry(record.prompt).or_default() += 1;
        }
        if self.caps.per_image.is_some() {
            for (at, image) in record.images.iter().enumerate() {
                if !record.images[..at].contains(image) {
                    *self.images.entry(*image).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LIMITS: Caps = Caps { per_prompt: Some(2), per_image: Some(3) };

    #[test]
    fn nothing_exceeds_no_limit() {
        let records = [Capped { exact: 1, prompt: 1, images: &[1] }; 9];
        assert_eq!(over(&records, Caps::default(), 0), []);
    }

    #[test]
    fn every_limit_is_kept_and_no_more_is_dropped_than_needed() {
        let images = [[1_u128, 1], [1, 2]];
        let records: Vec<Capped<'_>> = (0..40_u128)
            .map(|exact| Capped { exact, prompt: exact % 10, images: &images[exact as usize % 2] })
            .collect();
        let dropped: BTreeSet<usize> =
            over(&records, LIMITS, 3).into_iter().map(|(at, _)| at).collect();
        let kept: Vec<&Capped<'_>> =
            (0..40).filter(|at| !dropped.contains(at)).map(|at| &records[at]).collect();
        assert_eq!(kept.len(), 3, "all records show picture 1");
        for prompt in 0..10 {
            assert!(kept.iter().filter(|record| record.prompt == prompt).count() <= 2);
        }
    }

    #[test]
    fn the_limit_that_is_exceeded_is_told() {
        let prompts = [Capped { exact: 1, prompt: 1, images: &[] }; 3];
        assert_eq!(over(&prompts, LIMITS, 0), [(2, Cap::Prompt)]);
        let record = |exact| Capped { exact, prompt: exact, images: &[5] };
        let pictures: Vec<Capped<'_>> = (0..5).map(record).collect();
        let exceeding = over(&pictures, LIMITS, 0);
        assert_eq!(exceeding.len(), 2);
        assert!(exceeding.iter().all(|(_, cap)| *cap == Cap::Image));
    }

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let record = |exact| Capped { exact, prompt: exact % 5, images: &[] };
        let mut records: Vec<Capped<'_>> = (0..50).map(record).collect();
        let kept = |records: &[Capped<'_>], seed| -> BTreeSet<u128> {
            over(records, LIMITS, seed).into_iter().map(|(at, _)| records[at].exact).collect()
        };
        let forward = kept(&records, 1);
        assert_eq!(forward.len(), 40);
        assert_ne!(forward, kept(&records, 2));
        records.reverse();
        assert_eq!(forward, kept(&records, 1));
    }
}
