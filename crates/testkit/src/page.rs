//! What holds for every HTML page that the program writes: well formed, and nothing on it loads or runs.
//!
//! Not a parser for pages of others: attribute values must have no angle brackets, which escaping sees to.

/// Checks that every element is closed in order and returns the page's text without its tags.
///
/// # Panics
/// When the page is not well formed.
pub fn text_of(page: &str) -> String {
    let mut open: Vec<&str> = Vec::new();
    let mut text = String::new();
    let body = page.strip_prefix("<!DOCTYPE html>").expect("a page has a document type");
    let mut rest = body;
    while let Some(begin) = rest.find('<') {
        text.push_str(&rest[..begin]);
        let end = begin + rest[begin..].find('>').expect("a tag ends");
        let tag = &rest[begin + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or(tag));
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    text
}

/// Checks that a page loads nothing from elsewhere and has nothing that runs. Addresses in its texts are only texts.
///
/// # Panics
/// When it does.
pub fn assert_inert(page: &str) {
    for forbidden in ["<script", "<link", "<iframe", "url(", "@import"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        // Every second piece is the value of an attribute.
        let names = tag.split('"').step_by(2);
        assert!(names.flat_map(str::split_whitespace).all(|name| !name.starts_with("on")), "{tag}");
        for loads in ["src=\"", "href=\"", "srcset=\"", "data=\""] {
            let value = tag.split_once(loads).map_or("data:", |(_, value)| value);
            assert!(value.starts_with("data:"), "{tag}");
        }
    }
}
