//! Bringing operands to panels: `[k / group][width][group]`, zero where rows or `k` end early.
//!
//! `width` rows stand side by side so that one load gives the kernel the same `k` of all of them; `group`
//! neighbors along `k` stay together where an instruction consumes them together (2 for bf16 dot products,
//! 32 for the rows of an AMX tile).

use crate::matrix::Element;

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
    for block_start in (0..whole).step_by(BLOCK) {
        let block_end = whole.min(block_start + BLOCK);
        for row in 0..rows {
            let values =
                &source[row * stride + block_start * GROUP..][..(block_end - block_start) * GROUP];
            let target = &mut panel[(block_start * width + row) * GROUP..];
            for (from, to) in values.chunks_exact(GROUP).zip(target.chunks_mut(width * GROUP)) {
                to[..GROUP].copy_from_slice(from);
            }
        }
    }
    for row in 0..rows {
        for i in whole * GROUP..k {
            panel[(whole * width + row) * GROUP + i % GROUP] = source[row * stride + i];
        }
    }
}

/// Packs the transpose: each of `rows` has the values of one `k` for up to `width` columns.
///
/// # Shapes
/// `rows`: `k` slices of `cols ≤ width` values; `panel`: `[at least padded k, width]`, zero behind the last row.
pub(crate) fn pack_transposed<'a, T: Element>(
    rows: impl Iterator<Item = &'a [T]>,
    width: usize,
    group: usize,
    panel: &mut [T],
) {
    panel.fill(T::default());
    for (i, row) in rows.enumerate() {
        let start = (i / group) * width * group + i % group;
        for (value, slot) in row.iter().zip(panel[start..].iter_mut().step_by(group)) {
            *slot = *value;
        }
    }
}
