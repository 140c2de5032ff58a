//! What was computed for the beginnings of conversations and for pictures, kept across calls within a number of bytes.
//!
//! Beginnings are a tree of runs: equal beginnings are kept once, and a run is divided where two conversations part. What
//! was not used for longest is dropped first, and a run only after all that follow it. The cache computes nothing
//! and decides nothing about which beginnings are worth keeping; that is
//! [`RewardModel::score_cached`](crate::RewardModel::score_cached).

use engine::{Matrix, Var};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::carried::{Piece, Run};
use crate::identity::Key;

/// The empty run before every conversation.
const ROOT: u64 = 0;

/// Keys and values of beginnings, and embeddings of pictures, for one model at a time.
#[derive(Debug)]
pub struct PrefixCache {
    max_bytes: usize,
    /// The weights under which everything here was computed.
    model: Option<u64>,
    /// Number of the call.
    now: u64,
    next_id: u64,
    nodes: BTreeMap<u64, Node>,
    embeddings: BTreeMap<[u8; 32], Embedding>,
    /// The runs that none follows, and the embeddings, by the call that used them last.
    droppable: BTreeSet<(u64, Entry)>,
    /// Bytes of what the present call has used, which it does not drop.
    pinned_bytes: usize,
    counts: CacheCounts,
}

/// What a cache holds, and what it has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Bytes held: keys, values, embeddings and what they are found by.
    pub bytes: usize,
    /// Tokens whose keys and values were found.
    pub hit_tokens: u64,
    /// Tokens of prompts whose keys and values had to be computed.
    pub missed_tokens: u64,
    /// Pictures and videos whose embeddings were needed and found.
    pub hit_visuals: u64,
    /// Pictures and videos whose embeddings had to be computed.
    pub missed_visuals: u64,
    /// Runs and embeddings dropped to make room.
    pub evictions: u64,
}

#[derive(Debug)]
struct Node {
    parent: u64,
    run: Arc<Run>,
    /// By the first key of each.
    children: BTreeMap<Key, u64>,
    /// The call that used it last; never earlier than that of a child.
    used: u64,
}

#[derive(Debug)]
struct Embedding {
    value: Var,
    used: u64,
}

/// What can be dropped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Run(u64),
    Embedding([u8; 32]),
}

impl PrefixCache {
    /// An empty cache that never holds more than `max_bytes`, not counting what the allocator adds.
    pub fn new(max_bytes: usize) -> Self {
        let mut cache = Self {
            max_bytes,
            model: None,
            now: 0,
            next_id: ROOT,
            nodes: BTreeMap::new(),
            embeddings: BTreeMap::new(),
            droppable: BTreeSet::new(),
            pinned_bytes: 0,
            counts: CacheCounts::default(),
        };
        cache.clear();
        cache
    }

    /// Most bytes that are held.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// What is held, and what was found and dropped so far.
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// Forgets everything but the counts of what was found and dropped.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.embeddings.clear();
        self.droppable.clear();
        (self.counts.bytes, self.pinned_bytes) = (0, 0);
        let run = Arc::new(Run { keys: Vec::new(), layers: Vec::new() });
        let root = Node { parent: ROOT, run, children: BTreeMap::new(), used: 0 };
        self.nodes.insert(ROOT, root);
    }

    /// Begins a call of a model. What other weights have computed is worth nothing to it and is forgotten.
    pub(crate) fn begin(&mut self, model: u64) {
        if self.model.replace(model) != Some(model) {
            self.clear();
        }
        self.now += 1;
        self.pinned_bytes = 0;
    }

    /// The longest beginning of `keys` that is held, piece by piece.
    pub(crate) fn find(&mut self, keys: &[Key]) -> Vec<Piece> {
        let mut token = 0;
        let path = self.walk(keys);
        path.into_iter()
            .map(|(id, same)| {
                self.touch(id);
                token += same;
                let run = Arc::clone(&self.nodes[&id].run);
                Piece { run, rows: 0..same, token: token - same }
            })
            .collect()
    }

    /// Keeps keys and values of the last tokens of a beginning, `[layers]` of `[tokens, columns]`, if what comes before them is held
    /// and there is room beside what the present call has used.
    pub(crate) fn keep(&mut self, keys: &[Key], mut layers: Vec<Matrix>) {
        let count = layers.first().map_or(0, Matrix::rows);
        let path = self.walk(keys);
        let present: usize = path.iter().map(|(_, same)| same).sum();
        let missing = keys.len() - present;
        if missing == 0 || missing > count {
            return;
        }
        if missing < count {
            layers =
                layers.iter().map(|layer| layer.copy_of_rows(count - missing..count)).collect();
        }
        for (id, _) in &path {
            self.touch(*id);
        }
        let (last, same) = path.last().copied().unwrap_or((ROOT, 0));
        let parts = same < self.nodes[&last].run.keys.len();
        let run = Run { keys: keys[present..].to_vec(), layers };
        let division = if parts { fixed_bytes(run.layers.len()) } else { 0 };
        if self.make_room(run_bytes(&run) + division) {
            let parent = if parts { self.divide(last, same) } else { last };
            self.insert(parent, run);
        }
    }

    /// The embeddings of a visual, computed if they are not held, and then kept if there is room.
    pub(crate) fn embedding(&mut self, hash: [u8; 32], compute: impl FnOnce() -> Var) -> Var {
        if let Some(embedding) = self.embeddings.get_mut(&hash) {
            self.counts.hit_visuals += 1;
            if embedding.used < self.now {
                self.droppable.remove(&(embedding.used, Entry::Embedding(hash)));
                self.droppable.insert((self.now, Entry::Embedding(hash)));
                embedding.used = self.now;
                self.pinned_bytes += embedding_bytes(&embedding.value);
            }
            return embedding.value.clone();
        }
        self.counts.missed_visuals += 1;
        let value = compute();
        let size_bytes = embedding_bytes(&value);
        if self.make_room(size_bytes) {
            // A buffer of the pass may be larger than what it holds.
            let rows = value.value().rows();
            let value = Var::constant(value.value().copy_of_rows(0..rows));
            self.embeddings.insert(hash, Embedding { value, used: self.now });
            self.add(Entry::Embedding(hash), size_bytes);
        }
        value
    }

    /// Counts tokens of a call that were taken from here, and tokens of prompts that were not.
    pub(crate) fn count(&mut self, hit_tokens: usize, missed_tokens: usize) {
        self.counts.hit_tokens += hit_tokens as u64;
        self.counts.missed_tokens += missed_tokens as u64;
    }

    /// The runs along `keys`, with how many keys of each are the same; all of them but in the last.
    fn walk(&self, keys: &[Key]) -> Vec<(u64, usize)> {
        let mut path = Vec::new();
        let (mut node, mut rest) = (&self.nodes[&ROOT], keys);
        while let Some(&child) = rest.first().and_then(|key| node.children.get(key)) {
            node = &self.nodes[&child];
            let keys = &node.run.keys;
            let same = keys.iter().zip(rest).take_while(|(a, b)| a == b).count();
            path.push((child, same));
            rest = &rest[same..];
            if same < keys.len() {
                break;
            }
        }
        path
    }

    /// Notes that the present call uses a run, and with it those before it.
    fn touch(&mut self, id: u64) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a run on a path is held");
        if node.used < now {
            if self.droppable.remove(&(node.used, Entry::Run(id))) {
                self.droppable.insert((now, Entry::Run(id)));
            }
            node.used = now;
            self.pinned_bytes += run_bytes(&node.run);
        }
    }

    /// Drops what was not used for longest until there is room; drops nothing where that would not do.
    fn make_room(&mut self, size_bytes: usize) -> bool {
        if self.pinned_bytes + size_bytes > self.max_bytes {
            return false;
        }
        while self.counts.bytes + size_bytes > self.max_bytes {
            let (_, oldest) =
                self.droppable.pop_first().expect("what is not pinned can be dropped");
            self.counts.bytes -= self.remove(oldest);
            self.counts.evictions += 1;
        }
        true
    }

    /// Takes out an entry that is not among the droppable ones any more, and says its size.
    fn remove(&mut self, entry: Entry) -> usize {
        match entry {
            Entry::Embedding(hash) => {
                let removed = self.embeddings.remove(&hash).expect("an entry is held");
                embedding_bytes(&removed.value)
            }
            Entry::Run(id) => {
                let removed = self.nodes.remove(&id).expect("an entry is held");
                let parent = self.nodes.get_mut(&removed.parent).expect("a parent outlives it");
                parent.children.remove(&removed.run.keys[0]);
                if parent.children.is_empty() && removed.parent != ROOT {
                    self.droppable.insert((parent.used, Entry::Run(removed.parent)));
                }
                run_bytes(&removed.run)
            }
        }
    }

    /// Divides a run that the present call uses after `count` of its keys; the id of the new first part is returned.
    fn divide(&mut self, id: u64, count: usize) -> u64 {
        let upper = self.new_id();
        let node = self.nodes.get_mut(&id).expect("a run on a path is held");
        let before = run_bytes(&node.run);
        let (first, second) = (node.run.part(0, count), node.run.part(count, node.run.keys.len()));
        let (first_key, second_key) = (first.keys[0], second.keys[0]);
        let parent = std::mem::replace(&mut node.parent, upper);
        node.run = Arc::new(second);
        let after = run_bytes(&node.run);
        let children = BTreeMap::from([(second_key, id)]);
        let first = Node { parent, run: Arc::new(first), children, used: node.used };
        let grown = after + run_bytes(&first.run) - before;
        self.nodes.insert(upper, first);
        let parent = self.nodes.get_mut(&parent).expect("a parent outlives its children");
        parent.children.insert(first_key, upper);
        self.counts.bytes += grown;
        self.pinned_bytes += grown;
        upper
    }

    fn insert(&mut self, parent: u64, run: Run) {
        let id = self.new_id();
        let above = self.nodes.get_mut(&parent).expect("a run on a path is held");
        above.children.insert(run.keys[0], id);
        self.droppable.remove(&(above.used, Entry::Run(parent)));
        let children = BTreeMap::new();
        let node = Node { parent, run: Arc::new(run), children, used: self.now };
        let size_bytes = run_bytes(&node.run);
        self.nodes.insert(id, node);
        self.add(Entry::Run(id), size_bytes);
    }

    fn add(&mut self, entry: Entry, size_bytes: usize) {
        self.droppable.insert((self.now, entry));
        self.counts.bytes += size_bytes;
        self.pinned_bytes += size_bytes;
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

impl Run {
    /// A copy of some of its tokens.
    fn part(&self, start: usize, end: usize) -> Self {
        let layers = self.layers.iter().map(|layer| layer.copy_of_rows(start..end)).collect();
        Self { keys: self.keys[start..end].to_vec(), layers }
    }
}

/// What a run takes, however few tokens it has.
fn fixed_bytes(num_layers: usize) -> usize {
    size_of::<Node>() + size_of::<Run>() + num_layers * size_of::<Matrix>()
}

fn run_bytes(run: &Run) -> usize {
    let layers: usize = run.layers.iter().map(Matrix::size_bytes).sum();
    fixed_bytes(run.layers.len()) + size_of_val(run.keys.as_slice()) + layers
}

fn embedding_bytes(value: &Var) -> usize {
    size_of::<Embedding>() + size_of::<Matrix>() + value.value().size_bytes()
}
