//! Bringing operands to panels: `[k / group][width][group]`, zero where rows or `k` end early.
//!
//! `width` rows stand side by side so that one load gives the kernel the same `k` of all of them; `group`
//! neighbors along `k` stay together where an instruction consumes them together (2 for bf16 dot products,
//! 32 for the rows of an AMX tile).

use super::transpose::{Transpose, interleave};
use crate::matrix::Element;
use crate::parallel::{Vectorized, vectorized};
use std::ops::Range;

/// How many `k` groups are transposed at a time: source lines and destination stay in the L1 cache.
const BLOCK: usize = 32;

/// Packs up to `width` rows of `k` values each, `stride` apart, into one panel.
///
/// # Shapes
/// `source`: `[rows ≤ width, stride]`, of which the first `k` of each row are taken; `panel`: `[padded k, width]`.
pub(crate) fn pack_rows<T: Element>(
    source: &[T],
    stride: usize,
    k: usize,
    width: usize,
    group: usize,
    panel: &mut [T],
) {
    let rows = if k == 0 { 0 } else { (source.len() + stride - k) / stride };
    debug_assert!(rows <= width);
    match group {
        1 => pack_groups::<T, 1>(source, stride, k, rows, width, panel),
        2 => pack_groups::<T, 2>(source, stride, k, rows, width, panel),
        32 => pack_groups::<T, 32>(source, stride, k, rows, width, panel),
        _ => unreachable!("no kernel groups {group} values"),
    }
}

fn pack_groups<T: Element, const GROUP: usize>(
    source: &[T],
    stride: usize,
    k: usize,
    rows: usize,
    width: usize,
    panel: &mut [T],
) {
    let whole = k / GROUP;
    if rows < width || !k.is_multiple_of(GROUP) || panel.len() > whole * width * GROUP {
        panel.fill(T::default());
    }
    if GROUP <= 2 && stride.is_multiple_of(GROUP) {
        vectorized(Transpose {
            source: source.as_chunks::<GROUP>().0,
            source_stride: stride / GROUP,
            target: panel.as_chunks_mut::<GROUP>().0,
            target_stride: width,
            rows,
            cols: whole,
        });
    } else {
        copy_groups::<T, GROUP>(source, stride, whole, rows, width, panel);
    }
    for row in 0..rows {
        for i in whole * GROUP..k {
            panel[(whole * width + row) * GROUP + i % GROUP] = source[row * stride + i];
        }
    }
}

/// Copies groups one by one: those of a whole line of the cache, and those that do not begin at a multiple of their length.
fn copy_groups<T: Element, const GROUP: usize>(
    source: &[T],
    stride: usize,
    count: usize,
    rows: usize,
    width: usize,
    panel: &mut [T],
) {
    for block_start in (0..count).step_by(BLOCK) {
        let block_end = count.min(block_start + BLOCK);
        for row in 0..rows {
            let values =
                &source[row * stride + block_start * GROUP..][..(block_end - block_start) * GROUP];
            let target = &mut panel[(block_start * width + row) * GROUP..];
            for (from, to) in values.chunks_exact(GROUP).zip(target.chunks_mut(width * GROUP)) {
                to[..GROUP].copy_from_slice(from);
            }
        }
    }
}

/// Packs the transpose into one panel: each of `rows` has the values of one `k` for up to `width` columns.
///
/// # Shapes
/// `rows`: `k` slices of `cols ≤ width` values; `panel`: `[at least padded k, width]`, zero behind the last row.
pub(crate) fn pack_transposed<'a, T: Element>(
    rows: impl Iterator<Item = &'a [T]>,
    width: usize,
    group: usize,
    panel: &mut [T],
) {
    pack_transposed_panels(rows, width, group, panel.len(), panel);
}

/// As [`pack_transposed`], into neighboring panels, which reads longer runs of each row.
///
/// # Shapes
/// `rows`: `k` slices of up to `width` columns for each panel; `panels`: `[panels, panel_len]`.
pub(crate) fn pack_transposed_panels<'a, T: Element>(
    rows: impl Iterator<Item = &'a [T]>,
    width: usize,
    group: usize,
    panel_len: usize,
    panels: &mut [T],
) {
    match group {
        1 => vectorized(TransposedPanels::<T, _, 1> { rows, width, panel_len, panels }),
        2 => vectorized(TransposedPanels::<T, _, 2> { rows, width, panel_len, panels }),
        32 => vectorized(TransposedPanels::<T, _, 32> { rows, width, panel_len, panels }),
        _ => unreachable!("no kernel groups {group} values"),
    }
}

struct TransposedPanels<'t, T, R, const GROUP: usize> {
    rows: R,
    width: usize,
    panel_len: usize,
    panels: &'t mut [T],
}

impl<'a, T: Element, R: Iterator<Item = &'a [T]>, const GROUP: usize> Vectorized
    for TransposedPanels<'_, T, R, GROUP>
{
    #[inline(always)]
    fn run(mut self) {
        let mut lines: [&[T]; GROUP] = [&[]; GROUP];
        let mut gathered = Vec::new();
        let step = self.width * GROUP;
        let mut start = 0;
        loop {
            let mut count = 0;
            for (line, row) in lines.iter_mut().zip(&mut self.rows) {
                *line = row;
                count += 1;
            }
            if count == 0 {
                break;
            }
            for (i, panel) in self.panels.chunks_exact_mut(self.panel_len.max(1)).enumerate() {
                let first = (i * self.width).min(lines[0].len());
                let cols = self.width.min(lines[0].len() - first);
                let target = &mut panel[start..start + step];
                if cols < self.width || count < GROUP {
                    target.fill(T::default());
                }
                pack_lines(&lines, count, first..first + cols, target, &mut gathered);
            }
            start += step;
        }
        for panel in self.panels.chunks_exact_mut(self.panel_len.max(1)) {
            panel[start..].fill(T::default());
        }
    }
}

/// Packs the transpose of at most `GROUP` rows into one group of a panel.
#[inline(always)]
fn pack_lines<T: Element, const GROUP: usize>(
    lines: &[&[T]; GROUP],
    count: usize,
    cols: Range<usize>,
    target: &mut [T],
    gathered: &mut Vec<T>,
) {
    if GROUP == 1 {
        target[..cols.len()].copy_from_slice(&lines[0][cols]);
    } else if GROUP == 2 && count == 2 {
        interleave(&lines[0][cols.clone()], &lines[1][cols], target);
    } else {
        gathered.clear();
        for line in &lines[..count] {
            gathered.extend_from_slice(&line[cols.clone()]);
        }
        let (source_stride, cols) = (cols.len(), cols.len());
        Transpose {
            source: gathered,
            source_stride,
            target,
            target_stride: GROUP,
            rows: count,
            cols,
        }
        .run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_panel_is_the_panel_of_the_transpose() {
        for group in [1, 2, 32] {
            for (k, cols, width) in
                [(1, 1, 12), (33, 50, 12), (64, 64, 32), (70, 31, 32), (97, 130, 64)]
            {
                let values: Vec<f32> = (1..).take(k * cols).map(|i| i as f32).collect();
                let transposed: Vec<f32> =
                    (0..cols * k).map(|i| values[i % k * cols + i / k]).collect();
                let panel_len = width * k.next_multiple_of(32);
                let panels = cols.div_ceil(width);
                let mut expected = vec![f32::NAN; panels * panel_len];
                for (panel, rows) in
                    expected.chunks_exact_mut(panel_len).zip(transposed.chunks(width * k))
                {
                    pack_rows(rows, k, k, width, group, panel);
                }
                let mut got = vec![f32::NAN; panels * panel_len];
                let rows = values.chunks_exact(cols);
                pack_transposed_panels(rows, width, group, panel_len, &mut got);
                assert_eq!(got, expected, "k {k} cols {cols} width {width} group {group}");
            }
        }
    }
}
