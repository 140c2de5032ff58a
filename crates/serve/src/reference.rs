//! The reference page: the OpenAPI document for people.
//!
//! It says what the document says and nothing of its own, and loads nothing.

use page::document::document;
use page::markup::Markup;
use serde_json::Value;

/// How deep shapes are unfolded.
const MAX_DEPTH: usize = 6;

/// The page of an OpenAPI document.
pub(crate) fn page(json: &str) -> String {
    let api: Value = serde_json::from_str(json).expect("the document was written as JSON");
    let title = api["info"]["title"].as_str().unwrap_or("API").to_owned();
    document(&format!("{title}: reference"), |page| {
        page.leaf("h1", &[], &title);
        page.leaf("p", &[], text(&api["info"]["description"]));
        page.element("p", &[], |page| {
            page.text("For programs: ");
            page.leaf("a", &[("href", &"/openapi.json")], "/openapi.json");
        });
        for tag in tags(&api) {
            page.leaf("h2", &[], tag);
            for (path, method, operation) in routes(&api) {
                if operation["tags"][0] == tag {
                    route(page, &api, (path, method), operation);
                }
            }
        }
    })
}

/// Groups in the order in which the document has them; a route belongs to the first of its own.
fn tags(api: &Value) -> Vec<&str> {
    let mut tags = Vec::new();
    for (_, _, operation) in routes(api) {
        let tag = text(&operation["tags"][0]);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// Path, method and description of every route.
fn routes(api: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let methods = |(path, methods)| {
        entries(methods).map(move |(method, operation)| (path, method, operation))
    };
    entries(&api["paths"]).flat_map(methods)
}

fn route(page: &mut Markup, api: &Value, (path, method): (&str, &str), operation: &Value) {
    page.element("section", &[], |page| {
        page.leaf("h3", &[], format!("{} {path}", method.to_uppercase()));
        page.leaf("p", &[], text(&operation["summary"]));
        for paragraph in text(&operation["description"]).split("\n\n").filter(|one| !one.is_empty())
        {
            page.leaf("p", &[], paragraph);
        }
        if let Some((kind, body)) = entries(&operation["requestBody"]["content"]).next() {
            page.leaf("h4", &[], format!("Body ({kind})"));
            fields(page, api, &body["schema"], 0);
        }
        for (status, reply) in entries(&operation["responses"]) {
            page.leaf("h4", &[], format!("{status}: {}", text(&reply["description"])));
            if let Some((_, body)) = entries(&reply["content"]).next() {
                fields(page, api, &body["schema"], 0);
            }
        }
    });
}

/// The fields of a shape as a nested list; of several shapes, each one's after what it is.
fn fields(page: &mut Markup, api: &Value, schema: &Value, depth: usize) {
    let schema = resolve(api, schema);
    if depth > MAX_DEPTH {
        return;
    }
    if schema["properties"].is_null() {
        let shapes = inner(schema);
        let has_fields = |shape: &Value| !resolve(api, shape)["properties"].is_null();
        let is_choice = shapes.iter().filter(|shape| has_fields(shape)).count() > 1;
        for shape in shapes {
            if is_choice && has_fields(shape) {
                let description = text(&resolve(api, shape)["description"]);
                page.leaf("p", &[], format!("{}. {description}", kind(api, shape)));
            }
            fields(page, api, shape, depth);
        }
        return;
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.element("ul", &[], |page| {
        for (name, field) in entries(&schema["properties"]) {
            page.element("li", &[], |page| {
                page.leaf("code", &[], name);
                let needed = if required.contains(&name) { ", needed" } else { "" };
                page.text(format!(" ({}{needed}) ", kind(api, field)));
                page.text(description(field));
                fields(page, api, field, depth + 1);
            });
        }
    });
}

/// What is said of a field, which of an optional one stands with its shape.
fn description(field: &Value) -> &str {
    let mut said = std::iter::once(field).chain(inner(field)).map(|one| text(&one["description"]));
    said.find(|text| !text.is_empty()).unwrap_or_default()
}

/// The shapes that a value may have, or that its items may have.
fn inner(schema: &Value) -> Vec<&Value> {
    let choices = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array());
    let mut found: Vec<&Value> = choices.flatten().collect();
    if !schema["items"].is_null() {
        found.push(&schema["items"]);
    }
    found
}

/// What a field is, in a word or two.
fn kind(api: &Value, field: &Value) -> String {
    if let Some(reference) = field["$ref"].as_str() {
        let resolved = resolve(api, field);
        return match resolved["type"].as_str() {
            Some("object") | None => reference.rsplit('/').next().unwrap_or_default().to_owned(),
            Some(simple) => simple.to_owned(),
        };
    }
    if !field["items"].is_null() {
        return format!("list of {}", kind(api, &field["items"]));
    }
    match &field["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => {
            let kinds: Vec<String> = inner(field).into_iter().map(|one| kind(api, one)).collect();
            if kinds.is_empty() { "anything".to_owned() } else { kinds.join(" or ") }
        }
    }
}

fn resolve<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    api.pointer(reference.trim_start_matches('#')).unwrap_or(schema)
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
