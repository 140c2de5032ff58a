//! Buckets of records with a band key and pictures in common, and the records in them that others are compared with.
//!
//! Only records that share a bucket are held. No text is read here.

use super::Candidate;
use crate::fingerprint::BANDS;
use crate::shingles::mixed;
use crate::union::Union;

/// Leaders of a bucket that others are compared with. Of a larger bucket, records that have the next band key in common, too, are in a bucket
/// of their own besides: real duplicates have about half of their keys in common, records with the same boilerplate few.
const MAX_LEADERS: u16 = 256;

/// Leaders that a record is compared with, those first with which it shares the most and the smallest buckets.
const MAX_COMPARED: usize = 32;

const NOBODY: u32 = u32::MAX;

/// Buckets over records, which are known by their place in the order of keeping.
pub(super) struct Buckets {
    /// `(record, bucket)`, sorted.
    slots: Vec<(u32, u32)>,
    /// For each record the first of its slots, and the end.
    starts: Vec<u32>,
    /// For each slot of a leader the slot of the leader before it in its bucket.
    before: Vec<u32>,
    /// For each bucket the slot of its last leader.
    last: Vec<u32>,
    /// Leaders of each bucket.
    num_leaders: Vec<u16>,
    /// Records that share a bucket with others, those that are connected by buckets side by side.
    pub(super) order: Vec<u32>,
}

impl Buckets {
    /// Buckets of the records in `order`.
    pub(super) fn new(candidates: &[Candidate], order: &[u32]) -> Self {
        let (mut slots, mut num_buckets) = (Vec::new(), 0);
        let mut union = Union::new(order.len());
        let mut keys: Vec<(u64, u32, u32)> = Vec::with_capacity(order.len());
        for band in 0..BANDS {
            keys.clear();
            keys.extend((0..).zip(order).filter_map(|(place, record)| {
                let candidate = &candidates[*record as usize];
                let bands = candidate.fingerprint.bands.as_ref()?;
                let key = mixed(hash_of_pictures(candidate), u64::from(bands[band]));
                Some((key, bands[(band + 1) % BANDS], place))
            }));
            keys.sort_unstable();
            let mut add = |members: &[(u64, u32, u32)]| {
                if members.len() > 1 {
                    slots.extend(members.iter().map(|(.., place)| (*place, num_buckets)));
                    num_buckets += 1;
                }
            };
            for members in keys.chunk_by(|a, b| a.0 == b.0) {
                for (.., place) in members {
                    union.connect(members[0].2, *place);
                }
                add(members);
                if members.len() > usize::from(MAX_LEADERS) {
                    members.chunk_by(|a, b| a.1 == b.1).for_each(&mut add);
                }
            }
        }
        slots.sort_unstable();
        let mut starts = vec![0; order.len() + 1];
        for (place, _) in &slots {
            starts[*place as usize + 1] += 1;
        }
        for place in 0..order.len() {
            starts[place + 1] += starts[place];
        }
        let mut connected: Vec<u32> = slots.iter().map(|(place, _)| *place).collect();
        connected.dedup();
        connected.sort_by_key(|place| union.find(*place));
        Self {
            before: vec![NOBODY; slots.len()],
            last: vec![NOBODY; num_buckets as usize],
            num_leaders: vec![0; num_buckets as usize],
            slots,
            starts,
            order: connected,
        }
    }

    /// The leaders that a record is to be compared with.
    pub(super) fn leaders(&self, record: u32) -> Vec<u32> {
        let mut found: Vec<(u32, u32)> = Vec::new();
        for slot in self.slots_of(record) {
            let bucket = self.slots[slot].1 as usize;
            // What few have in common says more.
            let weight = u32::from(MAX_LEADERS / self.num_leaders[bucket].max(1));
            let mut leader = self.last[bucket];
            while leader != NOBODY {
                found.push((self.slots[leader as usize].0, weight));
                leader = self.before[leader as usize];
            }
        }
        found.sort_unstable();
        let mut ranked: Vec<(u32, u32)> = found
            .chunk_by(|a, b| a.0 == b.0)
            .map(|same| (same.iter().map(|(_, weight)| weight).sum(), same[0].0))
            .collect();
        ranked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        ranked.into_iter().take(MAX_COMPARED).map(|(_, leader)| leader).collect()
    }

    /// Makes a record a leader of its buckets.
    pub(super) fn lead(&mut self, record: u32) {
        for slot in self.slots_of(record) {
            let bucket = self.slots[slot].1 as usize;
            if self.num_leaders[bucket] < MAX_LEADERS {
                self.num_leaders[bucket] += 1;
                self.before[slot] = self.last[bucket];
                self.last[bucket] = slot as u32;
            }
        }
    }

    fn slots_of(&self, record: u32) -> std::ops::Range<usize> {
        self.starts[record as usize] as usize..self.starts[record as usize + 1] as usize
    }
}

fn hash_of_pictures(candidate: &Candidate) -> u64 {
    let count = candidate.image_groups.len() as u64;
    candidate.image_groups.iter().fold(count, |hash, group| mixed(hash, u64::from(*group)))
}
