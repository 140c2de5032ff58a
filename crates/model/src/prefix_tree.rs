//! Many conversations packed so that equal beginnings stand once.
//!
//! The tree is built from the token ids of the fully rendered conversations and the identity of their pictures,
//! never from text. Each node is a run of tokens that the same conversations share; a row attends to its
//! ancestors' rows and to its own node's earlier rows, exactly as in the conversation alone. Of beginnings that are known from
//! earlier calls only keys and values are needed: their rows are attended to and not computed.

mod runs;

use engine::{AttentionLayout, Segment, Visible};
use prompt::{Encoded, Visual};
use std::ops::Range;
use std::sync::Arc;

use self::runs::Runs;
use crate::identity::{Key, keys};

/// A run of tokens shared by the conversations below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    parent: Option<usize>,
    /// Rows of the keys and values; those of known nodes stand behind all that are computed.
    pub(crate) rows: Range<usize>,
    /// Tokens of the path before this node.
    depth: usize,
    /// The conversations that share the node, in the caller's numbering.
    pub(crate) members: Vec<usize>,
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
    /// `[rows]`, computed rows only, as all that follows.
    pub(crate) token_ids: Vec<u32>,
    /// `[rows]`, (time, height, width).
    pub(crate) position_ids: Vec<[u32; 3]>,
    /// Distinct visuals.
    pub(crate) visuals: Vec<Arc<Visual>>,
    pub(crate) visual_rows: Vec<VisualRows>,
}

impl Node {
    /// Its place in the conversations that share it.
    pub(crate) fn tokens(&self) -> Range<usize> {
        self.depth..self.depth + self.rows.len()
    }
}

impl PrefixTree {
    /// Packs conversations; `is_visual(id)` tells the placeholder tokens of images and videos.
    ///
    /// # Panics
    /// If a conversation has another number of placeholder tokens than its visuals have tokens, which
    /// `prompt` never makes.
    pub fn new(conversations: &[&Encoded], is_visual: impl Fn(u32) -> bool) -> Self {
        let keys: Vec<Vec<Key>> = conversations.iter().map(|one| keys(one, &is_visual)).collect();
        Self::beyond(conversations, &keys, &vec![0; keys.len()])
    }

    /// Packs what follows the first `known[i]` tokens of conversation `i`, whose keys and values come from elsewhere. A
    /// token is computed all the same where another conversation that has it does not know it.
    pub(crate) fn beyond(conversations: &[&Encoded], keys: &[Vec<Key>], known: &[usize]) -> Self {
        let runs = Runs::collect(keys, known);
        let mut tree = Self {
            nodes: Vec::with_capacity(runs.len()),
            leaves: vec![0; conversations.len()],
            token_ids: Vec::new(),
            position_ids: Vec::new(),
            visuals: Vec::new(),
            visual_rows: Vec::new(),
        };
        let computed = runs.iter().filter(|run| !run.known).map(|run| run.tokens.len());
        let mut num_keys: usize = computed.sum();
        for run in runs {
            let first = run.members[0];
            let rows = if run.known {
                num_keys += run.tokens.len();
                num_keys - run.tokens.len()..num_keys
            } else {
                tree.add_rows(conversations[first], &keys[first], &run.tokens)
            };
            for leaf in run.leaves {
                tree.leaves[leaf] = tree.nodes.len();
            }
            let (parent, depth, members) = (run.parent, run.tokens.start, run.members);
            tree.nodes.push(Node { parent, rows, depth, members });
        }
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
        let node = self.path_up(self.leaves[conversation]).find(|node| node.depth <= token);
        let node = node.expect("the root has depth 0");
        node.rows.start + token - node.depth
    }

    /// The nodes whose rows are computed, parents before children.
    pub(crate) fn computed(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| self.is_computed(node))
    }

    /// The nodes whose rows are only attended to, in the order of these rows.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !self.is_computed(node))
    }

    /// How many tokens of a conversation are known, and how many others are computed for several conversations.
    pub(crate) fn known_and_shared(&self, conversation: usize) -> (usize, usize) {
        self.path_up(self.leaves[conversation]).fold((0, 0), |(known, shared), node| {
            match self.is_computed(node) {
                false => (known + node.rows.len(), shared),
                true if node.members.len() > 1 => (known, shared + node.rows.len()),
                true => (known, shared),
            }
        })
    }

    /// Attention of every row over its path.
    pub(crate) fn layout(&self) -> AttentionLayout {
        let segments: Vec<Segment> = (0..self.nodes.len())
            .filter(|&node_idx| self.is_computed(&self.nodes[node_idx]))
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
                let node_idx = self.nodes.iter().position(|node| node.rows.contains(&row));
                let node_idx = node_idx.expect("every row belongs to a node");
                let node = &self.nodes[node_idx];
                let mut keys = self.path(node_idx);
                *keys.last_mut().expect("a path ends in its node") = node.rows.start..row + 1;
                let before = node.depth + row - node.rows.start;
                Segment { queries: query..query + 1, keys, visible: Visible::Causal { before } }
            })
            .collect();
        AttentionLayout::new(&segments)
    }

    fn is_computed(&self, node: &Node) -> bool {
        node.rows.start < self.num_rows()
    }

    /// Rows of the path from the root to a node, that node's own last.
    fn path(&self, node_idx: usize) -> Vec<Range<usize>> {
        let mut path: Vec<_> = self.path_up(node_idx).map(|node| node.rows.clone()).collect();
        path.reverse();
        path
    }

    /// A node and its ancestors, the root last.
    fn path_up(&self, node_idx: usize) -> impl Iterator<Item = &Node> {
        let parent = |node: &&Node| node.parent.map(|parent| &self.nodes[parent]);
        std::iter::successors(Some(&self.nodes[node_idx]), parent)
    }

    /// Packs tokens of a conversation as new rows.
    fn add_rows(
        &mut self,
        conversation: &Encoded,
        keys: &[Key],
        tokens: &Range<usize>,
    ) -> Range<usize> {
        let rows = self.token_ids.len()..self.token_ids.len() + tokens.len();
        self.token_ids.extend(&conversation.token_ids[tokens.clone()]);
        self.position_ids.extend(&conversation.position_ids[tokens.clone()]);
        for (key, row) in keys[tokens.clone()].iter().zip(rows.clone()) {
            if let Key::Visual { hash, token, .. } = key {
                self.add_visual_row(conversation, hash, *token as usize, row);
            }
        }
        rows
    }

    fn add_visual_row(
        &mut self,
        conversation: &Encoded,
        hash: &[u8; 32],
        token: usize,
        row: usize,
    ) {
        if let Some(last) = self.visual_rows.last_mut()
            && self.visuals[last.visual].hash == *hash
            && (last.token + last.count, last.row + last.count) == (token, row)
        {
            last.count += 1;
            return;
        }
        let same = |visual: &&Arc<Visual>| visual.hash == *hash;
        let visual = self.visuals.iter().position(|visual| same(&visual)).unwrap_or_else(|| {
            let own = conversation.visuals.iter().find(same);
            self.visuals.push(Arc::clone(own.expect("the keys are those of the conversation")));
            self.visuals.len() - 1
        });
        self.visual_rows.push(VisualRows { visual, token, row, count: 1 });
    }
}
