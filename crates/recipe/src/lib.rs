//! Recipes: TOML files that decide everything about a piece of work, read with overrides, and with errors that show the line.
//!
//! What the keys are is the type of the caller, which derives `Deserialize` with `deny_unknown_fields` and checks what types cannot say.

mod difference;
mod error;
mod locate;
mod read;

pub use difference::differing_keys;
pub use error::{Place, RecipeError};
pub use read::{Fault, Recipe, hash, parse, read, to_toml};
