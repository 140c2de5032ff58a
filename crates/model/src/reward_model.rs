//! A whole reward model: conversations in, one f32 each out. The one forward pass of the project.

mod cached;

use engine::{DType, Device, Tape, Var};
use prompt::{Encoded, VisionTokens, Visual};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::cached::Scored;
use crate::carried::Carried;
use crate::checkpoint::{Checkpoint, LM_HEAD};
use crate::config::{Config, RewardHeadConfig, ScorePosition};
use crate::error::{LoadError, ScoreError};
use crate::flops;
use crate::head::RewardHead;
use crate::head_layout::{self, HeadLayout, HeadTensors};
use crate::language::LanguageModel;
use crate::prefix_tree::PrefixTree;
use crate::trace::{Blind, Observer};
use crate::vision::VisionTower;
use crate::weights::{LayerMut, Weights};

/// A reward model with its weights packed for one device.
#[derive(Debug)]
pub struct RewardModel {
    config: Config,
    device: Device,
    vision: VisionTower,
    language: LanguageModel,
    head: RewardHead,
    head_config: RewardHeadConfig,
    head_layout: HeadLayout,
    /// Another one for every model of the process and after every change of its weights.
    weights_id: u64,
}

impl RewardModel {
    /// Loads a folder, strictly: every tensor is used, has its shape, and nothing is missing.
    ///
    /// # Errors
    /// Whatever is wrong with the folder, by file and name; see [`LoadError`].
    pub fn load(folder: &Path, device: &Device, dtype: DType) -> Result<Self, LoadError> {
        let config = Config::read(folder)?;
        let checkpoint = Checkpoint::open(folder)?;
        let head = head_layout::read(&checkpoint, &config)?;
        let model = Self::from_checkpoint(&checkpoint, &config, &head, device, dtype)?;
        let vocabulary = [config.text.vocab_size, config.text.hidden_size];
        checkpoint.skip(LM_HEAD, &vocabulary)?;
        checkpoint.finish()?;
        Ok(model)
    }

    /// Packs the weights of a checkpoint; random ones for a benchmark come the same way.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        config: &Config,
        head: &HeadTensors,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, LoadError> {
        let weights = Weights { checkpoint, device, dtype };
        Ok(Self {
            config: config.clone(),
            device: device.clone(),
            vision: VisionTower::load(&weights, &config.vision)?,
            language: LanguageModel::load(&weights, &config.text)?,
            head: RewardHead::new(device, head),
            head_config: head.config(),
            head_layout: head.source_layout,
            weights_id: new_weights_id(),
        })
    }

    /// The configuration that the folder states.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The head as it runs, and the layout that it was read from.
    pub fn head(&self) -> (&RewardHeadConfig, HeadLayout) {
        (&self.head_config, self.head_layout)
    }

    /// What `prompt` must know of the model.
    pub fn vision_tokens(&self) -> VisionTokens {
        vision_tokens(&self.config)
    }

    /// Rewards of conversations, in order.
    ///
    /// Equal beginnings are computed once, each distinct picture is seen once. A reward has the same bits alone,
    /// in any company, and with any number of threads.
    ///
    /// # Errors
    /// A conversation longer than the model's positions, a token that the model does not have, and a
    /// reward that is not a finite number.
    pub fn score(&self, conversations: &[&Encoded]) -> Result<Vec<f32>, ScoreError> {
        let tokens: Vec<usize> = conversations.iter().map(|one| self.score_token(one)).collect();
        let rewards = self.score_at(conversations, &tokens, &mut Blind)?;
        all_finite(&rewards)?;
        Ok(rewards)
    }

    /// Rewards of groups of conversations, together where that is possible. A group that the model refuses costs no other group its
    /// rewards, which have the same bits alone.
    pub fn score_groups(&self, groups: &[Vec<&Encoded>]) -> Vec<Result<Vec<f32>, ScoreError>> {
        in_groups(groups, |conversations| self.score(conversations))
    }

    /// Rewards read at a token of the caller's choice in each conversation, with every stage shown to `observer`.
    ///
    /// # Errors
    /// As [`Self::score`], but for the check of the reward.
    ///
    /// # Panics
    /// If there is not one token for each conversation, or a token is outside of its conversation.
    pub fn score_at(
        &self,
        conversations: &[&Encoded],
        tokens: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, ScoreError> {
        assert_eq!(conversations.len(), tokens.len(), "one token for each conversation");
        self.check(conversations)?;
        if conversations.is_empty() {
            return Ok(Vec::new());
        }
        self.device.run(|| {
            let tree = self.pack(conversations);
            let mut tape = Tape::computing(&self.device);
            Ok(self.forward(&mut tape, &tree, tokens, observer).value().to_f32())
        })
    }

    /// Rewards, f32 `[conversations, 1]`, of a packed tree, read at one token of each conversation. The one forward pass:
    /// scoring computes it, training records it.
    pub(crate) fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        tree: &PrefixTree,
        tokens: &[usize],
        observer: &mut dyn Observer,
    ) -> Var {
        let see =
            |tape: &mut Tape<'a>, visual: &Visual| self.vision.forward(tape, visual, observer);
        let embedded = self.embed(tape, tree, see);
        self.read(tape, tree, embedded, tokens, &Arc::default(), observer)
    }

    /// The part of the forward pass that follows the embeddings, and may go on from what earlier passes have carried here.
    fn read<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        tree: &PrefixTree,
        embedded: Var,
        tokens: &[usize],
        carried: &Arc<Carried>,
        observer: &mut dyn Observer,
    ) -> Var {
        observer.stage("language.inputs_embeds", embedded.value());
        let rows: Vec<usize> =
            tokens.iter().enumerate().map(|(i, &token)| tree.row_of(i, token)).collect();
        let hidden = self.language.forward(tape, tree, embedded, &rows, carried, observer);
        self.head.forward(tape, hidden)
    }

    /// Every layer that has parameters, in a fixed order, to be changed.
    pub(crate) fn layers_mut(&mut self) -> Vec<LayerMut<'_>> {
        self.weights_id = new_weights_id();
        let mut layers = self.vision.layers_mut();
        layers.extend(self.language.layers_mut());
        layers.extend(self.head.layers_mut());
        layers
    }

    /// The packed form in which conversations are scored.
    pub fn pack(&self, conversations: &[&Encoded]) -> PrefixTree {
        PrefixTree::new(conversations, |id| self.is_visual(id))
    }

    /// Whether a token stands for a picture or video.
    fn is_visual(&self, id: u32) -> bool {
        id == self.config.image_token_id || id == self.config.video_token_id
    }

    /// Floating-point operations that scoring the packed conversations takes.
    pub fn flops(&self, tree: &PrefixTree, num_scores: usize) -> f64 {
        flops::of_tree(&self.config, &self.head_config, tree, num_scores)
    }

    /// Index of the token whose hidden state is scored.
    pub fn score_token(&self, conversation: &Encoded) -> usize {
        match self.head_config.position {
            ScorePosition::EndOfTurn => conversation.end_of_turn,
            ScorePosition::LastToken => conversation.len() - 1,
        }
    }

    pub(crate) fn check(&self, conversations: &[&Encoded]) -> Result<(), ScoreError> {
        let limit = self.config.text.max_position_embeddings;
        let vocab_size = self.config.text.vocab_size;
        for (index, conversation) in conversations.iter().enumerate() {
            if conversation.len() > limit {
                let tokens = conversation.len();
                return Err(ScoreError::TooLong { index, tokens, limit });
            }
            if let Some(&id) = conversation.token_ids.iter().find(|&&id| id as usize >= vocab_size)
            {
                return Err(ScoreError::UnknownToken { index, id, vocab_size });
            }
        }
        Ok(())
    }

    /// Token embeddings with the visuals' embeddings in their places; `see` is asked once for each visual.
    fn embed<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        tree: &PrefixTree,
        mut see: impl FnMut(&mut Tape<'a>, &Visual) -> Var,
    ) -> Var {
        let mut hidden = self.language.embed(tape, &tree.token_ids);
        for (visual_idx, visual) in tree.visuals.iter().enumerate() {
            let embedded = see(tape, visual);
            for rows in tree.visual_rows.iter().filter(|rows| rows.visual == visual_idx) {
                let from = rows.token..rows.token + rows.count;
                hidden = tape.copy_rows(&embedded, from, hidden, rows.row);
            }
        }
        hidden
    }
}

fn new_weights_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What `score` gives for the conversations of all groups together, or for each group alone where it refuses some.
fn in_groups<'a, T>(
    groups: &[Vec<&'a Encoded>],
    mut score: impl FnMut(&[&'a Encoded]) -> Result<Vec<T>, ScoreError>,
) -> Vec<Result<Vec<T>, ScoreError>> {
    match score(&groups.concat()) {
        Ok(scores) => {
            let mut scores = scores.into_iter();
            groups.iter().map(|group| Ok(scores.by_ref().take(group.len()).collect())).collect()
        }
        Err(_) => groups.iter().map(|group| score(group)).collect(),
    }
}

fn all_finite(rewards: &[f32]) -> Result<(), ScoreError> {
    match rewards.iter().position(|reward| !reward.is_finite()) {
        Some(index) => Err(ScoreError::NotFinite { index, reward: rewards[index] }),
        None => Ok(()),
    }
}

/// What `prompt` must know of a model, from its configuration.
pub fn vision_tokens(config: &Config) -> VisionTokens {
    VisionTokens {
        image_token_id: config.image_token_id,
        video_token_id: config.video_token_id,
        vision_start_token_id: config.vision_start_token_id,
        vision_end_token_id: config.vision_end_token_id,
        spatial_merge_size: config.vision.spatial_merge_size,
        patch_size: config.vision.patch_size,
        temporal_patch_size: config.vision.temporal_patch_size,
        tokens_per_second: config.vision.tokens_per_second,
    }
}
