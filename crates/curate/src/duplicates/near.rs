//! Near duplicates: records are compared, in the order of keeping, with those before them that stay and share a bucket.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::buckets::Buckets;
use super::{Candidate, DuplicateKind, Fate};
use crate::recipe::Contradictions;
use crate::record::Record;
use crate::shingles::{Shingles, Similarity};

/// Shingles that are kept of records that were read: 64 MiB.
const MAX_KEPT_SHINGLES: usize = 1 << 24;

/// Decides about the records of `order` that are near duplicates.
pub(super) fn find<E>(
    candidates: &[Candidate],
    contradictions: Contradictions,
    order: &[u32],
    judge: &mut Judge<'_, E>,
    fates: &mut [Option<Fate>],
) -> Result<(), E> {
    let mut buckets = Buckets::new(candidates, order);
    let mut contradicted: Vec<(u32, u32)> = Vec::new();
    for place in std::mem::take(&mut buckets.order) {
        let record = order[place as usize];
        let leaders = buckets.leaders(place).into_iter().map(|leader| order[leader as usize]);
        let fate = judge.fate(record, leaders)?;
        match (fate, contradictions) {
            (None, _) | (Some((_, DuplicateKind::Contradiction)), Contradictions::KeepAll) => {
                buckets.lead(place);
            }
            (Some((leader, DuplicateKind::Contradiction)), Contradictions::Drop) => {
                contradicted.push((leader, record));
                fates[record as usize] = fate;
            }
            (fate, _) => fates[record as usize] = fate,
        }
    }
    for (leader, record) in contradicted {
        fates[leader as usize].get_or_insert((record, DuplicateKind::Contradiction));
    }
    Ok(())
}

/// Compares the texts of records, which it reads as seldom as its memory allows.
pub(super) struct Judge<'a, E> {
    near: f32,
    text_of: &'a mut dyn FnMut(usize) -> Result<Record, E>,
    kept: HashMap<u32, Rc<Shingles>>,
    oldest_first: VecDeque<u32>,
    num_shingles: usize,
}

impl<'a, E> Judge<'a, E> {
    /// A judge for whom records with the share `near` of their shingles in common are the same.
    pub(super) fn new(near: f32, text_of: &'a mut dyn FnMut(usize) -> Result<Record, E>) -> Self {
        let (kept, oldest_first) = (HashMap::new(), VecDeque::new());
        Self { near, text_of, kept, oldest_first, num_shingles: 0 }
    }

    /// What a record is to the first of the leaders that it agrees with, else to the first that it contradicts.
    fn fate(&mut self, record: u32, leaders: impl Iterator<Item = u32>) -> Result<Option<Fate>, E> {
        let mut contradicted = None;
        for leader in leaders {
            match self.similarity(record, leader)? {
                Some(Similarity { share, contradicts: false }) => {
                    return Ok(Some((leader, DuplicateKind::Near { similarity: share })));
                }
                Some(_) => {
                    contradicted.get_or_insert((leader, DuplicateKind::Contradiction));
                }
                None => {}
            }
        }
        Ok(contradicted)
    }

    fn similarity(&mut self, first: u32, second: u32) -> Result<Option<Similarity>, E> {
        let (first, second) = (self.shingles(first)?, self.shingles(second)?);
        Ok(first.similarity(&second, self.near))
    }

    fn shingles(&mut self, record: u32) -> Result<Rc<Shingles>, E> {
        if let Some(shingles) = self.kept.get(&record) {
            return Ok(Rc::clone(shingles));
        }
        let shingles = Rc::new(Shingles::of(&(self.text_of)(record as usize)?));
        self.num_shingles += shingles.size();
        self.kept.insert(record, Rc::clone(&shingles));
        self.oldest_first.push_back(record);
        while self.num_shingles > MAX_KEPT_SHINGLES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            let forgotten = self.kept.remove(&oldest).expect("what is queued is kept");
            self.num_shingles -= forgotten.size();
        }
        Ok(shingles)
    }
}
