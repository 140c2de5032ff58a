//! The recipes of curation that the repository offers can be read. What they read is not there.

use std::path::{Path, PathBuf};

use curate::recipe::{CurationRecipe, Expansion};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/data")
}

fn read(path: &Path) -> CurationRecipe {
    recipe::read(path, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_recipe_of_curation_of_the_repository_is_valid() {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let names: Vec<&str> =
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["basereward.toml", "small.toml"]);
    for path in &paths {
        read(path);
    }
}

#[test]
fn the_recipe_of_the_paper_has_its_seven_sets_and_the_hardest_pair_of_each_prompt() {
    let recipe = read(&folder().join("basereward.toml"));
    let labels: Vec<&str> = recipe.source.iter().map(curate::recipe::SourceRecipe::label).collect();
    let sets = ["rlaif_v", "r1_reward", "mmpr", "ultra_hard", "tulu_3", "olmo_2", "others"];
    assert_eq!(labels, sets);
    for source in &recipe.source {
        let is_hardest = source.expand == Expansion::LargestGap;
        assert_eq!(is_hardest, source.label() == "ultra_hard", "{}", source.label());
    }
    let mmpr = &recipe.source[2];
    assert_eq!((mmpr.max_per_prompt, mmpr.max_rows), (Some(15), Some(2_000_000)));
}
