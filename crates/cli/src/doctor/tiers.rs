//! The self-check without a model: a tiny random one, on every tier that this machine has, in both types.

use engine::{DType, Device, TIER_VARIABLE, Tier};
use model::checkpoint::{Checkpoint, StorageType};
use model::config::{Activation, Config, RewardHeadConfig, ScorePosition};
use model::{RewardModel, head_layout, vision_tokens};
use prompt::{Encoded, SyntheticRow};

use super::check::Check;
use super::consistency;
use crate::init::tiny;

/// Largest difference of a reward between two tiers in f32, which sum in different orders.
const F32_TOLERANCE: f32 = 2e-4;
/// Largest difference of a reward in bf16 from f32 with the same weights. Rounding every activation of the tiny model
/// to eight bits moves its rewards by 3e-4; its rewards for different responses are further apart than this.
const BF16_TOLERANCE: f32 = 3e-3;
/// Where the random weights and the noise start.
const SEED: u64 = 0;

/// Checks every tier, the most portable first, because its f32 is what the others are compared with.
pub(super) fn check(num_threads: usize) -> Vec<Check> {
    let config = tiny::config();
    let conversations = Conversations::new(&config);
    let mut checks = Vec::new();
    let mut reference: Option<Vec<f32>> = None;
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        for dtype in [DType::F32, DType::Bf16] {
            let subject = format!("{} {dtype}", tier.name());
            let rewards = match conversations.score(&config, tier, dtype, num_threads) {
                Ok(rewards) => rewards,
                Err(reason) => {
                    checks.push(Check::failed(subject, reason, advice()));
                    continue;
                }
            };
            let same = "same bits alone, in a batch, with a shared prefix, on 1 and more threads";
            match &reference {
                None => {
                    checks.push(Check::passed(subject, same));
                    reference = Some(rewards);
                }
                Some(reference) => checks.push(compare(subject, same, dtype, &rewards, reference)),
            }
        }
    }
    checks
}

fn compare(subject: String, same: &str, dtype: DType, found: &[f32], expected: &[f32]) -> Check {
    let tolerance = match dtype {
        DType::F32 => F32_TOLERANCE,
        DType::Bf16 => BF16_TOLERANCE,
    };
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    // A NaN is above every number in this order, so that it cannot hide.
    let largest = differences.max_by(f32::total_cmp).unwrap_or(0.0);
    let detail = format!("{largest:.1e} from portable f32, allowed {tolerance:.0e}");
    if largest <= tolerance {
        Check::passed(subject, format!("{same}; {detail}"))
    } else {
        Check::failed(subject, detail, advice())
    }
}

/// What to do when arithmetic is wrong.
fn advice() -> String {
    format!(
        "do not trust scores from this tier; set {TIER_VARIABLE} to one that passes, and report this with the output of `basereward doctor --json`"
    )
}

/// Noise in the shape of conversations: answers to one question with a picture, and one that shares nothing.
struct Conversations {
    related: Vec<Encoded>,
    other: Encoded,
}

impl Conversations {
    fn new(config: &Config) -> Self {
        let vision = vision_tokens(config);
        let row = SyntheticRow {
            images: 1,
            image_size: 196,
            prompt_tokens: 24,
            response_tokens: vec![9, 17, 40],
            // Below every special token.
            vocab_size: config.vision_start_token_id.min(config.image_token_id),
            seed: SEED,
        };
        let other =
            SyntheticRow { images: 0, response_tokens: vec![21], seed: SEED + 1, ..row.clone() };
        let other = other.encode(&vision).pop().expect("one conversation for one answer");
        Self { related: row.encode(&vision), other }
    }

    /// Rewards of all conversations, after the check that they are the same in every way to compute them.
    fn score(
        &self,
        config: &Config,
        tier: Tier,
        dtype: DType,
        num_threads: usize,
    ) -> Result<Vec<f32>, String> {
        let score = |num_threads| {
            let model = random_model(config, tier, dtype, num_threads)?;
            consistency::check(&model, &self.related, &self.other)
        };
        let rewards = score(num_threads.max(2))?;
        consistency::compare(&rewards, &score(1)?, "on 1 thread")?;
        Ok(rewards)
    }
}

fn random_model(
    config: &Config,
    tier: Tier,
    dtype: DType,
    num_threads: usize,
) -> Result<RewardModel, String> {
    let head = RewardHeadConfig {
        num_layers: 2,
        activation: Activation::Silu,
        hidden_size: config.text.hidden_size,
        bias: true,
        position: ScorePosition::EndOfTurn,
    };
    let config = Config { reward_head: Some(head), ..config.clone() };
    let device =
        Device::cpu_with_tier(tier, Some(num_threads)).map_err(|error| error.to_string())?;
    // Stored as bf16, so that both types compute with exactly the same weights.
    let checkpoint = Checkpoint::random(&config, &head, SEED, StorageType::Bf16);
    let tensors = head_layout::read(&checkpoint, &config).map_err(|error| error.to_string())?;
    RewardModel::from_checkpoint(&checkpoint, &config, &tensors, &device, dtype)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_of_this_machine_passes() {
        let checks = check(2);
        let available = Tier::ALL.into_iter().filter(|tier| tier.is_available()).count();
        assert_eq!(checks.len(), 2 * available);
        for check in &checks {
            assert!(check.passed, "{}: {}", check.subject, check.detail);
        }
    }

    #[test]
    fn different_responses_are_further_apart_than_every_tolerance() {
        let config = tiny::config();
        let conversations = Conversations::new(&config);
        let rewards = conversations.score(&config, Tier::Portable, DType::F32, 1).unwrap();
        for (first_idx, first) in rewards.iter().enumerate() {
            for second in &rewards[first_idx + 1..] {
                assert!((first - second).abs() > BF16_TOLERANCE, "{rewards:?}");
            }
        }
    }

    #[test]
    fn a_reward_beyond_the_tolerance_fails() {
        let check = |found| compare("amx f32".to_owned(), "same", DType::F32, &[found], &[1.0]);
        assert!(check(1.000_1).passed);
        assert!(!check(1.000_3).passed);
        assert!(!check(f32::NAN).passed);
    }
}
