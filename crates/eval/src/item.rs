//! A row of a benchmark before and after it is scored.

use data::Comparison;

/// A row as it is scored: prompt and responses in the order of the file, and how the benchmark sorts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Prompt, responses in the order of the file, and their ranks. A row may have ties, but not only ties.
    pub comparison: Comparison,
    /// How the benchmark sorts the row.
    pub labels: Labels,
}

/// How a benchmark sorts a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Category, in the words of the official figures. A name that the benchmark does not know is kept, and listed by the report.
    pub category: String,
    /// Finer category; empty where there is none.
    pub subset: String,
    /// Rows of one group are not independent of each other: they share a prompt or a picture, and some metrics need all of them right.
    pub group: String,
}

/// A row with the rewards of its responses, without its texts and pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scored {
    /// Number of the row in the benchmark's files, from 0.
    pub row: usize,
    /// Name of the row.
    pub id: String,
    /// How the benchmark sorts it.
    pub labels: Labels,
    /// `[responses]`: place of each response, 0 for the best, equal numbers for ties.
    pub ranks: Vec<u32>,
    /// `[responses]`: length of each response, in the unit that the run states.
    pub lengths: Vec<usize>,
    /// `[responses]`: rewards. One that is not finite loses every comparison.
    pub scores: Vec<f32>,
    /// `[responses]`: rewards without the pictures; absent where that was not asked, or there is none.
    pub blind_scores: Option<Vec<f32>>,
    /// `[responses]`: rewards with the pictures of another row; absent likewise.
    pub swapped_scores: Option<Vec<f32>>,
}

impl Scored {
    /// Whether response `better` has the strictly higher reward. Ties and rewards that are not finite are not.
    pub fn prefers(&self, better: usize, worse: usize) -> bool {
        let margin = self.margin(better, worse);
        margin.is_finite() && margin > 0.0
    }

    /// Reward of one response minus that of another, in double precision, so that no tie comes from rounding.
    pub fn margin(&self, better: usize, worse: usize) -> f64 {
        f64::from(self.scores[better]) - f64::from(self.scores[worse])
    }

    /// Indices of the responses with the best rank, in order.
    pub fn best(&self) -> Vec<usize> {
        (0..self.ranks.len()).filter(|&response| self.ranks[response] == 0).collect()
    }

    /// Indices of all other responses, in order.
    pub fn others(&self) -> Vec<usize> {
        (0..self.ranks.len()).filter(|&response| self.ranks[response] > 0).collect()
    }

    /// All pairs `(better, worse)` of responses with different ranks.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let better_than = |better: usize| {
            (0..self.ranks.len())
                .filter(move |&worse| self.ranks[better] < self.ranks[worse])
                .map(move |worse| (better, worse))
        };
        (0..self.ranks.len()).flat_map(better_than).collect()
    }

    /// Whether the best response of a pair has the strictly higher reward.
    pub fn is_right(&self) -> bool {
        self.pairs().iter().all(|&(better, worse)| self.prefers(better, worse))
    }

    /// Whether the two responses of a pair have equal rewards.
    pub fn is_tie(&self) -> bool {
        self.scores.len() == 2 && self.margin(0, 1) == 0.0
    }
}
