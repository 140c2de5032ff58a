//! Many conversations packed so that equal beginnings stand once.
//!
//! The tree is built from the token ids of the fully rendered conversations and the identity of their pictures,
//! never from text. Each node is a run of tokens that the same conversations share; a row attends to its
//! ancestors' rows and to its own node's earlier rows, exactly as in the conversation alone.

use engine::{AttentionLayout, Segment, Visible};
use prompt::{Encoded, Visual};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A run of tokens shared by the conversations below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    parent: Option<usize>,
    /// Rows of the packed matrices.
    rows: Range<usize>,
    /// Tokens of the path before this node.
    depth: usize,
}

/// Consecutive rows that take consecutive tokens of one visual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VisualRows {
    /// Index into [`PrefixTree::visuals`].
    pub(crate) visual: usize,
    /// First token of the visual.
    pub(crate) token: usize,
    /// First row.
    pub(crate) row: usize,
    pub(crate) count: usize,
}

/// Packed rows of a set of conversations.
#[derive(Debug)]
pub struct PrefixTree {
    nodes: Vec<Node>,
    /// Node in which each conversation ends, in the caller's order.
    leaves: Vec<usize>,
    /// `[rows]`.
    pub(crate) token_ids: Vec<u32>,
    /// `[rows]`, (time, height, width).
    pub(crate) position_ids: Vec<[u32; 3]>,
    /// Distinct visuals.
    pub(crate) visuals: Vec<Arc<Visual>>,
    pub(crate) visual_rows: Vec<VisualRows>,
}

/// What makes two tokens the same: the id, or the visual and the place in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Token(u32),
    Visual { visual: usize, token: usize },
}

impl PrefixTree {
    /// Packs conversations; `is_visual(id)` tells the placeholder tokens of images and videos.
    ///
    /// # Panics
    /// If a conversation has another number of placeholder tokens than its visuals have tokens, which
    /// `prompt` never makes.
    pub fn new(conversations: &[&Encoded], is_visual: impl Fn(u32) -> bool) -> Self {
        let (visuals, keys) = identify(conversations, is_visual);
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&a, &b| keys[a].cmp(&keys[b]));
        let mut tree = Self {
            nodes: Vec::new(),
            leaves: vec![0; conversations.len()],
            token_ids: Vec::new(),
            position_ids: Vec::new(),
            visuals,
            visual_rows: Vec::new(),
        };
        tree.grow(conversations, &keys, &order);
        tree
    }

    /// Number of packed rows.
    pub fn num_rows(&self) -> usize {
        self.token_ids.len()
    }

    /// Number of patches that the vision tower sees, each distinct picture once.
    pub fn num_patches(&self) -> usize {
        self.visuals.iter().map(|visual| visual.num_patches()).sum()
    }

    /// The packed row of token `token` of conversation `conversation`.
    pub fn row_of(&self, conversation: usize, token: usize) -> usize {
        let mut node = &self.nodes[self.leaves[conversation]];
        while token < node.depth {
            node = &self.nodes[node.parent.expect("the root has depth 0")];
        }
        node.rows.start + token - node.depth
    }

    /// Attention of every row over its path.
    pub(crate) fn layout(&self) -> AttentionLayout {
        let segments: Vec<Segment> = (0..self.nodes.len())
            .map(|node_idx| Segment {
                queries: self.nodes[node_idx].rows.clone(),
                keys: self.path(node_idx),
                visible: Visible::Causal { before: self.nodes[node_idx].depth },
            })
            .collect();
        AttentionLayout::new(&segments)
    }

    /// Attention of some packed rows alone, which stand as rows 0, 1, … of the query matrix.
    pub(crate) fn layout_of_rows(&self, rows: &[usize]) -> AttentionLayout {
        let segments: Vec<Segment> = rows
            .iter()
            .enumerate()
            .map(|(query, &row)| {
                let node_idx = self.nodes.partition_point(|node| node.rows.end <= row);
                let node = &self.nodes[node_idx];
                let mut keys = self.path(node_idx);
                *keys.last_mut().expect("a path ends in its node") = node.rows.start..row + 1;
                let before = node.depth + row - node.rows.start;
                Segment { queries: query..query + 1, keys, visible: Visible::Causal { before } }
            })
            .collect();
        AttentionLayout::new(&segments)
    }

    /// Rows of the path from the root to a node, that node's own last.
    fn path(&self, node_idx: usize) -> Vec<Range<usize>> {
        let mut path = vec![self.nodes[node_idx].rows.clone()];
        let mut parent = self.nodes[node_idx].parent;
        while let Some(node_idx) = parent {
            path.push(self.nodes[node_idx].rows.clone());
            parent = self.nodes[node_idx].parent;
        }
        path.reverse();
        path
    }

    /// Adds the conversations in sorted order, each as one branch off the path of the one before; a branch that
    /// leaves in the middle of a node splits it.
    fn grow(&mut self, conversations: &[&Encoded], keys: &[Vec<Key>], order: &[usize]) {
        for run in Runs::new(keys, order).collect() {
            let rows = self.token_ids.len()..self.token_ids.len() + run.tokens.len();
            let conversation = conversations[run.conversation];
            self.token_ids.extend(&conversation.token_ids[run.tokens.clone()]);
            self.position_ids.extend(&conversation.position_ids[run.tokens.clone()]);
            self.add_visual_rows(&keys[run.conversation][run.tokens.clone()], rows.start);
            self.nodes.push(Node { parent: run.parent, rows, depth: run.tokens.start });
            for leaf in run.leaves {
                self.leaves[leaf] = self.nodes.len() - 1;
            }
        }
    }

    fn add_visual_rows(&mut self, keys: &[Key], first_row: usize) {
        for (i, key) in keys.iter().enumerate() {
            let Key::Visual { visual, token } = *key else { continue };
            let row = first_row + i;
            match self.visual_rows.last_mut() {
                Some(last)
                    if last.visual == visual
                        && last.token + last.count == token
                        && last.row + last.count == row =>
                {
                    last.count += 1;
                }
                _ => self.visual_rows.push(VisualRows { visual, token, row, count: 1 }),
            }
        }
    }
}

/// The distinct visuals of a call, and the keys of every conversation's tokens.
fn identify(
    conversations: &[&Encoded],
    is_visual: impl Fn(u32) -> bool,
) -> (Vec<Arc<Visual>>, Vec<Vec<Key>>) {
    let mut visuals: Vec<Arc<Visual>> = Vec::new();
    let mut known: HashMap<[u8; 32], usize> = HashMap::new();
    let mut keys = Vec::with_capacity(conversations.len());
    for conversation in conversations {
        let mut tokens = conversation.visuals.iter().flat_map(|visual| {
            let index = *known.entry(visual.hash).or_insert_with(|| {
                visuals.push(Arc::clone(visual));
                visuals.len() - 1
            });
            (0..visual.num_tokens()).map(move |token| Key::Visual { visual: index, token })
        });
        let of_conversation: Vec<Key> = conversation
            .token_ids
            .iter()
            .map(|&id| {
                if is_visual(id) {
                    tokens.next().expect("a visual for every placeholder token")
                } else {
                    Key::Token(id)
                }
            })
            .collect();
        assert!(tokens.next().is_none(), "a placeholder token for every visual token");
        drop(tokens);
        keys.push(of_conversation);
    }
    (visuals, keys)
}

/// A node to be: tokens of one conversation that stand for all that share them.
struct Run {
    conversation: usize,
    tokens: Range<usize>,
    parent: Option<usize>,
    leaves: Vec<usize>,
}

/// Splits sorted conversations into runs, parents before children.
struct Runs<'a> {
    keys: &'a [Vec<Key>],
    order: &'a [usize],
    found: Vec<Run>,
}

impl<'a> Runs<'a> {
    fn new(keys: &'a [Vec<Key>], order: &'a [usize]) -> Self {
        Self { keys, order, found: Vec::new() }
    }

    fn collect(mut self) -> Vec<Run> {
        self.divide(0..self.order.len(), 0, None);
        self.found
    }

    /// Makes the nodes of the sorted conversations `members`, which agree on their first `depth` tokens.
    fn divide(&mut self, members: Range<usize>, depth: usize, parent: Option<usize>) {
        let mut start = members.start;
        while start < members.end {
            let first = &self.keys[self.order[start]];
            let Some(key) = first.get(depth) else {
                // Ends exactly where its parent does: sorted before everything longer.
                self.end_in_parent(start, parent);
                start += 1;
                continue;
            };
            let same = |i: &usize| self.keys[self.order[*i]].get(depth) == Some(key);
            let end = (start..members.end).take_while(same).last().expect("itself") + 1;
            // Sorted: what the first and the last share, all between share.
            let last = &self.keys[self.order[end - 1]];
            let shared =
                first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
            self.found.push(Run {
                conversation: self.order[start],
                tokens: depth..depth + shared,
                parent,
                leaves: Vec::new(),
            });
            let node = self.found.len() - 1;
            self.divide(start..end, depth + shared, Some(node));
            start = end;
        }
    }

    fn end_in_parent(&mut self, member: usize, parent: Option<usize>) {
        let parent = parent.expect("a conversation has at least one token");
        self.found[parent].leaves.push(self.order[member]);
    }
}
