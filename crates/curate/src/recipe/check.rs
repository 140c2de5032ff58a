//! What types cannot say about a recipe of curation.

use data::sources::{ALL, Source};
use recipe::{Fault, Recipe};

use super::{CurationRecipe, Expansion, FilterRecipe, SourceRecipe};
use crate::filter;

type Checked = Result<(), Fault>;

fn require(holds: bool, key: impl Into<String>, reason: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Fault { key: key.into(), reason: reason() }) }
}

/// A share above 0.
fn share(key: &str, value: f64) -> Checked {
    require(value > 0.0 && value <= 1.0, key, || {
        format!("is `{value}`; give a share above 0 and up to 1")
    })
}

impl Recipe for CurationRecipe {
    fn check(&self) -> Checked {
        require(!self.source.is_empty(), "source", || {
            "is empty; name at least one set".to_owned()
        })?;
        for (at, source) in self.source.iter().enumerate() {
            check_source(at, source)?;
            self.check_filters(&format!("source.{at}.filter"), &source.filter)?;
            let is_known = |other: &SourceRecipe| other.label() == source.label();
            require(!self.source[..at].iter().any(is_known), format!("source.{at}.name"), || {
                format!(
                    "is `{}` like that of another source; give each its own name",
                    source.label()
                )
            })?;
        }
        self.check_filters("filter", &self.filter)?;
        if let Some(near) = self.duplicates.near {
            require((0.5..=1.0).contains(&near), "duplicates.near", || {
                format!("is `{near}`; give a share from 0.5 to 1")
            })?;
        }
        require(self.decontamination.ngram_words > 0, "decontamination.ngram_words", || {
            "is `0`; give at least 1".to_owned()
        })?;
        share("decontamination.min_coverage", self.decontamination.min_coverage)?;
        if let Some(labels) = &self.labels {
            require(!labels.rewards.is_empty() || !labels.verdicts.is_empty(), "labels", || {
                "has neither `rewards` nor `verdicts`; name a file".to_owned()
            })?;
            share("labels.min_agreement", labels.min_agreement)?;
            share("labels.share", labels.share)?;
            let agreement = labels.verdict_agreement;
            require(agreement > 0.5 && agreement <= 1.0, "labels.verdict_agreement", || {
                format!("is `{agreement}`; give a share above 0.5 and up to 1")
            })?;
        }
        let temperature = self.mix.temperature;
        require(temperature.is_finite() && temperature > 0.0, "mix.temperature", || {
            format!("is `{temperature}`; give a number above 0")
        })?;
        require(self.mix.rows.is_some() || !self.mix.repeat, "mix.repeat", || {
            "repeats records up to a total; give `mix.rows`, too".to_owned()
        })?;
        let fraction = self.split.validation_fraction;
        require((0.0..1.0).contains(&fraction), "split.validation_fraction", || {
            format!("is `{fraction}`; give a number from 0 to below 1")
        })?;
        require(self.output.rows_per_shard > 0, "output.rows_per_shard", || {
            "is `0`; give at least 1".to_owned()
        })
    }
}

impl CurationRecipe {
    fn check_filters(&self, key: &str, filters: &[FilterRecipe]) -> Checked {
        for (at, recipe) in filters.iter().enumerate() {
            filter::check(&recipe.keep, self.tokenizer.is_some()).map_err(|error| Fault {
                key: format!("{key}.{at}.keep"),
                reason: format!("is not usable: {error}"),
            })?;
        }
        Ok(())
    }
}

fn check_source(at: usize, source: &SourceRecipe) -> Checked {
    let key = |name: &str| format!("source.{at}.{name}");
    require(Source::named(&source.format).is_some(), key("format"), || {
        let names: Vec<&str> = ALL.iter().map(|known| known.name).collect();
        format!("there is no format `{}`; use one of: {}", source.format, names.join(", "))
    })?;
    require(!source.path.is_empty(), key("path"), || {
        "is empty; name at least one file or folder".to_owned()
    })?;
    require(source.weight.is_finite() && source.weight > 0.0, key("weight"), || {
        format!("is `{}`; give a number above 0, or leave the source out", source.weight)
    })?;
    let needs_limit = source.expand == Expansion::RandomPairs;
    require(!needs_limit || source.max_pairs.is_some(), key("max_pairs"), || {
        "is missing; `random_pairs` needs the number of pairs".to_owned()
    })?;
    for (name, limit) in [
        ("max_pairs", source.max_pairs),
        ("max_per_image", source.max_per_image),
        ("max_per_prompt", source.max_per_prompt),
        ("max_rows", source.max_rows),
    ] {
        require(limit != Some(0), key(name), || "is `0`; give at least 1".to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is said of a recipe of one source that goes on with this text.
    fn refusal(rest: &str) -> String {
        let source = "[[source]]\nformat = \"preferences\"\npath = [\"a.jsonl\"]\n";
        let text = format!("{source}{rest}");
        let read = recipe::parse::<CurationRecipe>(Path::new("r.toml"), &text, &[]);
        read.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_filter_that_cannot_work_is_refused_with_its_key() {
        let own = refusal("[[source.filter]]\nkeep = \"margn > 1\"\n");
        assert!(
            own.contains("source.0.filter.0.keep") && own.contains("asks for `margn`"),
            "{own}"
        );
        let counts = "[[filter]]\nkeep = \"true\"\n[[filter]]\nkeep = \"tokens(prompt) < 9\"\n";
        let global = refusal(counts);
        assert!(global.contains("filter.1.keep") && global.contains("`tokenizer`"), "{global}");
        assert_eq!(refusal("[[filter]]\nkeep = \"margin > 1\"\n"), "");
    }

    #[test]
    fn verdicts_need_a_majority() {
        let labels = |agreement: f64| {
            refusal(&format!(
                "[labels]\nverdicts = [\"v.jsonl\"]\nverdict_agreement = {agreement}\n"
            ))
        };
        assert!(labels(0.5).contains("labels.verdict_agreement"), "{}", labels(0.5));
        assert_eq!(labels(0.6), "");
    }
}
