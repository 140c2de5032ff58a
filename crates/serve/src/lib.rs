//! A reward server over HTTP.
//!
//! A request goes one way: it is admitted ([`admission`]), read and checked ([`request`]), turned into tokens and patches
//! (`prepare`), waits in a bounded queue, is scored together with others (`batcher`, `model_thread`), and answered.
//! [`Server::score`] is that way; every route goes through it, so that no route can give another reward than `basereward score`.
//!
//! Nothing here reads arguments, environment variables or data sets, and nothing of a request is logged.

pub mod activation;
pub mod admission;
pub mod auth;
mod batcher;
pub mod card;
pub mod config;
mod connections;
pub mod error;
mod feedback;
mod fetch;
pub mod lifecycle;
pub mod listen;
pub mod metrics;
mod model_thread;
mod page;
mod pictures;
mod prepare;
mod protocol;
mod reference;
pub mod request;
pub mod request_id;
pub mod routes;
pub mod server;

pub use admission::Admitted;
pub use card::{Card, Training};
pub use config::{Access, Config, Identity, Limits, Served};
pub use error::ApiError;
pub use request::Question;
pub use routes::app;
pub use server::{Scored, Server, Timings, Usage};
