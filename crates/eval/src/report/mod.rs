//! Pages about judged pairs and benchmarks: charts, the surest mistakes.
//!
//! They only show: every figure was computed elsewhere. Texts of data sets are escaped wherever they appear.

pub mod charts;
pub mod mistakes;
