//! Which rows attend to which, planned once for all layers: segments and the key blocks along their paths.

use super::Heads;
use super::gradient::plan::Plan;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

/// Keys that are scored at a time: a multiple of every kernel's panel width and step.
pub(super) const KEY_BLOCK: usize = 384;

/// Which of its segment's keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// Every key.
    All,
    /// The query at place `j` of its segment sees the first `before + j + 1` keys.
    Causal {
        /// Keys that come before the segment's first query.
        before: usize,
    },
}

/// Queries that stand side by side and the keys of their path, in path order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Rows of the query matrix.
    pub queries: Range<usize>,
    /// Rows of the key/value matrix: ancestors first, then the segment's own.
    pub keys: Vec<Range<usize>>,
    /// What each query sees.
    pub visible: Visible,
}

/// Which rows attend to which, prepared once and used by every layer.
#[derive(Clone, Debug)]
pub struct AttentionLayout {
    pub(super) segments: Vec<PlannedSegment>,
    /// Distinct key blocks as rows of the key/value matrix; segments that share a prefix share its whole blocks.
    pub(super) blocks: Vec<Vec<Range<usize>>>,
    pub(super) num_queries: usize,
    /// Made by the first layer that goes backward; a layout that only infers has none.
    gradient_plan: OnceLock<Plan>,
}

/// A segment with its path cut into blocks.
#[derive(Clone, Debug)]
pub(super) struct PlannedSegment {
    pub(super) queries: Range<usize>,
    num_keys: usize,
    /// Indices into `AttentionLayout::blocks`, along the path.
    blocks: Vec<usize>,
    visible: Visible,
}

/// The part of a block that some query sees.
pub(super) struct SeenBlock {
    /// Index into `AttentionLayout::blocks`.
    pub(super) index: usize,
    /// Place of its first key on the path.
    pub(super) first_key: usize,
    /// How many of its keys are seen by the query that sees most.
    pub(super) len: usize,
}

impl PlannedSegment {
    /// How many keys a query sees; grows with the query.
    #[inline(always)]
    pub(super) fn visible_keys(&self, query: usize) -> usize {
        match self.visible {
            Visible::All => self.num_keys,
            Visible::Causal { before } => before + query - self.queries.start + 1,
        }
    }

    /// The blocks that `query` sees, along the path.
    pub(super) fn blocks_seen(&self, query: usize) -> impl Iterator<Item = SeenBlock> {
        let visible = self.visible_keys(query);
        (0..visible).step_by(KEY_BLOCK).zip(&self.blocks).map(move |(first_key, &index)| {
            SeenBlock { index, first_key, len: KEY_BLOCK.min(visible - first_key) }
        })
    }
}

impl AttentionLayout {
    /// Plans the blocks of all segments.
    ///
    /// # Panics
    /// If a causal segment's queries see more keys than it has.
    pub fn new(segments: &[Segment]) -> Self {
        let mut blocks: Vec<Vec<Range<usize>>> = Vec::new();
        let mut known: HashMap<Vec<Range<usize>>, usize> = HashMap::new();
        let mut planned = Vec::with_capacity(segments.len());
        for segment in segments {
            let num_keys = segment.keys.iter().map(Range::len).sum();
            if let Visible::Causal { before } = segment.visible {
                assert!(before + segment.queries.len() <= num_keys, "queries see missing keys");
            }
            let indices = cut_blocks(&segment.keys)
                .into_iter()
                .map(|block| {
                    *known.entry(block).or_insert_with_key(|block| {
                        blocks.push(block.clone());
                        blocks.len() - 1
                    })
                })
                .collect();
            planned.push(PlannedSegment {
                queries: segment.queries.clone(),
                num_keys,
                blocks: indices,
                visible: segment.visible,
            });
        }
        let num_queries = planned.iter().map(|segment| segment.queries.len()).sum();
        Self { segments: planned, blocks, num_queries, gradient_plan: OnceLock::new() }
    }

    /// How gradients go back through the layout.
    pub(super) fn gradient_plan(&self) -> &Plan {
        self.gradient_plan.get_or_init(|| Plan::new(self))
    }

    /// The rows of the keys of a segment, in path order.
    pub(super) fn path(&self, segment: &PlannedSegment) -> Vec<Range<usize>> {
        let mut path: Vec<Range<usize>> = Vec::new();
        for range in segment.blocks.iter().flat_map(|&block| &self.blocks[block]) {
            match path.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => path.push(range.clone()),
            }
        }
        path
    }

    /// Floating-point operations of one layer: two products over every visible pair.
    pub fn flops(&self, heads: &Heads) -> f64 {
        let pairs: usize = self
            .segments
            .iter()
            .flat_map(|segment| segment.queries.clone().map(|query| segment.visible_keys(query)))
            .sum();
        4.0 * pairs as f64 * (heads.num_heads * heads.head_dim) as f64
    }
}

/// Cuts a path into blocks of `KEY_BLOCK` keys; neighbors in memory are merged.
fn cut_blocks(keys: &[Range<usize>]) -> Vec<Vec<Range<usize>>> {
    let mut blocks: Vec<Vec<Range<usize>>> = Vec::new();
    let mut room = 0;
    for range in keys {
        let mut start = range.start;
        while start < range.end {
            if room == 0 {
                blocks.push(Vec::new());
                room = KEY_BLOCK;
            }
            let end = range.end.min(start + room);
            let block = blocks.last_mut().expect("a block was pushed when there was no room");
            match block.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => block.push(start..end),
            }
            room -= end - start;
            start = end;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_along_the_path_and_whole_prefix_blocks_are_shared() {
        let segment = |queries: Range<usize>, keys: Vec<Range<usize>>| {
            let before = keys.iter().map(Range::len).sum::<usize>() - queries.len();
            Segment { queries, keys, visible: Visible::Causal { before } }
        };
        let one = |range: Range<usize>| std::iter::once(range).collect::<Vec<_>>();
        let layout = AttentionLayout::new(&[
            segment(0..500, one(0..500)),
            segment(500..600, vec![0..500, 500..600]),
            segment(600..700, vec![0..500, 600..700]),
        ]);
        assert_eq!(layout.blocks[0], one(0..384));
        assert_eq!(layout.blocks[1], one(384..500));
        assert_eq!(layout.segments[1].blocks, [0, 2]);
        assert_eq!(layout.blocks[2], one(384..600));
        assert_eq!(layout.blocks[3], [384..500, 600..700]);
    }
}
