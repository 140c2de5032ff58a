//! Which of many pictures look alike, without comparing every two.
//!
//! What it means for two pictures to look alike is said by [`Look`].

use std::collections::HashMap;

use crate::look::{BANDS, Look};
use crate::record::ImageId;
use crate::union::Union;

/// Pictures with one key before a picture that it is compared with. Where more have the key, those are taken that share the next key, too.
const WINDOW: usize = 256;

/// For each picture the number of its group: the index of the first picture that has the same bytes, looks like it, or is connected to it by
/// others that do.
pub fn groups(pictures: &[(ImageId, Look)]) -> Vec<u32> {
    let mut union = Union::new(pictures.len());
    let mut by_id: Vec<(ImageId, u32)> =
        pictures.iter().zip(0..).map(|((id, _), index)| (*id, index)).collect();
    by_id.sort_unstable();
    for two in by_id.windows(2) {
        if two[0].0 == two[1].0 {
            union.connect(two[0].1, two[1].1);
        }
    }
    by_id.dedup_by_key(|(id, _)| *id);
    let keys: Vec<([u32; BANDS], u32)> = by_id
        .into_iter()
        .filter_map(|(_, index)| Some((pictures[index as usize].1.keys()?, index)))
        .collect();
    let mut band_keys: Vec<[u32; 3]> = Vec::with_capacity(keys.len());
    for band in 0..BANDS {
        let next = (band + 1) % BANDS;
        band_keys.clear();
        band_keys.extend(keys.iter().map(|(keys, index)| [keys[band], keys[next], *index]));
        band_keys.sort_unstable();
        connect_alike(&band_keys, pictures, &mut union);
    }
    union.into_groups()
}

/// Compares pictures with equal first keys; `keys` are sorted.
fn connect_alike(keys: &[[u32; 3]], pictures: &[(ImageId, Look)], union: &mut Union) {
    for (at, [key, _, index]) in keys.iter().enumerate() {
        let before = &keys[at.saturating_sub(WINDOW)..at];
        for [_, _, other] in before.iter().rev().take_while(|[other, ..]| other == key) {
            if union.find(*index) != union.find(*other)
                && pictures[*index as usize].1.looks_like(&pictures[*other as usize].1)
            {
                union.connect(*index, *other);
            }
        }
    }
}

/// Pictures among which those are looked up that look like another one.
#[derive(Debug, Default)]
pub struct Looks {
    pictures: Vec<Look>,
    by_id: HashMap<ImageId, u32>,
    by_key: HashMap<(usize, u32), Vec<u32>>,
}

impl Looks {
    /// Adds a picture and returns its number, the old one when a picture with these bytes is known. Numbers start at 0.
    pub fn add(&mut self, id: ImageId, look: &Look) -> u32 {
        let next = self.pictures.len() as u32;
        let number = *self.by_id.entry(id).or_insert(next);
        if number == next {
            for (band, key) in look.keys().into_iter().flatten().enumerate() {
                self.by_key.entry((band, key)).or_default().push(number);
            }
            self.pictures.push(look.clone());
        }
        number
    }

    /// The number of the picture with these bytes.
    pub fn same(&self, id: ImageId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Numbers of the pictures that look like this one, in order.
    pub fn alike(&self, look: &Look) -> Vec<u32> {
        let keys = look.keys().into_iter().flatten().enumerate();
        let mut candidates: Vec<u32> =
            keys.filter_map(|key| self.by_key.get(&key)).flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|number| self.pictures[*number as usize].looks_like(look));
        candidates
    }
}
