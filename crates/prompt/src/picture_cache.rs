//! Decoded pictures, kept across calls within a number of bytes: what many requests show is decoded once.
//!
//! A picture is found by the content of its file and by all that decides over its patches, never by its name or size. What was not used
//! for longest is dropped first. Refusals are not kept, and nothing is read or decoded here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::picture::Visual;

/// Hash of the content of a picture or video and of the rules by which it is cut into patches.
pub type PictureKey = [u8; 32];

/// Patches of pictures and videos, for any number of threads.
#[derive(Debug)]
pub struct PictureCache {
    max_bytes: usize,
    held: Mutex<Held>,
}

/// What a cache holds, and what it has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureCounts {
    /// Bytes held: pixels, and what they are found by.
    pub bytes: usize,
    /// Pictures and videos that were needed and found.
    pub hits: u64,
    /// Pictures and videos that had to be decoded.
    pub misses: u64,
    /// Pictures and videos dropped to make room.
    pub evictions: u64,
}

#[derive(Debug, Default)]
struct Held {
    visuals: BTreeMap<PictureKey, Kept>,
    /// Keys by their last use.
    order: BTreeMap<u64, PictureKey>,
    /// Number of the latest use.
    now: u64,
    counts: PictureCounts,
}

#[derive(Debug)]
struct Kept {
    visual: Arc<Visual>,
    used: u64,
}

impl PictureCache {
    /// An empty cache that never holds more than `max_bytes`, not counting what the allocator adds; with 0 it keeps nothing.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, held: Mutex::default() }
    }

    /// What is held, and what was found and dropped so far.
    pub fn counts(&self) -> PictureCounts {
        self.lock().counts
    }

    /// Whether patches are held, which is not counted.
    pub(crate) fn holds(&self, key: &PictureKey) -> bool {
        self.lock().visuals.contains_key(key)
    }

    /// Patches that are held, which counts as their use.
    pub(crate) fn find(&self, key: &PictureKey) -> Option<Arc<Visual>> {
        let mut held = self.lock();
        let Held { visuals, order, now, counts } = &mut *held;
        let Some(kept) = visuals.get_mut(key) else {
            counts.misses += 1;
            return None;
        };
        counts.hits += 1;
        *now += 1;
        order.remove(&kept.used);
        order.insert(*now, *key);
        kept.used = *now;
        Some(Arc::clone(&kept.visual))
    }

    /// Keeps patches, if they are not larger than all that may be held.
    pub(crate) fn keep(&self, key: PictureKey, visual: &Arc<Visual>) {
        let size_bytes = size_bytes(visual);
        let mut held = self.lock();
        if size_bytes > self.max_bytes || held.visuals.contains_key(&key) {
            return;
        }
        while held.counts.bytes + size_bytes > self.max_bytes {
            held.drop_oldest();
        }
        held.now += 1;
        let used = held.now;
        held.order.insert(used, key);
        held.visuals.insert(key, Kept { visual: Arc::clone(visual), used });
        held.counts.bytes += size_bytes;
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing that is done under the lock can fail half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn drop_oldest(&mut self) {
        let (_, key) = self.order.pop_first().expect("bytes are held by something");
        let dropped = self.visuals.remove(&key).expect("a key in the order is held");
        self.counts.bytes -= size_bytes(&dropped.visual);
        self.counts.evictions += 1;
    }
}

fn size_bytes(visual: &Visual) -> usize {
    size_of::<Visual>() + size_of::<Kept>() + 2 * size_of::<PictureKey>() + visual.pixels.len()
}
