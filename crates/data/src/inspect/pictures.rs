//! The pictures of comparisons: how many each has, and whether those that are files exist. None is opened.

use prompt::{ImageSource, Part};
use serde::Serialize;

use crate::comparison::Comparison;

/// Missing files that are kept as examples.
const MAX_EXAMPLES: usize = 5;

/// Pictures of comparisons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pictures {
    /// Comparisons without a picture.
    pub none: usize,
    /// Comparisons with one.
    pub one: usize,
    /// Comparisons with several.
    pub several: usize,
    /// Videos, which are folders of frames.
    pub videos: usize,
    /// Pictures whose content stands in the row.
    pub in_rows: usize,
    /// Pictures that are files.
    pub files: usize,
    /// Pictures that are files and do not exist.
    pub missing_files: usize,
    /// The first of them.
    pub missing_examples: Vec<String>,
}

impl Pictures {
    pub(super) fn add(&mut self, comparison: &Comparison) {
        let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
        let mut num_images = 0;
        for part in messages.flat_map(|message| &message.content) {
            match part {
                Part::Text(_) => {}
                Part::Video(_) => self.videos += 1,
                Part::Image(image) => {
                    num_images += 1;
                    self.look_for(image);
                }
            }
        }
        *match num_images {
            0 => &mut self.none,
            1 => &mut self.one,
            _ => &mut self.several,
        } += 1;
    }

    fn look_for(&mut self, image: &ImageSource) {
        let ImageSource::Path(path) = image else {
            self.in_rows += 1;
            return;
        };
        self.files += 1;
        if !path.is_file() {
            self.missing_files += 1;
            if self.missing_examples.len() < MAX_EXAMPLES {
                self.missing_examples.push(path.display().to_string());
            }
        }
    }
}
