//! Pages for people: one HTML file that needs no network and no other file, and a script only where people leaf through many things.
//!
//! A page is written by nested calls, so that every element is closed and every text escaped. What stands on it, and where its
//! figures come from, is the caller's.

pub mod axis;
pub mod chart;
pub mod document;
pub mod markup;
pub mod number;
pub mod parts;
pub mod thumbnail;

pub use markup::Markup;
