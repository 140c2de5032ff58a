//! Looking up rows of an embedding table.

use crate::matrix::{DType, Element, Matrix};
use crate::parallel::for_each_row;
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
    let source = table.as_slice::<T>();
    let mut out = vec![0.0_f32; ids.len() * cols];
    for_each_row(&mut out, cols, |row, out| {
        let values = &source[ids[row] as usize * cols..][..cols];
        for (to, from) in out.iter_mut().zip(values) {
            *to = from.to_f32();
        }
    });
    Matrix::from_vec(ids.len(), cols, out)
}
