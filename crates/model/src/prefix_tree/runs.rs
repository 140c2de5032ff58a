//! How conversations divide into runs of tokens that the same conversations share. Rows are not known here.

use std::ops::Range;

use crate::identity::Key;

/// A node to be: tokens that all of its members share.
pub(super) struct Run {
    /// The conversations that have these tokens.
    pub(super) members: Vec<usize>,
    pub(super) tokens: Range<usize>,
    /// Whether all members know these tokens from elsewhere.
    pub(super) known: bool,
    /// Index of the run before this one.
    pub(super) parent: Option<usize>,
    /// The members that end here.
    pub(super) leaves: Vec<usize>,
}

/// Splits sorted conversations into runs, parents before children.
pub(super) struct Runs<'a> {
    keys: &'a [Vec<Key>],
    known: &'a [usize],
    order: Vec<usize>,
    found: Vec<Run>,
}

impl<'a> Runs<'a> {
    /// The runs of conversations of which the first `known[i]` tokens are known.
    pub(super) fn collect(keys: &'a [Vec<Key>], known: &'a [usize]) -> Vec<Run> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&a, &b| keys[a].cmp(&keys[b]));
        let mut runs = Self { keys, known, order, found: Vec::new() };
        runs.divide(0..keys.len(), 0, None);
        runs.found
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
            let members = self.order[start..end].to_vec();
            // Sorted: what the first and the last share, all between share.
            let last = &self.keys[self.order[end - 1]];
            let shared =
                first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
            let known = members.iter().map(|&member| self.known[member]).min().unwrap_or(0);
            // A run is known as a whole or not at all.
            let shared_end = depth + shared;
            let run_end = if known > depth { shared_end.min(known) } else { shared_end };
            self.found.push(Run {
                members,
                tokens: depth..run_end,
                known: known > depth,
                parent,
                leaves: Vec::new(),
            });
            let node = self.found.len() - 1;
            self.divide(start..end, run_end, Some(node));
            start = end;
        }
    }

    fn end_in_parent(&mut self, member: usize, parent: Option<usize>) {
        let parent = parent.expect("a conversation has at least one token");
        self.found[parent].leaves.push(self.order[member]);
    }
}
