//! Which members of a set are connected, directly or by others.

/// Members in groups; each group is known by its first member.
pub(crate) struct Union {
    parents: Vec<u32>,
}

impl Union {
    /// Members by themselves.
    pub(crate) fn new(count: usize) -> Self {
        Self { parents: (0..count as u32).collect() }
    }

    /// The first member of the group of `member`.
    pub(crate) fn find(&mut self, mut member: u32) -> u32 {
        while self.parents[member as usize] != member {
            let grandparent = self.parents[self.parents[member as usize] as usize];
            self.parents[member as usize] = grandparent;
            member = grandparent;
        }
        member
    }

    /// Makes the groups of two members one.
    pub(crate) fn connect(&mut self, first: u32, second: u32) {
        let (first, second) = (self.find(first), self.find(second));
        self.parents[first.max(second) as usize] = first.min(second);
    }

    /// For each member the first one of its group.
    pub(crate) fn into_groups(mut self) -> Vec<u32> {
        (0..self.parents.len() as u32).map(|member| self.find(member)).collect()
    }
}
