//! Looking up rows of an embedding table.

use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, for_each_row};
use half::bf16;

/// `y[i] = table[ids[i]]`, widened to f32.
///
/// # Shapes
/// `table`: `[vocabulary, cols]`; result: f32 `[ids.len(), cols]`.
///
/// # Panics
/// If an id is outside of the table.
pub fn embedding(table: &Matrix, ids: &[u32]) -> Matrix {
    match table.dtype() {
        DType::F32 => lookup::<f32>(table, ids),
        DType::Bf16 => lookup::<bf16>(table, ids),
    }
}

fn lookup<T: Element>(table: &Matrix, ids: &[u32]) -> Matrix {
    let cols = table.cols();
    let mut out = Matrix::unspecified::<f32>(ids.len(), cols);
    let work = Lookup { table: table.as_slice::<T>(), ids };
    for_each_row(out.as_mut_slice::<f32>(), cols, &work);
    out
}

struct Lookup<'a, T> {
    table: &'a [T],
    ids: &'a [u32],
}

impl<T: Element> RowWork<f32> for Lookup<'_, T> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [f32]) {
        let values = &self.table[self.ids[row_idx] as usize * row.len()..][..row.len()];
        for (to, from) in row.iter_mut().zip(values) {
            *to = from.to_f32();
        }
    }
}
