//! Looking up rows of an embedding table. The gradient is [`crate::parameters::Gradients::add_rows`].

use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, for_each_row};
use crate::parameters::ParameterId;
use half::bf16;
use std::sync::Arc;

/// A table of embeddings, stored in the compute type, or shared in f32 with whoever trains it and rounded as it is looked up.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Arc<Matrix>,
    dtype: DType,
    parameter: Option<ParameterId>,
}

impl Embedding {
    /// A frozen table, `[vocabulary, cols]`.
    pub fn new(table: Matrix) -> Self {
        Self { dtype: table.dtype(), table: Arc::new(table), parameter: None }
    }

    /// Trains the table under this id, or freezes it.
    pub fn set_parameter(&mut self, parameter: Option<ParameterId>) {
        self.parameter = parameter;
    }

    /// The id under which the table is trained.
    pub fn parameter(&self) -> Option<ParameterId> {
        self.parameter
    }

    /// Lets go of the table, so that nobody else holds it while it is changed.
    pub fn release_table(&mut self) {
        self.table = Arc::new(Matrix::zeros(0, self.table.cols(), self.table.dtype()));
    }

    /// Replaces the table. An f32 table is rounded to the compute type as it is looked up, to the bits of a rounded table.
    pub fn set_table(&mut self, table: Arc<Matrix>) {
        self.table = table;
    }

    /// `y[i] = table[ids[i]]`, widened to f32.
    ///
    /// # Shapes
    /// Result: f32 `[ids.len(), cols]`.
    ///
    /// # Panics
    /// If an id is outside of the table.
    pub fn forward(&self, ids: &[u32]) -> Matrix {
        match (self.table.dtype(), self.dtype) {
            (DType::F32, DType::F32) => lookup::<f32>(&self.table, ids),
            (DType::F32, DType::Bf16) => {
                let mut rows = lookup::<f32>(&self.table, ids);
                for value in rows.as_mut_slice::<f32>() {
                    *value = bf16::from_f32(*value).to_f32();
                }
                rows
            }
            (DType::Bf16, _) => lookup::<bf16>(&self.table, ids),
        }
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
