//! Counting the floating-point operations of a forward pass: two for each multiply-add of a product.
//!
//! Only products are counted (linear layers, attention); norms, activations and lookups are below one percent.

use engine::Heads;

use crate::config::{Config, RewardHeadConfig, TextConfig, VisionConfig};
use crate::prefix_tree::PrefixTree;
use crate::vision::WindowPlan;

/// Operations for all packed rows, of which `num_scores` are read.
pub(crate) fn of_tree(
    config: &Config,
    head: &RewardHeadConfig,
    tree: &PrefixTree,
    num_scores: usize,
) -> f64 {
    let vision: f64 =
        tree.visuals.iter().map(|visual| of_visual(&config.vision, visual.grid)).sum();
    let head: f64 = head
        .layer_shapes(config.text.hidden_size)
        .iter()
        .map(|[outputs, inputs]| linear(num_scores, *inputs, *outputs))
        .sum();
    vision + of_language(&config.text, tree, num_scores) + head
}

fn linear(rows: usize, inputs: usize, outputs: usize) -> f64 {
    2.0 * rows as f64 * inputs as f64 * outputs as f64
}

fn of_visual(config: &VisionConfig, grid: [usize; 3]) -> f64 {
    let patches = grid.iter().product();
    let (hidden, unit) = (config.hidden_size, config.merge_unit());
    let plan = WindowPlan::new(grid, config);
    let (windows, frames) = (plan.window_layout(), plan.frame_layout());
    let heads = heads(config.num_heads, config.num_heads, config.head_dim());
    let layers: f64 = (0..config.depth)
        .map(|block_idx| {
            let full = config.fullatt_block_indexes.contains(&block_idx);
            let layout = if full { &frames } else { &windows };
            linear(patches, hidden, 4 * hidden)
                + linear(patches, hidden, 3 * config.intermediate_size)
                + layout.flops(&heads)
        })
        .sum();
    linear(patches, config.patch_features(), hidden)
        + layers
        + linear(patches / unit, hidden * unit, hidden * unit + config.out_hidden_size)
}

fn of_language(config: &TextConfig, tree: &PrefixTree, num_scores: usize) -> f64 {
    let hidden = config.hidden_size;
    let (queries, keys) = (
        config.num_attention_heads * config.head_dim,
        2 * config.num_key_value_heads * config.head_dim,
    );
    let heads = heads(config.num_attention_heads, config.num_key_value_heads, config.head_dim);
    let key_value = |rows| linear(rows, hidden, keys);
    let rest = |rows| {
        linear(rows, hidden, 2 * queries) + linear(rows, hidden, 3 * config.intermediate_size)
    };
    let before_last = (config.num_hidden_layers - 1) as f64;
    let rows = tree.num_rows();
    before_last * (key_value(rows) + rest(rows) + tree.layout().flops(&heads))
        + key_value(rows)
        + rest(num_scores)
}

fn heads(num_heads: usize, num_key_value_heads: usize, head_dim: usize) -> Heads {
    Heads { num_heads, num_key_value_heads, head_dim, query_col: 0, key_col: 0, value_col: 0 }
}
