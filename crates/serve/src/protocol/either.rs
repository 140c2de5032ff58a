//! Bodies of several shapes on one path, told apart by keys that only one of them has.

use std::borrow::Cow;

use utoipa::openapi::schema::{OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::admission::ReadBody;
use crate::error::ApiError;
use crate::protocol::options::{Posted, Protocol, has_key};

/// Body of one of two shapes, each of which may be of one of two shapes again.
pub(crate) enum Either<A, B> {
    /// The one that has none of the keys of the other.
    First(A),
    /// The one that is told by its keys.
    Second(B),
}

/// Body of a protocol, or of one of several.
pub(crate) trait Shape: ToSchema {
    /// # Errors
    /// As [`ReadBody`].
    fn read(bytes: &[u8]) -> Result<Self, ApiError>
    where
        Self: Sized;
}

/// Body that is told by its keys from others on the same path.
pub(crate) trait Told: Protocol {
    /// Keys that others have not; such a body has one of them.
    const KEYS: &'static [&'static str];
}

impl<T: Protocol> Shape for T {
    fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        Posted::read_body(bytes).map(|Posted(body)| body)
    }
}

impl<A: Shape, B: Told> Shape for Either<A, B> {
    fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        if has_key(bytes, B::KEYS)? {
            B::read(bytes).map(Self::Second)
        } else {
            A::read(bytes).map(Self::First)
        }
    }
}

impl<A: Shape, B: Told> ReadBody for Either<A, B> {
    fn read_body(bytes: &[u8]) -> Result<Self, ApiError> {
        Self::read(bytes)
    }
}

impl<A: ToSchema, B: ToSchema> PartialSchema for Either<A, B> {
    fn schema() -> RefOr<Schema> {
        let first = Ref::from_schema_name(A::name());
        let second = Ref::from_schema_name(B::name());
        OneOfBuilder::new().item(first).item(second).into()
    }
}

impl<A: ToSchema, B: ToSchema> ToSchema for Either<A, B> {
    fn name() -> Cow<'static, str> {
        format!("{}Or{}", A::name(), B::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((A::name().into_owned(), A::schema()));
        schemas.push((B::name().into_owned(), B::schema()));
        A::schemas(schemas);
        B::schemas(schemas);
    }
}
