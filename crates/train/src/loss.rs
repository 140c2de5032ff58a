//! Losses on the rewards of one comparison, with their exact derivatives.
//!
//! Everything is f32 and a free function of rewards and preference: no tensors, no batches, no sums over steps. The loss
//! of a step is the mean of [`of_comparison`] over all comparisons of the step, whichever micro-batches they came in.
//!
//! # Units
//! Lengths are response tokens: those that the response adds to the rendered conversation.
//!
//! # Source
//! Pairs: `BaseReward` (arXiv 2509.16127), equation 1 and algorithm 1, and Bradley and Terry 1952. Rankings: Plackett 1975.

/// What is minimized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossOptions {
    /// How the responses of one comparison are set against each other.
    pub objective: Objective,
    /// Factor before the margin that a row states; the better response must win by that much.
    pub margin_coefficient: f32,
    /// `lambda` of the term `lambda · mean((r_better + r_worse)²)`, which keeps rewards near zero.
    pub zero_coefficient: f32,
    /// Whether rewards are divided by `ln(response tokens + 1)` before anything else.
    pub length_normalization: bool,
    /// Probability that a label is taken to be flipped, 0 to below 0.5.
    pub label_smoothing: f32,
}

impl Default for LossOptions {
    fn default() -> Self {
        Self {
            objective: Objective::AllPairs,
            margin_coefficient: 0.0,
            zero_coefficient: 0.0,
            length_normalization: false,
            label_smoothing: 0.0,
        }
    }
}

/// How the responses of one comparison are set against each other. For two responses both are the same formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Bradley–Terry on each stated pair, the mean over the pairs.
    AllPairs,
    /// Plackett–Luce: each response is the best of itself and all worse ones, the mean over the responses that have a worse
    /// one. Tied responses are never set against each other.
    PlackettLuce,
}

/// What is known about the responses of one comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgment<'a> {
    /// Every `(better, worse)` that is stated; ties and equal responses are in none. A response may be in several.
    pub pairs: &'a [(usize, usize)],
    /// Tokens of each response.
    pub response_tokens: &'a [usize],
    /// Margin that the row states.
    pub margin: Option<f32>,
    /// For two responses: probability that the first is the better one.
    pub soft_label: Option<f32>,
}

impl Judgment<'_> {
    /// Probability that the better response of a pair is preferred, by the row's own label.
    fn label(&self, better: usize) -> f32 {
        match self.soft_label {
            Some(first) if self.response_tokens.len() == 2 && better == 0 => first,
            Some(first) if self.response_tokens.len() == 2 => 1.0 - first,
            _ => 1.0,
        }
    }

    /// Responses that are worse than response `i`.
    fn worse_than(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        self.pairs.iter().filter(move |(better, _)| *better == i).map(|&(_, worse)| worse)
    }
}

/// Loss of one comparison and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonLoss {
    /// The loss.
    pub loss: f32,
    /// Its derivative with respect to each reward.
    pub reward_gradients: Vec<f32>,
}

/// Loss of the rewards of one comparison, with its exact derivatives.
///
/// A comparison without any pair has the loss 0.
///
/// # Panics
/// If rewards and lengths differ in number, or a pair names a response that is not there.
pub fn of_comparison(
    rewards: &[f32],
    judgment: &Judgment<'_>,
    options: &LossOptions,
) -> ComparisonLoss {
    assert_eq!(rewards.len(), judgment.response_tokens.len(), "a length for each reward");
    let scales: Vec<f32> = judgment
        .response_tokens
        .iter()
        .map(|&tokens| if options.length_normalization { length_scale(tokens) } else { 1.0 })
        .collect();
    let scaled: Vec<f32> = rewards.iter().zip(&scales).map(|(r, scale)| r * scale).collect();
    let mut total = match options.objective {
        Objective::PlackettLuce if rewards.len() > 2 => plackett_luce(&scaled, judgment),
        _ => all_pairs(&scaled, judgment, options),
    };
    add_zero_term(&mut total, &scaled, judgment, options.zero_coefficient);
    for (gradient, scale) in total.reward_gradients.iter_mut().zip(&scales) {
        *gradient *= scale;
    }
    total
}

/// `1 / ln(tokens + 1)`; a response has at least one token.
fn length_scale(tokens: usize) -> f32 {
    1.0 / (tokens.max(1) as f32 + 1.0).ln()
}

/// `−p · ln σ(d) − (1 − p) · ln σ(−d)` with `d = r_better − r_worse − margin`, the mean over the pairs.
fn all_pairs(rewards: &[f32], judgment: &Judgment<'_>, options: &LossOptions) -> ComparisonLoss {
    let mut total = nothing(rewards.len());
    if judgment.pairs.is_empty() {
        return total;
    }
    let weight = 1.0 / judgment.pairs.len() as f32;
    let margin = options.margin_coefficient * judgment.margin.unwrap_or(0.0);
    for &(better, worse) in judgment.pairs {
        let label = judgment.label(better);
        let target =
            (1.0 - options.label_smoothing) * label + options.label_smoothing * (1.0 - label);
        let difference = rewards[better] - rewards[worse] - margin;
        total.loss +=
            weight * (target * softplus(-difference) + (1.0 - target) * softplus(difference));
        let slope = weight * (sigmoid(difference) - target);
        total.reward_gradients[better] += slope;
        total.reward_gradients[worse] -= slope;
    }
    total
}

/// `−ln(exp r_i / (exp r_i + Σ exp r_j))` over the `j` worse than `i`, the mean over the `i` that have any.
fn plackett_luce(rewards: &[f32], judgment: &Judgment<'_>) -> ComparisonLoss {
    let mut total = nothing(rewards.len());
    let has_worse = |i: &usize| judgment.worse_than(*i).next().is_some();
    let choices = (0..rewards.len()).filter(has_worse).count();
    let weight = 1.0 / choices.max(1) as f32;
    for i in (0..rewards.len()).filter(has_worse) {
        let highest = judgment.worse_than(i).map(|j| rewards[j]).fold(rewards[i], f32::max);
        let own = (rewards[i] - highest).exp();
        let sum = own + judgment.worse_than(i).map(|j| (rewards[j] - highest).exp()).sum::<f32>();
        total.loss += weight * (sum.ln() + highest - rewards[i]);
        total.reward_gradients[i] += weight * (own / sum - 1.0);
        for j in judgment.worse_than(i) {
            total.reward_gradients[j] += weight * (rewards[j] - highest).exp() / sum;
        }
    }
    total
}

/// Adds `lambda · mean((r_better + r_worse)²)`, the mean over the pairs.
fn add_zero_term(
    total: &mut ComparisonLoss,
    rewards: &[f32],
    judgment: &Judgment<'_>,
    lambda: f32,
) {
    if lambda == 0.0 || judgment.pairs.is_empty() {
        return;
    }
    let weight = lambda / judgment.pairs.len() as f32;
    for &(better, worse) in judgment.pairs {
        let sum = rewards[better] + rewards[worse];
        total.loss += weight * sum * sum;
        total.reward_gradients[better] += 2.0 * weight * sum;
        total.reward_gradients[worse] += 2.0 * weight * sum;
    }
}

fn nothing(num_rewards: usize) -> ComparisonLoss {
    ComparisonLoss { loss: 0.0, reward_gradients: vec![0.0; num_rewards] }
}

/// `ln(1 + exp x)` without overflow; `softplus(−d)` is `−ln σ(d)`. NUMERICS: exact to f32 on both tails. NaN stays NaN.
fn softplus(x: f32) -> f32 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// `1 / (1 + exp(−x))` without overflow.
fn sigmoid(x: f32) -> f32 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests;
