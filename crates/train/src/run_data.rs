//! The data of a run: what is trained on, and what is held out.

use std::ops::Range;
use std::sync::Arc;

use data::{Comparison, Dataset, DatasetOptions};
use prompt::{ImageSource, Part};

use crate::error::TrainError;
use crate::recipe::DataRecipe;

/// Rows to train on and rows held out.
#[derive(Debug)]
pub struct RunData {
    train: Dataset,
    train_rows: Vec<usize>,
    /// Runs of `train_rows` that are shuffled as one.
    train_groups: Vec<Range<usize>>,
    shuffle: bool,
    /// None when held-out rows come from the training files.
    validation: Option<Dataset>,
    validation_rows: Vec<usize>,
}

impl RunData {
    /// Opens the files of a recipe, and divides them where it asks for that.
    ///
    /// # Errors
    /// Files that are missing, empty or of an unknown format.
    pub fn open(recipe: &DataRecipe, seed: u64) -> Result<Self, TrainError> {
        let options = DatasetOptions::default();
        let train = Dataset::open(&recipe.train, &options)?;
        let mut validation = None;
        let mut train_rows: Vec<usize> = (0..train.len()).collect();
        let mut validation_rows = Vec::new();
        if !recipe.validation.is_empty() {
            let opened = Dataset::open(&recipe.validation, &options)?;
            validation_rows = (0..opened.len()).collect();
            validation = Some(opened);
        } else if recipe.validation_fraction > 0.0 {
            let split = train.split(recipe.validation_fraction, seed)?;
            // Unusable rows stay among those to train on, where each of them is reported.
            train_rows = split.train;
            train_rows.extend(split.unusable.iter().map(|(row, _)| *row));
            train_rows.sort_unstable();
            validation_rows = split.validation;
        }
        if let Some(limit) = recipe.max_validation_comparisons
            && validation_rows.len() > limit
        {
            let order = data::shuffled(validation_rows.len(), seed, 0);
            let mut kept: Vec<usize> = order[..limit].iter().map(|&i| validation_rows[i]).collect();
            kept.sort_unstable();
            validation_rows = kept;
        }
        let train_groups = if recipe.keep_pictures_together {
            groups_by_picture(&train, &train_rows)
        } else {
            (0..train_rows.len()).map(|i| i..i + 1).collect()
        };
        let shuffle = recipe.shuffle;
        Ok(Self { train, train_rows, train_groups, shuffle, validation, validation_rows })
    }

    /// Files and rows to train on.
    pub fn train(&self) -> (&Dataset, &[usize]) {
        (&self.train, &self.train_rows)
    }

    /// The rows to train on in the order of an epoch.
    pub fn train_order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        if !self.shuffle {
            return self.train_rows.clone();
        }
        let groups = data::shuffled(self.train_groups.len(), seed, epoch);
        let places = groups.into_iter().flat_map(|group| self.train_groups[group].clone());
        places.map(|place| self.train_rows[place]).collect()
    }

    /// Runs of the rows to train on that are shuffled as one.
    pub fn train_groups(&self) -> &[Range<usize>] {
        &self.train_groups
    }

    /// Files and rows held out; no rows when none are.
    pub fn held_out(&self) -> (&Dataset, &[usize]) {
        (self.validation.as_ref().unwrap_or(&self.train), &self.validation_rows)
    }

    /// Rows of all files, unusable ones included.
    pub fn num_rows(&self) -> usize {
        self.train.len() + self.validation.as_ref().map_or(0, Dataset::len)
    }

    /// Bytes of all data files, pictures aside.
    ///
    /// # Errors
    /// A file that is not there any more.
    pub fn num_bytes(&self) -> Result<u64, TrainError> {
        let files = [Some(&self.train), self.validation.as_ref()].into_iter().flatten();
        let paths = files.flat_map(Dataset::files).map(data::DatasetFile::path);
        let sizes = paths.map(|path| match std::fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(source) => Err(TrainError::read(path, source)),
        });
        sizes.sum()
    }

    /// The formats of the files, in words.
    pub fn format(&self) -> String {
        self.train.format()
    }
}

/// Runs of neighboring rows whose prompts show the same pictures. A row without any, or one that cannot be read, is alone.
fn groups_by_picture(dataset: &Dataset, rows: &[usize]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut before: Vec<Arc<ImageSource>> = Vec::new();
    let mut all = dataset.rows().enumerate();
    for (i, &row) in rows.iter().enumerate() {
        let (_, found) = all.find(|(index, _)| *index == row).expect("rows are in order");
        let pictures = found.map(|comparison| pictures_of(&comparison)).unwrap_or_default();
        match groups.last_mut() {
            Some(group) if !pictures.is_empty() && pictures == before => group.end = i + 1,
            _ => groups.push(i..i + 1),
        }
        before = pictures;
    }
    groups
}

fn pictures_of(comparison: &Comparison) -> Vec<Arc<ImageSource>> {
    let parts = comparison.prompt.iter().flat_map(|message| &message.content);
    parts
        .filter_map(|part| match part {
            Part::Image(image) => Some(Arc::clone(image)),
            Part::Text(_) | Part::Video(_) => None,
        })
        .collect()
}
