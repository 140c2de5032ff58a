//! M-RoPE positions: where each token of a conversation stands in time, height and width.
//!
//! # Source
//! `transformers` 5.23, `models/qwen2_5_vl/modeling_qwen2_5_vl.py`, `get_rope_index`.

/// Run of tokens that stand for one picture or video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct VisualRun {
    /// Index of its first token.
    pub(crate) start: usize,
    /// Tokens along time, height and width.
    pub(crate) tokens: [usize; 3],
    /// Positions between one group of frames and the next.
    pub(crate) time_interval: f32,
}

impl VisualRun {
    fn len(&self) -> usize {
        self.tokens.iter().product()
    }
}

/// Distance in time between groups of frames of a video.
///
/// PARITY: the reference multiplies an integer by a tensor of f32 seconds.
pub(crate) fn time_interval(tokens_per_second: f64, temporal_patch_size: usize, fps: f64) -> f32 {
    tokens_per_second as f32 * (temporal_patch_size as f64 / fps) as f32
}

/// Positions `[num_tokens]` of (time, height, width); `runs` in the order of their tokens.
pub(crate) fn mrope_positions(num_tokens: usize, runs: &[VisualRun]) -> Vec<[u32; 3]> {
    let mut positions = Vec::with_capacity(num_tokens);
    let mut next = 0u32;
    for run in runs {
        push_text(&mut positions, &mut next, run.start);
        let [frames, rows, columns] = run.tokens;
        for frame in 0..frames {
            let time = (frame as f32 * run.time_interval) as u32;
            for row in 0..rows as u32 {
                let columns = 0..columns as u32;
                positions.extend(columns.map(|column| [next + time, next + row, next + column]));
            }
        }
        debug_assert_eq!(positions.len(), run.start + run.len(), "positions of one visual");
        next += rows.max(columns) as u32;
    }
    push_text(&mut positions, &mut next, num_tokens);
    positions
}

fn push_text(positions: &mut Vec<[u32; 3]>, next: &mut u32, until: usize) {
    while positions.len() < until {
        positions.push([*next; 3]);
        *next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_alone_counts_up() {
        assert_eq!(mrope_positions(3, &[]), [[0; 3], [1; 3], [2; 3]]);
    }

    #[test]
    fn text_after_a_picture_continues_from_its_longer_side() {
        let run = VisualRun { start: 1, tokens: [1, 2, 3], time_interval: 1.0 };
        let expected = [
            [0, 0, 0],
            [1, 1, 1],
            [1, 1, 2],
            [1, 1, 3],
            [1, 2, 1],
            [1, 2, 2],
            [1, 2, 3],
            [4, 4, 4],
        ];
        assert_eq!(mrope_positions(8, &[run]), expected);
    }

    #[test]
    fn frames_of_a_video_are_spaced_by_their_time() {
        let interval = time_interval(2.0, 2, 3.0);
        let run = VisualRun { start: 0, tokens: [4, 1, 1], time_interval: interval };
        let times: Vec<u32> = mrope_positions(4, &[run]).iter().map(|[time, ..]| *time).collect();
        assert_eq!(times, [0, 1, 2, 4]);
    }
}
