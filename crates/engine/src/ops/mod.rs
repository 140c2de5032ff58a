//! The closed list of operations, one file each.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod linear;
pub(crate) mod log_prob;
pub(crate) mod rms_norm;
pub(crate) mod rotary;
pub(crate) mod rows;
pub(crate) mod weight;
