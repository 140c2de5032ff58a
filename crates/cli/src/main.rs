//! The basereward binary.
fn main() {}
