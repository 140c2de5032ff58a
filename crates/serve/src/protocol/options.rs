//! Optional fields of other servers: those that make no difference here are taken by name, those that would change a reward are refused.
//!
//! They are told apart from the fields of a body while it is read, so that a body stays strict: any other unknown field is a fault.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer,
    MapAccess, Visitor,
};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};
use utoipa::openapi::{OpenApi, RefOr};

use crate::admission::{ReadBody, parse};
use crate::error::ApiError;

/// Body that may have optional fields besides its own.
pub(crate) trait Protocol: DeserializeOwned + ToSchema {
    /// The optional fields.
    const OPTIONS: &'static [&'static [Optional]];
}

/// An optional field of a protocol.
#[derive(Debug)]
pub(crate) struct Optional {
    name: &'static str,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    /// Any value will do.
    Neutral,
    /// Only null and these values, written as JSON.
    Only { values: &'static [&'static str], why: &'static str },
}

/// Field whose value makes no difference here.
pub(crate) const fn neutral(name: &'static str) -> Optional {
    Optional { name, rule: Rule::Neutral }
}

/// Field that is taken when it is null or has one of these values, written as JSON; `why` says what another value would ask for.
pub(crate) const fn only(
    name: &'static str,
    values: &'static [&'static str],
    why: &'static str,
) -> Optional {
    Optional { name, rule: Rule::Only { values, why } }
}

impl Optional {
    fn allows(&self, value: &Value) -> bool {
        match &self.rule {
            Rule::Neutral => true,
            Rule::Only { values, .. } => {
                value.is_null()
                    || values
                        .iter()
                        .any(|text| text.parse().is_ok_and(|allowed: Value| allowed == *value))
            }
        }
    }

    fn sentence(&self) -> String {
        match &self.rule {
            Rule::Neutral => "Accepted; makes no difference here.".to_owned(),
            Rule::Only { values: [], why } => format!("Not taken: {why}; leave it out."),
            Rule::Only { values, why } => {
                let values: Vec<String> = values.iter().map(|text| format!("`{text}`")).collect();
                format!("Only {}: {why}.", values.join(" or "))
            }
        }
    }
}

/// A body of a protocol.
pub(crate) struct Posted<T>(pub(crate) T);

impl<T: Protocol> ReadBody for Posted<T> {
    fn read_body(bytes: &[u8]) -> Result<Self, ApiError> {
        let Apart::<T> { body, options } = parse(bytes)?;
        match options.into_iter().find(|(option, value)| !option.allows(value)) {
            None => Ok(Self(body)),
            Some((option, _)) => {
                let sentence = option.sentence();
                let message = format!("`{}`: {}", option.name, sentence.trim_end_matches('.'));
                Err(ApiError::invalid("unsupported_option", message).at(option.name))
            }
        }
    }
}

/// Keys of a body, for paths whose protocols are told apart by them.
///
/// # Errors
/// A body that is no JSON object.
pub(crate) fn has_key(bytes: &[u8], keys: &[&str]) -> Result<bool, ApiError> {
    struct Keys(Vec<String>);
    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(KeysVisitor)
        }
    }
    struct KeysVisitor;
    impl<'de> Visitor<'de> for KeysVisitor {
        type Value = Keys;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
            let mut keys = Vec::new();
            while let Some(key) = map.next_key()? {
                keys.push(key);
                map.next_value::<serde::de::IgnoredAny>()?;
            }
            Ok(Keys(keys))
        }
    }
    let Keys(found) = parse(bytes)?;
    Ok(keys.iter().any(|key| found.iter().any(|found| found == key)))
}

/// Adds the optional fields of a body to its description.
pub(crate) fn describe<T: Protocol>(document: &mut OpenApi) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let schema = schemas.and_then(|schemas| schemas.get_mut(&*T::name()));
    let Some(RefOr::T(Schema::Object(object))) = schema else {
        unreachable!("the body of a protocol is an object in the document")
    };
    for option in T::OPTIONS.iter().copied().flatten() {
        let field = ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .description(Some(option.sentence()));
        object.properties.insert(option.name.to_owned(), field.into());
    }
}

/// A body apart from its optional fields.
struct Apart<T> {
    body: T,
    options: Vec<(&'static Optional, Value)>,
}

impl<'de, T: Protocol> Deserialize<'de> for Apart<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ApartVisitor(PhantomData))
    }
}

struct ApartVisitor<T>(PhantomData<T>);

impl<'de, T: Protocol> Visitor<'de> for ApartVisitor<T> {
    type Value = Apart<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Apart<T>, A::Error> {
        let mut options = Vec::new();
        let fields = Fields { map, known: T::OPTIONS, options: &mut options };
        let body = T::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(Apart { body, options })
    }
}

/// The fields of an object without the optional ones, which are kept aside.
struct Fields<'a, A> {
    map: A,
    known: &'static [&'static [Optional]],
    options: &'a mut Vec<(&'static Optional, Value)>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        mut seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(KeySeed { seed, known: self.known })? {
                None => return Ok(None),
                Some(Key::Field(field)) => return Ok(Some(field)),
                Some(Key::Option(option, unused)) => {
                    if self.options.iter().any(|(given, _)| std::ptr::eq(*given, option)) {
                        return Err(A::Error::duplicate_field(option.name));
                    }
                    self.options.push((option, self.map.next_value()?));
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Reads a key as an option, or else as whatever the body takes it for: inside of the key, so that a fault is told with its name.
struct KeySeed<K> {
    seed: K,
    known: &'static [&'static [Optional]],
}

enum Key<F, K> {
    Field(F),
    Option(&'static Optional, K),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<K> {
    type Value = Key<K::Value, K>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for KeySeed<K> {
    type Value = Key<K::Value, K>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let option = self.known.iter().copied().flatten().find(|option| option.name == key);
        match option {
            Some(option) => Ok(Key::Option(option, self.seed)),
            None => self.seed.deserialize(key.into_deserializer()).map(Key::Field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as Derive;

    #[derive(Debug, Derive, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Body {
        input: Vec<String>,
    }

    impl Protocol for Body {
        const OPTIONS: &'static [&'static [Optional]] =
            &[&[neutral("user"), only("size", &["0"], "another size is another reward")]];
    }

    fn fault(body: &str) -> (&'static str, Option<String>) {
        let error = Posted::<Body>::read_body(body.as_bytes()).err().unwrap();
        (error.code, error.param)
    }

    #[test]
    fn fields_that_make_no_difference_are_taken_in_any_place() {
        for body in [
            r#"{"input":["a"]}"#,
            r#"{"user":{"name":[1]},"input":["a"],"size":0}"#,
            r#"{"size":null,"input":["a"],"user":null}"#,
        ] {
            let Posted(read) = Posted::<Body>::read_body(body.as_bytes()).ok().unwrap();
            assert_eq!(read.input, ["a"], "{body}");
        }
    }

    #[test]
    fn fields_that_would_change_a_reward_are_refused_with_a_sentence() {
        let error = Posted::<Body>::read_body(br#"{"input":["a"],"size":3}"#).err().unwrap();
        assert_eq!((error.code, error.param.as_deref()), ("unsupported_option", Some("size")));
        assert_eq!(error.message, "`size`: Only `0`: another size is another reward");
    }

    #[test]
    fn a_body_stays_strict_and_its_faults_have_their_places() {
        let at = |place: &str| ("invalid_request", Some(place.to_owned()));
        assert_eq!(fault(r#"{"input":["a"],"inputs":1}"#), at("inputs"));
        assert_eq!(fault(r#"{"user":1,"input":["a",2]}"#), at("input[1]"));
        assert_eq!(fault(r#"{"input":["a"],"user":1,"user":2}"#).0, "invalid_request");
        assert_eq!(fault(r#"{"input":["a"],"input":["b"]}"#).0, "invalid_request");
        assert_eq!(fault(r#"{"user":1}"#).0, "invalid_request");
        assert_eq!(fault("[]").0, "invalid_request");
        assert_eq!(fault(r#"{"input":["a"],"user":"#).0, "malformed_json");
    }

    #[test]
    fn keys_tell_bodies_apart() {
        assert!(has_key(br#"{"a":[{"b":1}],"c":2}"#, &["x", "c"]).unwrap());
        assert!(!has_key(br#"{"a":[{"b":1}],"c":2}"#, &["b"]).unwrap());
        assert_eq!(has_key(b"3", &["b"]).unwrap_err().code, "invalid_request");
    }
}
