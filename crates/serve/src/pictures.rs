//! Pictures by their names: from the request itself, and from files and addresses where that is allowed.
//!
//! What a picture shows is not looked at here; every picture leaves as bytes, named by its place in the request.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use prompt::{Conversation, ImageSource, Picture, Row, RowError};

use crate::config::{Access, Limits};
use crate::error::ApiError;
use crate::fetch::Fetcher;
use crate::request::Asked;

/// Bytes of pictures by the names under which a request asks for them.
pub(crate) type Found = BTreeMap<String, Vec<u8>>;

/// What pictures are allowed, and how they are found.
pub(crate) struct PictureRules {
    roots: Vec<PathBuf>,
    fetcher: Option<Fetcher>,
    max_image_bytes: usize,
    max_images: usize,
}

/// Pictures that a row names outside of itself, checked.
pub(crate) struct Outside {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) urls: Vec<(String, String)>,
}

impl Outside {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.urls.is_empty()
    }
}

impl PictureRules {
    /// # Errors
    /// A root that cannot be looked up.
    pub(crate) fn new(access: &Access, limits: &Limits) -> std::io::Result<Self> {
        let roots =
            access.roots.iter().map(|root| root.canonicalize()).collect::<Result<_, _>>()?;
        let fetcher = access.urls.then(|| Fetcher::new(limits.max_image_bytes));
        Ok(Self {
            roots,
            fetcher,
            max_image_bytes: limits.max_image_bytes,
            max_images: limits.max_images,
        })
    }

    /// The pictures of questions that are not in them, in two lists of (place, name).
    ///
    /// # Errors
    /// A question that is no conversation, too many pictures, and pictures where nothing of their kind is allowed.
    pub(crate) fn survey(&self, questions: &[Asked]) -> Result<Outside, ApiError> {
        let mut pictures = Vec::new();
        for Asked { row, names } in questions {
            let named = row.pictures().map_err(|error| names.place(error.into()))?;
            pictures.extend(named.into_iter().map(|(place, name)| (names.rename(&place), name)));
        }
        let (count, limit) = (pictures.len(), self.max_images);
        if count > limit {
            let message = format!("{count} pictures, but at most {limit} are taken; send fewer");
            return Err(ApiError::invalid("too_many_images", message).at(&pictures[limit].0));
        }
        let mut outside = Outside { files: Vec::new(), urls: Vec::new() };
        for (place, name) in pictures {
            if name.starts_with("data:") {
            } else if is_url(&name) {
                if self.fetcher.is_none() {
                    let message = "this server fetches nothing; send the picture as a data: URL";
                    return Err(refused("url_not_allowed", message).at(place));
                }
                outside.urls.push((place, name));
            } else if self.roots.is_empty() {
                let message = "this server reads no files; send the picture as a data: URL";
                return Err(refused("path_not_allowed", message).at(place));
            } else {
                outside.files.push((place, name));
            }
        }
        Ok(outside)
    }

    /// Fetches addresses, each once. Takes as long as their servers take.
    ///
    /// # Errors
    /// The first that cannot be had.
    pub(crate) fn fetch(&self, urls: &[(String, String)]) -> Result<Found, ApiError> {
        let mut found = Found::new();
        let Some(fetcher) = &self.fetcher else { return Ok(found) };
        for (place, url) in urls {
            if !found.contains_key(url) {
                let bytes = fetcher.fetch(url).map_err(|error| error.at(place))?;
                found.insert(url.clone(), bytes);
            }
        }
        Ok(found)
    }

    /// Reads files, each once.
    ///
    /// # Errors
    /// The first that is outside of the allowed folders, too large or not there; these look the same, so that nobody can find out
    /// which files there are.
    pub(crate) fn read(&self, files: &[(String, String)]) -> Result<Found, ApiError> {
        let mut found = Found::new();
        for (place, name) in files {
            if !found.contains_key(name) {
                let bytes = self.read_file(name).map_err(|error| error.at(place))?;
                found.insert(name.clone(), bytes);
            }
        }
        Ok(found)
    }

    fn read_file(&self, name: &str) -> Result<Vec<u8>, ApiError> {
        let written = Path::new(name.strip_prefix("file://").unwrap_or(name));
        let outside =
            || refused("path_not_allowed", "no such file in the folders that this server may read");
        let inside = |root: &PathBuf| {
            // Links are followed before the check, not after it.
            let path = root.join(written).canonicalize().ok()?;
            (path.starts_with(root) && path.is_file()).then_some(path)
        };
        let path = self.roots.iter().find_map(inside).ok_or_else(outside)?;
        let limit = self.max_image_bytes;
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|_| outside())?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| outside())?;
        if bytes.len() > limit {
            return Err(too_many_bytes(limit));
        }
        Ok(bytes)
    }
}

/// The conversations of a row, its pictures as bytes that are named by their places.
///
/// # Errors
/// As [`Row::conversations`].
pub(crate) fn conversations(row: &Row, found: &Found) -> Result<Vec<Conversation>, ApiError> {
    let open = |picture: &Picture<'_>| -> Result<ImageSource, RowError> {
        match found.get(picture.written) {
            Some(bytes) => {
                Ok(ImageSource::Bytes { label: picture.path.clone(), bytes: bytes.clone() })
            }
            None => ImageSource::parse(picture.written, picture.path.clone(), Path::new("")),
        }
    };
    Ok(row.conversations_with(&open)?)
}

fn is_url(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

fn refused(code: &'static str, message: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, code, message)
}

pub(crate) fn too_many_bytes(limit: usize) -> ApiError {
    ApiError::invalid("image_file_too_large", format!("the picture has more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn rules(root: &Path) -> PictureRules {
        let access = Access { roots: vec![root.to_owned()], urls: false };
        let limits = Limits { max_image_bytes: 10, max_images: 2, ..Limits::default() };
        PictureRules::new(&access, &limits).unwrap()
    }

    fn code(rules: &PictureRules, name: &str) -> &'static str {
        rules.read_file(name).unwrap_err().code
    }

    #[test]
    fn only_files_inside_of_the_allowed_folders_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("in.png"), "inside").unwrap();
        fs::write(folder.path().join("out.png"), "outside").unwrap();
        let rules = rules(&root);
        assert_eq!(rules.read_file("in.png").unwrap(), b"inside");
        let absolute = root.canonicalize().unwrap().join("in.png");
        assert_eq!(rules.read_file(absolute.to_str().unwrap()).unwrap(), b"inside");
        for name in ["../out.png", "/etc/hostname", "absent.png", "", ".", "in.png/../../out.png"] {
            assert_eq!(code(&rules, name), "path_not_allowed", "{name}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_does_not_lead_out_of_the_allowed_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("out.png"), "outside").unwrap();
        std::os::unix::fs::symlink(folder.path().join("out.png"), root.join("link.png")).unwrap();
        assert_eq!(code(&rules(&root), "link.png"), "path_not_allowed");
    }

    #[test]
    fn a_file_over_the_limit_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large.png"), [0; 11]).unwrap();
        assert_eq!(code(&rules(folder.path()), "large.png"), "image_file_too_large");
    }
}
