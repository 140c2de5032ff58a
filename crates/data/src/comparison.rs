//! What is learned from: a prompt, responses to it, and the order that a person or a check gave them.
//!
//! Plain data. Where it came from and how it was written is decided elsewhere.

use prompt::{Conversation, ImageSource, Message, Part};

/// Responses to one prompt, with the preference among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Name of the row: its own, or its file and place.
    pub id: String,
    /// Name of the collection that the row belongs to.
    pub source: String,
    /// Messages that all responses have in common. Empty only where the pictures of the very first message differ.
    pub prompt: Vec<Message>,
    /// `[responses, messages]`: each response ends with the assistant's message, and may hold pictures.
    pub responses: Vec<Vec<Message>>,
    /// Which responses are better.
    pub preference: Preference,
}

/// Order of the responses of a [`Comparison`].
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// Place of each response: 0 for the best, equal numbers for ties, no number left out.
    pub ranks: Vec<u32>,
    /// Score of each response, the higher the better, when the data has them.
    pub scores: Option<Vec<f32>>,
    /// How much better the first response is, in the unit of the data. Pairs only.
    pub margin: Option<f32>,
    /// Probability that the first response is the better one. Pairs only.
    pub soft_label: Option<f32>,
}

impl Comparison {
    /// The prompt, then response `response_idx`.
    ///
    /// # Panics
    /// When there is no such response.
    pub fn conversation(&self, response_idx: usize) -> Conversation {
        let messages = self.prompt.iter().chain(&self.responses[response_idx]).cloned().collect();
        Conversation { messages }
    }

    /// One conversation for each response.
    pub fn conversations(&self) -> Vec<Conversation> {
        (0..self.responses.len()).map(|response_idx| self.conversation(response_idx)).collect()
    }

    /// All pairs `(better, worse)` of response indices. Ties and equal responses are no pairs.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        self.each_two(|first, second| {
            let (first_rank, second_rank) =
                (self.preference.ranks[first], self.preference.ranks[second]);
            if first_rank == second_rank || self.are_equal(first, second) {
                return;
            }
            pairs.push(if first_rank < second_rank { (first, second) } else { (second, first) });
        });
        pairs
    }

    /// Number of twos of equal responses, whatever their ranks.
    pub(crate) fn num_equal_responses(&self) -> usize {
        let mut count = 0;
        self.each_two(|first, second| {
            count += usize::from(self.are_equal(first, second));
        });
        count
    }

    /// Number of twos of different responses with the same rank.
    pub(crate) fn num_ties(&self) -> usize {
        let mut count = 0;
        self.each_two(|first, second| {
            let equal_ranks = self.preference.ranks[first] == self.preference.ranks[second];
            let different = !self.are_equal(first, second);
            count += usize::from(equal_ranks && different);
        });
        count
    }

    fn are_equal(&self, first: usize, second: usize) -> bool {
        let (first, second) = (&self.responses[first], &self.responses[second]);
        first.len() == second.len() && first.iter().zip(second).all(|(a, b)| says_the_same(a, b))
    }

    fn each_two(&self, mut visit: impl FnMut(usize, usize)) {
        for first in 0..self.responses.len() {
            for second in first + 1..self.responses.len() {
                visit(first, second);
            }
        }
    }
}

/// Whether two messages are equal, whatever their pictures are called.
pub(crate) fn says_the_same(first: &Message, second: &Message) -> bool {
    let is_same = |(first, second): (&Part, &Part)| match (first, second) {
        (Part::Image(first), Part::Image(second)) => match (first.as_ref(), second.as_ref()) {
            (ImageSource::Bytes { bytes: first, .. }, ImageSource::Bytes { bytes: second, .. }) => {
                first == second
            }
            (first, second) => first == second,
        },
        (first, second) => first == second,
    };
    first.role == second.role
        && first.content.len() == second.content.len()
        && first.content.iter().zip(&second.content).all(is_same)
}

#[cfg(test)]
mod tests {
    use prompt::Part;

    use super::*;

    fn comparison(responses: &[&str], ranks: &[u32]) -> Comparison {
        let message = |role: &str, text: &str| Message {
            role: role.to_owned(),
            content: vec![Part::Text(text.to_owned())],
        };
        Comparison {
            id: "1".to_owned(),
            source: "test".to_owned(),
            prompt: vec![message("user", "Which?")],
            responses: responses.iter().map(|text| vec![message("assistant", text)]).collect(),
            preference: Preference {
                ranks: ranks.to_vec(),
                scores: None,
                margin: None,
                soft_label: None,
            },
        }
    }

    #[test]
    fn the_lower_rank_is_the_better_one_wherever_it_stands() {
        let comparison = comparison(&["a", "b", "c"], &[1, 0, 2]);
        assert_eq!(comparison.pairs(), [(1, 0), (0, 2), (1, 2)]);
    }

    #[test]
    fn ties_and_equal_responses_are_no_pairs() {
        let comparison = comparison(&["a", "b", "a", "c"], &[0, 0, 1, 2]);
        assert_eq!(comparison.pairs(), [(0, 3), (1, 2), (1, 3), (2, 3)]);
        assert_eq!(comparison.num_ties(), 1);
        assert_eq!(comparison.num_equal_responses(), 1);
    }

    #[test]
    fn a_conversation_is_the_prompt_and_one_response() {
        let comparison = comparison(&["a", "b"], &[0, 1]);
        let texts: Vec<_> =
            comparison.conversation(1).messages.into_iter().map(|m| m.content).collect();
        assert_eq!(texts, [[Part::Text("Which?".to_owned())], [Part::Text("b".to_owned())]]);
        assert_eq!(comparison.conversations()[1], comparison.conversation(1));
    }
}
