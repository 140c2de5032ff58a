//! The frame of every page: head, content policy and style; and files that are replaced at once.
//!
//! What stands in the body is the caller's.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::markup::Markup;

/// Keeps a browser from loading anything, whatever a text of the data may say.
const CONTENT_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// How all pages look.
pub const STYLE: &str = include_str!("style.css");

/// A whole page with whatever `body` writes.
pub fn document(title: &str, body: impl FnOnce(&mut Markup)) -> String {
    let mut page = Markup::default();
    page.element("html", &[("lang", &"en")], |page| {
        page.element("head", &[], |page| {
            page.void("meta", &[("charset", &"utf-8")]);
            page.void(
                "meta",
                &[("http-equiv", &"Content-Security-Policy"), ("content", &CONTENT_POLICY)],
            );
            let viewport = "width=device-width, initial-scale=1";
            page.void("meta", &[("name", &"viewport"), ("content", &viewport)]);
            page.void("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            page.leaf("title", &[], title);
            page.style(STYLE);
        });
        page.element("body", &[], body);
    });
    page.into_document()
}

/// Replaces a file at once: a reader never sees half of it. What a crash of the machine leaves is up to the file system.
///
/// # Errors
/// Whatever the operating system says.
pub fn replace(path: &Path, content: &str) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The first error is the one to tell; whether the rest can be removed changes nothing.
        drop(fs::remove_file(&unfinished));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_policy_against_loading_before_anything_that_could_load() {
        let page = document("a & b", |page| page.leaf("p", &[], "text"));
        let policy = page.find("Content-Security-Policy").unwrap();
        assert!(policy < page.find("<title>").unwrap() && policy < page.find("<style>").unwrap());
        assert!(page.contains("<title>a &amp; b</title>"));
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    }

    #[test]
    fn a_file_is_replaced_at_once_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        fs::write(&path, "before").unwrap();
        replace(&path, "after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("absent").join("page.html"), "").is_err());
    }
}
