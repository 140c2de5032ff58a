//! The benchmarks of a recipe, opened for the comparison with training data.

use anyhow::Context;
use curate::recipe::CurationRecipe;
use curate::run::BenchmarkRows as Compared;
use eval::benchmarks;
use eval::rows::BenchmarkRows;

/// A benchmark with its rows.
pub(super) struct Opened {
    rows: BenchmarkRows,
    hash: String,
}

/// Opens all benchmarks of a recipe.
pub(super) fn open(recipe: &CurationRecipe) -> anyhow::Result<Vec<Opened>> {
    let open = |named: &curate::recipe::BenchmarkRecipe| {
        let benchmark = benchmarks::named(&named.name).with_context(|| {
            let names: Vec<&str> = benchmarks::ALL.iter().map(|known| known.name()).collect();
            format!("there is no benchmark `{}`; use one of: {}", named.name, names.join(", "))
        })?;
        let rows = BenchmarkRows::open(benchmark, &named.path, named.image_dir.as_deref())
            .with_context(|| format!("benchmark `{}`", named.name))?;
        let hash = rows.hash().with_context(|| format!("benchmark `{}`", named.name))?;
        Ok(Opened { rows, hash })
    };
    recipe.benchmark.iter().map(open).collect()
}

impl Opened {
    /// As curation wants it.
    pub(super) fn compared(&self) -> Compared<'_> {
        Compared {
            name: self.rows.benchmark().name().to_owned(),
            rows: self.rows.len() as u64,
            rows_hash: self.hash.clone(),
            comparisons: Box::new(
                self.rows.scan().map(|item| {
                    item.map(|item| item.comparison).map_err(|error| error.to_string())
                }),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_benchmark_of_the_recipe_of_the_paper_is_known() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/data");
        let recipe: CurationRecipe = recipe::read(&folder.join("basereward.toml"), &[]).unwrap();
        assert_eq!(recipe.benchmark.len(), 5);
        for named in &recipe.benchmark {
            assert!(benchmarks::named(&named.name).is_some(), "{}", named.name);
        }
    }
}
