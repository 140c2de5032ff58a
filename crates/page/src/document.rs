//! The frame of every page: head, content policy and style, a script where one is needed; and files that are replaced at once.
//!
//! What stands in the body is the caller's.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::markup::Markup;

/// Keeps a browser from loading anything, whatever a text of the data may say.
const CONTENT_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// How all pages look.
pub const STYLE: &str = include_str!("style.css");

/// What a page has beyond the common style: rules and a script, both the program's own.
#[derive(Debug, Clone, Copy)]
pub struct Behavior {
    /// Further rules of style.
    pub style: &'static str,
    /// A script, which runs when the page has been read. No other can run: the content policy has its hash.
    pub script: &'static str,
}

/// A whole page with whatever `body` writes. Nothing on it runs.
pub fn document(title: &str, body: impl FnOnce(&mut Markup)) -> String {
    framed(title, None, body)
}

/// A whole page with a script of the program's own.
///
/// # Panics
/// When the script has the end of a script in it.
pub fn document_with(title: &str, behavior: Behavior, body: impl FnOnce(&mut Markup)) -> String {
    assert!(!behavior.script.contains("</"), "the script would end there");
    framed(title, Some(behavior), body)
}

fn framed(title: &str, behavior: Option<Behavior>, body: impl FnOnce(&mut Markup)) -> String {
    let policy = match behavior {
        Some(Behavior { script, .. }) => {
            let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
            format!("{CONTENT_POLICY}; script-src 'sha256-{hash}'")
        }
        None => CONTENT_POLICY.to_owned(),
    };
    let mut page = Markup::default();
    page.element("html", &[("lang", &"en")], |page| {
        page.element("head", &[], |page| {
            page.void("meta", &[("charset", &"utf-8")]);
            page.void("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy)]);
            let viewport = "width=device-width, initial-scale=1";
            page.void("meta", &[("name", &"viewport"), ("content", &viewport)]);
            page.void("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            page.leaf("title", &[], title);
            page.style(STYLE);
            if let Some(behavior) = behavior {
                page.style(behavior.style);
            }
        });
        page.element("body", &[], |page| {
            body(page);
            if let Some(behavior) = behavior {
                page.script(behavior.script);
            }
        });
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
    fn only_the_script_of_the_page_may_run() {
        // The hash of `alert(1)`, from another implementation.
        let policy = "script-src &#39;sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=&#39;";
        let behavior = Behavior { style: "b { color: red }", script: "alert(1)" };
        let page = document_with("title", behavior, |page| page.leaf("p", &[], "<script>"));
        assert!(page.contains(policy), "{page}");
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("<script>alert(1)</script>") && page.contains("b { color: red }"));
        assert!(!document("title", |_| {}).contains("script"));
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
