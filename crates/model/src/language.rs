//! The language model of Qwen2.5-VL over a prefix tree: embeddings to hidden states at chosen rows.
//!
//! The last layer computes keys and values for every row, and everything else only for the rows that are read.
//! `lm_head` does not exist here.
//!
//! # Source
//! transformers 5.23.0 `modeling_qwen2_5_vl.py`, `Qwen2_5_VLTextModel`. NUMERICS: the residual stream is f32 whatever the
//! compute type; products, keys, values and gates have the compute type.

use engine::{
    AttentionLayout, DType, Embedding, GatedLinear, Heads, Linear, RmsNorm, RotaryTable, Tape, Var,
};
use std::sync::Arc;

use crate::carried::Carried;
use crate::config::TextConfig;
use crate::error::LoadError;
use crate::prefix_tree::PrefixTree;
use crate::trace::Observer;
use crate::weights::{LayerMut, Named, Weights};

/// The decoder with packed weights.
#[derive(Debug)]
pub(crate) struct LanguageModel {
    config: TextConfig,
    dtype: DType,
    embed_tokens: Named<Embedding>,
    layers: Vec<Layer>,
    norm: Named<RmsNorm>,
}

#[derive(Debug)]
struct Layer {
    idx: usize,
    input_norm: Named<RmsNorm>,
    query: Named<Linear>,
    key_value: Named<Linear>,
    out: Named<Linear>,
    post_attention_norm: Named<RmsNorm>,
    gate_up: Named<GatedLinear>,
    down: Named<Linear>,
}

/// What the layers of one pass share.
#[derive(Clone)]
struct Pass {
    dtype: DType,
    heads: Heads,
    /// Of every row, for the keys.
    table: Arc<RotaryTable>,
    /// Of the rows whose hidden states go on.
    query_table: Arc<RotaryTable>,
    layout: Arc<AttentionLayout>,
    /// Keys and values of rows that are not computed.
    carried: Arc<Carried>,
}

impl LanguageModel {
    pub(crate) fn load(weights: &Weights<'_>, config: &TextConfig) -> Result<Self, LoadError> {
        let embed_tokens = weights.table(
            "model.language_model.embed_tokens",
            config.vocab_size,
            config.hidden_size,
        )?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer_idx| Layer::load(weights, config, layer_idx))
            .collect::<Result<_, _>>()?;
        let norm =
            weights.norm("model.language_model.norm", config.hidden_size, config.rms_norm_eps)?;
        Ok(Self { config: config.clone(), dtype: weights.dtype, embed_tokens, layers, norm })
    }

    /// Token embeddings, f32 `[rows, hidden_size]`; visual rows are overwritten by the caller.
    pub(crate) fn embed<'a>(&'a self, tape: &mut Tape<'a>, token_ids: &[u32]) -> Var {
        tape.embedding(&self.embed_tokens, token_ids)
    }

    /// Final hidden states of `score_rows`; `carried` has the keys and values of the tree's known rows.
    ///
    /// # Shapes
    /// `hidden`: f32 `[rows, hidden_size]`; result: f32 `[score_rows.len(), hidden_size]`, after the last norm.
    pub(crate) fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        tree: &PrefixTree,
        hidden: Var,
        score_rows: &[usize],
        carried: &Arc<Carried>,
        observer: &mut dyn Observer,
    ) -> Var {
        let table = Arc::new(self.rotary_table(&tree.position_ids));
        let every_row = Pass {
            dtype: self.dtype,
            heads: self.heads(),
            query_table: Arc::clone(&table),
            layout: Arc::new(tree.layout()),
            carried: Arc::clone(carried),
            table,
        };
        let read_rows = Pass {
            query_table: Arc::new(every_row.table.gather(score_rows)),
            layout: Arc::new(tree.layout_of_rows(score_rows)),
            ..every_row.clone()
        };
        let (last, layers) = self.layers.split_last().expect("a model has a layer");
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| {
                let pass = every_row.clone();
                move |tape: &mut Tape<'a>, hidden| layer.forward(tape, &pass, hidden, None)
            })
            .collect();
        let hidden = tape.layers(hidden, &layers, |layer_idx, hidden| {
            observer.stage(&format!("language.layers.{layer_idx}"), hidden);
        });
        let score_rows = score_rows.to_vec();
        let read = tape.layer(hidden, move |tape, hidden| {
            last.forward(tape, &read_rows, hidden, Some(&score_rows))
        });
        let read = tape.rms_norm(&read, &self.norm, DType::F32);
        observer.stage("language.norm", read.value());
        read
    }

    /// Every layer that has parameters.
    pub(crate) fn layers_mut(&mut self) -> Vec<LayerMut<'_>> {
        let mut layers = vec![LayerMut::Table(&mut self.embed_tokens)];
        for layer in &mut self.layers {
            layers.extend([
                LayerMut::Norm(&mut layer.input_norm),
                LayerMut::Linear(&mut layer.query),
                LayerMut::Linear(&mut layer.key_value),
                LayerMut::Linear(&mut layer.out),
                LayerMut::Norm(&mut layer.post_attention_norm),
                LayerMut::Gated(&mut layer.gate_up),
                LayerMut::Linear(&mut layer.down),
            ]);
        }
        layers.push(LayerMut::Norm(&mut self.norm));
        layers
    }

    /// Number of layers, each with keys and values of its own.
    pub(crate) fn num_layers(&self) -> usize {
        self.layers.len()
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
            idx,
            input_norm: weights.norm(&name("input_layernorm"), hidden, config.rms_norm_eps)?,
            query: weights.linear(&[(&name("self_attn.q_proj"), queries)], &[hidden], true)?,
            key_value: weights.linear(&[(&key, keys), (&value, keys)], &[hidden], true)?,
            out: weights.linear(&[(&name("self_attn.o_proj"), hidden)], &[queries], false)?,
            post_attention_norm: weights.norm(
                &name("post_attention_layernorm"),
                hidden,
                config.rms_norm_eps,
            )?,
            gate_up: weights.gated(&name("mlp"), config.intermediate_size, hidden, false)?,
            down: weights.linear(
                &[(&name("mlp.down_proj"), hidden)],
                &[config.intermediate_size],
                false,
            )?,
        })
    }

    /// Keys and values of all rows; everything else for the `read` rows only, where they are given.
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        pass: &Pass,
        hidden: Var,
        read: Option<&[usize]>,
    ) -> Var {
        let Pass { dtype, heads, table, query_table, layout, carried } = pass;
        let normed = tape.rms_norm(&hidden, &self.input_norm, *dtype);
        let key_value = tape.linear(&normed, &self.key_value);
        let key_value = tape.rotate(key_value, heads.key_col, heads.num_key_value_heads, table);
        let key_value = carried.complete(tape, self.idx, key_value);
        let (normed, hidden) = match read {
            Some(rows) => (tape.gather_rows(&normed, rows), tape.gather_rows(&hidden, rows)),
            None => (normed, hidden),
        };
        let query = tape.linear(&normed, &self.query);
        let query = tape.rotate(query, heads.query_col, heads.num_heads, query_table);
        let attended = tape.attention(&query, &key_value, *heads, layout);
        let hidden = tape.linear_add(&attended, &self.out, hidden);
        let normed = tape.rms_norm(&hidden, &self.post_attention_norm, *dtype);
        let gated = tape.gated(&normed, &self.gate_up);
        tape.linear_add(&gated, &self.down, hidden)
    }
}
