//! Content hashes of tensors: equal for two models exactly when names, types, shapes and numbers are equal.
//!
//! Which files hold the tensors, in which order and under which of the two namings changes nothing.

use std::io::{self, Write};

use model::LoadError;
use model::checkpoint::{Checkpoint, TensorInfo};

/// BLAKE3 hash, in hexadecimal, of the tensors for which `belongs` is true.
///
/// Hashed is, tensor by tensor in the order of canonical names: name, number type and shape as text, each closed by
/// a zero byte, then the numbers as they are stored, little endian.
///
/// # Errors
/// A tensor whose number type is not read.
pub(crate) fn of_tensors(
    checkpoint: &Checkpoint,
    belongs: impl Fn(&str) -> bool,
) -> Result<String, LoadError> {
    let mut infos: Vec<TensorInfo<'_>> =
        checkpoint.infos().filter(|info| belongs(info.name)).collect();
    infos.sort_unstable_by_key(|info| info.name);
    let mut hasher = Parallel(blake3::Hasher::new());
    for info in infos {
        let tensor = checkpoint.tensor(info.name, info.shape)?;
        let heading = format!("{}\0{}\0{:?}\0", info.name, info.stored_as, info.shape);
        hasher.0.update(heading.as_bytes());
        tensor.write_to(&mut hasher).expect("a hasher takes every byte");
        tensor.release();
    }
    Ok(hasher.0.finalize().to_hex().to_string())
}

/// A hasher that splits what it is given among threads.
struct Parallel(blake3::Hasher);

impl Write for Parallel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update_rayon(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::tiny;
    use model::checkpoint::StorageType;
    use model::config::{Activation, RewardHeadConfig, ScorePosition};

    fn digest(seed: u64, storage_type: StorageType) -> String {
        let head = RewardHeadConfig {
            num_layers: 2,
            activation: Activation::Silu,
            hidden_size: 8,
            bias: true,
            position: ScorePosition::EndOfTurn,
        };
        let checkpoint = Checkpoint::random(&tiny::config(), &head, seed, storage_type);
        of_tensors(&checkpoint, |_| true).unwrap()
    }

    #[test]
    fn a_digest_depends_on_numbers_and_type_alone() {
        let digest_of_reference = digest(1, StorageType::Bf16);
        assert_eq!(digest(1, StorageType::Bf16), digest_of_reference);
        assert_ne!(digest(2, StorageType::Bf16), digest_of_reference);
        assert_ne!(digest(1, StorageType::F32), digest_of_reference);
    }
}
