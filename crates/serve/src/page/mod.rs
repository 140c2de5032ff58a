//! The page at `/`, where people try the model: one document with its style and its script inside, and a policy that lets nothing else
//! run or load.
//!
//! It says nothing of the model: it asks the routes, with the key of whoever looks at it. What it shows and how is in the files beside.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Html;
use axum::routing::{MethodRouter, get};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use page::document::STYLE as COMMON_STYLE;
use ring::digest::{SHA256, digest};

use crate::server::Server;

const INDEX: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("script/tools.js"),
    include_str!("script/form.js"),
    include_str!("script/results.js"),
    include_str!("script/arena.js"),
    include_str!("script/main.js"),
);
/// Where style and script stand in the document.
const PLACES: [&str; 2] = ["@style@", "@script@"];

/// The page with its policy.
pub(crate) fn route() -> MethodRouter<Server> {
    let (page, policy) = assemble();
    get(move || async move {
        let headers = [
            (CONTENT_SECURITY_POLICY, policy),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (REFERRER_POLICY, "no-referrer".to_owned()),
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        (headers, Html(page))
    })
}

/// The document, and the policy that names its style and its script by their hashes.
fn assemble() -> (String, String) {
    let style = format!("{COMMON_STYLE}{STYLE}");
    let page = INDEX
        .replace(PLACES[0], &format!("<style>{style}</style>"))
        .replace(PLACES[1], &format!("<script>{SCRIPT}</script>"));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        source(SCRIPT),
        source(&style)
    );
    (page, policy)
}

/// A text as the policy names it.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Values of an attribute, wherever it stands in the document.
    fn values<'a>(name: &str, text: &'a str) -> BTreeSet<&'a str> {
        let begin = format!("{name}=\"");
        text.split(&begin).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    fn tags<'a>(kinds: &[&str], text: &'a str) -> Vec<&'a str> {
        let tags = text.split('<').skip(1).filter_map(|rest| rest.split('>').next());
        tags.filter(|tag| kinds.contains(&tag.split(' ').next().unwrap_or_default())).collect()
    }

    #[test]
    fn the_document_is_well_formed_and_inert_without_its_script() {
        let text = testkit::page::text_of(INDEX);
        assert!(PLACES.iter().all(|place| text.matches(place).count() == 1));
        testkit::page::assert_inert(&INDEX.replace(" href=\"/docs\"", ""));
        assert!(values("style", INDEX).is_empty());
    }

    #[test]
    fn every_label_has_its_control_and_every_control_its_label() {
        let ids = values(" id", INDEX);
        for name in ["for", "aria-labelledby"] {
            assert!(values(name, INDEX).is_subset(&ids), "{name}");
        }
        let labels = values("for", INDEX);
        let page = INDEX.split("<template").next().unwrap();
        let controls = tags(&["input", "textarea", "select"], page);
        assert_eq!(controls.len(), 4);
        for control in controls {
            let id = values(" id", control).pop_first().unwrap();
            assert!(labels.contains(id), "{control}");
        }
        for image in tags(&["img"], INDEX) {
            assert!(image.contains("alt="), "{image}");
        }
        assert_eq!(INDEX.matches("role=\"status\"").count(), 2);
        assert!(INDEX.contains("role=\"alert\"") && INDEX.contains("aria-live=\"polite\""));
    }

    #[test]
    fn the_script_finds_what_it_looks_for() {
        let ids = values(" id", INDEX);
        for call in ["by(\"", "row(\""] {
            let found = SCRIPT.split(call).skip(1).filter_map(|rest| rest.split('"').next());
            for id in found {
                assert!(ids.contains(id), "{id}");
            }
        }
    }

    #[test]
    fn the_script_makes_no_markup_of_texts_and_asks_only_this_server() {
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "import("]
        {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        assert!(!SCRIPT.contains("//localhost") && !SCRIPT.contains("http:"));
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn the_policy_names_exactly_what_stands_in_the_page() {
        let (page, policy) = assemble();
        for tag in ["style", "script"] {
            let begin = format!("<{tag}>");
            let (_, rest) = page.split_once(&begin).unwrap();
            let (text, _) = rest.split_once(&format!("</{tag}>")).unwrap();
            assert_eq!(page.matches(&begin).count(), 1);
            assert!(policy.contains(&format!("{tag}-src {};", source(text))), "{tag}");
        }
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        let empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
        assert_eq!(source(""), empty);
    }
}
