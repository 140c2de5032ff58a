//! What protocols of other servers have in common: bodies with optional fields, rendered texts, pairs, and the shapes of replies.
//!
//! A protocol's own routes are a file in `routes`; here is nothing that only one of them needs.

pub(crate) mod content;
pub(crate) mod either;
pub(crate) mod examples;
pub(crate) mod options;
pub(crate) mod reply;
pub(crate) mod tei;
pub(crate) mod texts;
pub(crate) mod vllm;
