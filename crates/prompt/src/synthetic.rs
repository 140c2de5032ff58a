//! Encoded conversations without a tokenizer or files: the load of benchmarks and self-checks.
//!
//! Tokens and pixels are noise from a seed; lengths, positions and layout are those of real conversations.

use std::sync::Arc;

use crate::picture::{Normalization, PatchShape, Resized, Visual};
use crate::positions::{VisualRun, mrope_positions};
use crate::processor::{Encoded, VisionTokens};

/// Tokens before the first picture: the template's default system turn and the opening of the user's.
const OPENING_TOKENS: usize = 14;

/// Size of a synthetic question with its answers.
#[derive(Debug, Clone)]
pub struct SyntheticRow {
    /// Number of pictures, all different.
    pub images: usize,
    /// Side of each picture in pixels; rounded to whole tokens.
    pub image_size: usize,
    /// Tokens of the question.
    pub prompt_tokens: usize,
    /// Tokens of each answer.
    pub response_tokens: Vec<usize>,
    /// Ordinary tokens are drawn below this id.
    pub vocab_size: u32,
    /// Where the noise starts.
    pub seed: u64,
}

impl SyntheticRow {
    /// One conversation for each answer; all share the pictures and the question.
    pub fn encode(&self, vision: &VisionTokens) -> Vec<Encoded> {
        let mut noise = Noise(self.seed);
        let visuals: Vec<Arc<Visual>> =
            (0..self.images).map(|_| Arc::new(self.visual(vision, &mut noise))).collect();
        let side = self.grid_side(vision) / vision.spatial_merge_size;
        let mut shared = self.words(OPENING_TOKENS, vision, &mut noise);
        let mut runs = Vec::new();
        for visual in &visuals {
            shared.push(vision.vision_start_token_id);
            let tokens = [1, side, side];
            runs.push(VisualRun { start: shared.len(), tokens, time_interval: 1.0 });
            shared.extend(std::iter::repeat_n(vision.image_token_id, visual.num_tokens()));
            shared.push(vision.vision_end_token_id);
        }
        shared.extend(self.words(self.prompt_tokens, vision, &mut noise));
        self.response_tokens
            .iter()
            .map(|&count| {
                let mut token_ids = shared.clone();
                token_ids.extend(self.words(count, vision, &mut noise));
                Encoded {
                    position_ids: mrope_positions(token_ids.len(), &runs),
                    prompt_tokens: shared.len(),
                    end_of_turn: token_ids.len() - 1,
                    token_ids,
                    visuals: visuals.clone(),
                }
            })
            .collect()
    }

    fn grid_side(&self, vision: &VisionTokens) -> usize {
        let factor = vision.patch_size * vision.spatial_merge_size;
        (self.image_size / factor).max(1) * vision.spatial_merge_size
    }

    fn visual(&self, vision: &VisionTokens, noise: &mut Noise) -> Visual {
        let side = self.grid_side(vision) * vision.patch_size;
        let pixels = (0..side * side * 3).map(|_| noise.next() as u8).collect();
        let shape = PatchShape {
            patch_size: vision.patch_size,
            merge_size: vision.spatial_merge_size,
            temporal_patch_size: vision.temporal_patch_size,
        };
        let normalization = Normalization { mean: [127.5; 3], std: [64.0; 3] };
        Visual::new(&[Resized { width: side, height: side, pixels }], false, shape, normalization)
    }

    /// Ordinary tokens: none of those that stand for or around pictures.
    fn words(&self, count: usize, vision: &VisionTokens, noise: &mut Noise) -> Vec<u32> {
        let special = [
            vision.image_token_id,
            vision.video_token_id,
            vision.vision_start_token_id,
            vision.vision_end_token_id,
        ];
        std::iter::repeat_with(|| (noise.next() % u64::from(self.vocab_size)) as u32)
            .filter(|id| !special.contains(id))
            .take(count)
            .collect()
    }
}

/// `SplitMix64`.
///
/// # Source
/// Steele, Lea and Flood 2014, *Fast splittable pseudorandom number generators*.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
