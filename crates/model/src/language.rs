//! The language model of Qwen2.5-VL over a prefix tree: embeddings to hidden states at chosen rows.
//!
//! The last layer computes keys and values for every row, and everything else only for the rows that are read.
//! `lm_head` does not exist here.
//!
//! # Source
//! transformers 5.23.0 `modeling_qwen2_5_vl.py`, `Qwen2_5_VLTextModel`. NUMERICS: the residual stream is f32 whatever the
//! compute type; products, keys, values and gates have the compute type.

use engine::{
    AttentionLayout, DType, Device, GatedLinear, Heads, Linear, Matrix, RotaryTable, attention,
    embedding, gather_rows, rms_norm, rotate,
};

use crate::config::TextConfig;
use crate::error::LoadError;
use crate::prefix_tree::PrefixTree;
use crate::trace::Observer;
use crate::weights::Weights;

/// The decoder with packed weights.
#[derive(Debug)]
pub(crate) struct LanguageModel {
    config: TextConfig,
    dtype: DType,
    embed_tokens: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    input_norm: Vec<f32>,
    query: Linear,
    key_value: Linear,
    out: Linear,
    post_attention_norm: Vec<f32>,
    gate_up: GatedLinear,
    down: Linear,
}

impl LanguageModel {
    pub(crate) fn load(weights: &Weights<'_>, config: &TextConfig) -> Result<Self, LoadError> {
        let embed_tokens = weights.table(
            "model.language_model.embed_tokens.weight",
            config.vocab_size,
            config.hidden_size,
        )?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer_idx| Layer::load(weights, config, layer_idx))
            .collect::<Result<_, _>>()?;
        let norm = weights.vector("model.language_model.norm.weight", config.hidden_size)?;
        Ok(Self { config: config.clone(), dtype: weights.dtype, embed_tokens, layers, norm })
    }

    /// Token embeddings, f32 `[rows, hidden_size]`; visual rows are overwritten by the caller.
    pub(crate) fn embed(&self, token_ids: &[u32]) -> Matrix {
        embedding(&self.embed_tokens, token_ids)
    }

    /// Final hidden states of `score_rows`.
    ///
    /// # Shapes
    /// `hidden`: f32 `[rows, hidden_size]`; result: f32 `[score_rows.len(), hidden_size]`, after the last norm.
    pub(crate) fn forward(
        &self,
        device: &Device,
        tree: &PrefixTree,
        mut hidden: Matrix,
        score_rows: &[usize],
        observer: &mut dyn Observer,
    ) -> Matrix {
        let table = self.rotary_table(&tree.position_ids);
        let layout = tree.layout();
        let (last, layers) = self.layers.split_last().expect("a model has a layer");
        for (layer_idx, layer) in layers.iter().enumerate() {
            let normed = layer.normed(self, &hidden);
            let key_value = layer.keys_values(device, self, &normed, &table);
            layer.attend(device, self, &normed, &key_value, &table, &layout, &mut hidden);
            layer.mix_features(device, self, &mut hidden);
            observer.stage(&format!("language.layers.{layer_idx}"), &hidden);
        }
        let normed = last.normed(self, &hidden);
        let key_value = last.keys_values(device, self, &normed, &table);
        let mut read = gather_rows(&hidden, score_rows);
        last.attend(
            device,
            self,
            &gather_rows(&normed, score_rows),
            &key_value,
            &table.gather(score_rows),
            &tree.layout_of_rows(score_rows),
            &mut read,
        );
        last.mix_features(device, self, &mut read);
        let read = rms_norm(&read, &self.norm, self.config.rms_norm_eps, DType::F32);
        observer.stage("language.norm", &read);
        read
    }

    fn heads(&self) -> Heads {
        let TextConfig { num_attention_heads, num_key_value_heads, head_dim, .. } = self.config;
        Heads {
            num_heads: num_attention_heads,
            num_key_value_heads,
            head_dim,
            query_col: 0,
            key_col: 0,
            value_col: num_key_value_heads * head_dim,
        }
    }

    /// M-RoPE: the frequencies are split in sections, each turned by one of the three position axes.
    fn rotary_table(&self, position_ids: &[[u32; 3]]) -> RotaryTable {
        let half = self.config.head_dim / 2;
        let theta = self.config.rope_theta as f32;
        let inv_freq: Vec<f32> =
            (0..half).map(|i| 1.0 / theta.powf((2 * i) as f32 / (2 * half) as f32)).collect();
        let axes: Vec<usize> = self
            .config
            .mrope_section
            .iter()
            .enumerate()
            .flat_map(|(axis, count)| std::iter::repeat_n(axis, *count))
            .collect();
        RotaryTable::new(position_ids.len(), half, |row, angles| {
            for ((angle, frequency), axis) in angles.iter_mut().zip(&inv_freq).zip(&axes) {
                *angle = position_ids[row][*axis] as f32 * frequency;
            }
        })
    }
}

impl Layer {
    fn load(weights: &Weights<'_>, config: &TextConfig, idx: usize) -> Result<Self, LoadError> {
        let hidden = config.hidden_size;
        let queries = config.num_attention_heads * config.head_dim;
        let keys = config.num_key_value_heads * config.head_dim;
        let name = |part: &str| format!("model.language_model.layers.{idx}.{part}");
        let (key, value) = (name("self_attn.k_proj"), name("self_attn.v_proj"));
        Ok(Self {
            input_norm: weights.vector(&name("input_layernorm.weight"), hidden)?,
            query: weights.linear(&[(&name("self_attn.q_proj"), queries)], &[hidden], true)?,
            key_value: weights.linear(&[(&key, keys), (&value, keys)], &[hidden], true)?,
            out: weights.linear(&[(&name("self_attn.o_proj"), hidden)], &[queries], false)?,
            post_attention_norm: weights
                .vector(&name("post_attention_layernorm.weight"), hidden)?,
            gate_up: weights.gated(&name("mlp"), config.intermediate_size, hidden, false)?,
            down: weights.linear(
                &[(&name("mlp.down_proj"), hidden)],
                &[config.intermediate_size],
                false,
            )?,
        })
    }

    fn normed(&self, model: &LanguageModel, hidden: &Matrix) -> Matrix {
        rms_norm(hidden, &self.input_norm, model.config.rms_norm_eps, model.dtype)
    }

    /// Rotated keys and plain values side by side.
    fn keys_values(
        &self,
        device: &Device,
        model: &LanguageModel,
        normed: &Matrix,
        table: &RotaryTable,
    ) -> Matrix {
        let mut key_value = self.key_value.forward(device, normed);
        rotate(&mut key_value, 0, model.config.num_key_value_heads, table);
        key_value
    }

    #[expect(clippy::too_many_arguments, reason = "queries and keys differ in the last layer")]
    fn attend(
        &self,
        device: &Device,
        model: &LanguageModel,
        normed: &Matrix,
        key_value: &Matrix,
        table: &RotaryTable,
        layout: &AttentionLayout,
        hidden: &mut Matrix,
    ) {
        let mut query = self.query.forward(device, normed);
        rotate(&mut query, 0, model.config.num_attention_heads, table);
        let attended = attention(device, &query, key_value, &model.heads(), layout);
        self.out.forward_add(device, &attended, hidden);
    }

    fn mix_features(&self, device: &Device, model: &LanguageModel, hidden: &mut Matrix) {
        let epsilon = model.config.rms_norm_eps;
        let normed = rms_norm(hidden, &self.post_attention_norm, epsilon, model.dtype);
        let gated = self.gate_up.forward(device, &normed);
        self.down.forward_add(device, &gated, hidden);
    }
}
