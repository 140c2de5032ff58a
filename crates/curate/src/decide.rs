//! What becomes of every record, from all that is known of all of them: duplicates, overlaps, labels, caps, the mixture, the split, the order.
//!
//! Nothing is read here but the texts that near duplicates are checked by. A record that one step drops does not count in the next.

use crate::caps::{self, Cap, Capped, Caps};
use crate::duplicates::{self, Candidate, DuplicateKind};
use crate::error::CurateError;
use crate::labels::{self, Decision, Labeled, Opinions};
use crate::ledger::Stage;
use crate::loaded::Loaded;
use crate::looks;
use crate::manifest::SplitEntry;
use crate::mix::{self, MixShare};
use crate::order::{self, Placed};
use crate::recipe::{CurationRecipe, SplitRecipe};
use crate::shard::RowColumns;
use crate::split::{self, Linked};
use crate::work::Features;
use crate::write::key;

/// What was decided.
pub(crate) struct Decisions {
    /// For each record, in the order of reading.
    pub(crate) fates: Vec<Fate>,
    /// The records of the result in its order: those to train on, then those held back.
    pub(crate) sequence: Vec<Chosen>,
    /// Shares of the sources.
    pub(crate) mix: Vec<MixShare>,
    /// Groups of records that had to stay together; the rest is counted elsewhere.
    pub(crate) split: SplitEntry,
}

/// What becomes of a record.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Why it leaves.
    pub(crate) left: Option<Box<Leaving>>,
    /// What was found out about its label.
    pub(crate) columns: RowColumns,
    /// Whether it is held back.
    pub(crate) validation: bool,
}

/// Why a record leaves.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) stage: Stage,
    pub(crate) reason: String,
    pub(crate) detail: Option<String>,
}

/// A record of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) record: usize,
    /// 0, or more for a record that is repeated.
    pub(crate) copy: u32,
}

/// Decides over all records.
pub(crate) fn decide(
    recipe: &CurationRecipe,
    loaded: &Loaded<'_>,
) -> Result<Decisions, CurateError> {
    let mut deciding = Deciding {
        recipe,
        loaded,
        image_groups: looks::groups(&loaded.images),
        fates: loaded.features.iter().map(|_| Fate::default()).collect(),
    };
    deciding.duplicates()?;
    deciding.overlaps();
    deciding.labels()?;
    deciding.caps();
    let (mix, mut sequence) = deciding.mix();
    let split = deciding.split(&mut sequence);
    deciding.order(&mut sequence);
    Ok(Decisions { fates: deciding.fates, sequence, mix, split })
}

struct Deciding<'a> {
    recipe: &'a CurationRecipe,
    loaded: &'a Loaded<'a>,
    /// For each distinct picture, a number that it shares with those that look alike.
    image_groups: Vec<u32>,
    fates: Vec<Fate>,
}

impl Deciding<'_> {
    fn leave(
        &mut self,
        record: usize,
        stage: Stage,
        reason: impl Into<String>,
        detail: Option<String>,
    ) {
        let leaving = Leaving { stage, reason: reason.into(), detail };
        self.fates[record].left = Some(Box::new(leaving));
    }

    /// The records that are still there.
    fn staying(&self) -> Vec<usize> {
        (0..self.fates.len()).filter(|record| self.fates[*record].left.is_none()).collect()
    }

    fn features(&self, record: usize) -> &Features {
        &self.loaded.features[record]
    }

    fn groups_of(&self, record: usize) -> impl Iterator<Item = u32> + '_ {
        self.features(record).images.iter().map(|image| self.image_groups[*image as usize])
    }

    fn duplicates(&mut self) -> Result<(), CurateError> {
        let candidates: Vec<Candidate> = (0..self.fates.len())
            .map(|record| Candidate {
                fingerprint: self.features(record).fingerprint.clone(),
                margin: self.features(record).margin,
                image_groups: self.groups_of(record).collect(),
            })
            .collect();
        let loaded = self.loaded;
        let found = duplicates::find(&candidates, &self.recipe.duplicates, &mut |record| {
            loaded.record(record)
        })?;
        for duplicate in found {
            let (reason, detail) = match duplicate.kind {
                DuplicateKind::Exact => ("the same as another record", String::new()),
                DuplicateKind::Contradiction => ("contradicts another record", String::new()),
                DuplicateKind::Near { similarity } => {
                    ("nearly the same as another record", format!(", similarity {similarity:.2}"))
                }
            };
            let of = key(self.features(duplicate.of).fingerprint.key());
            let detail = format!("record {of}{detail}");
            self.leave(duplicate.record, Stage::Duplicates, reason, Some(detail));
        }
        Ok(())
    }

    fn overlaps(&mut self) {
        for record in self.staying() {
            let loaded = self.loaded;
            let drop = &self.recipe.decontamination.drop;
            let found = loaded.features[record]
                .overlaps
                .iter()
                .find(|overlap| drop.contains(&overlap.kind));
            if let Some(overlap) = found {
                let reason = format!("{} of {}", overlap.kind, overlap.benchmark);
                let detail = format!("row `{}`: {}", overlap.row, overlap.evidence);
                self.leave(record, Stage::Decontamination, reason, Some(detail));
            }
        }
    }

    fn labels(&mut self) -> Result<(), CurateError> {
        let Some(recipe) = &self.recipe.labels else { return Ok(()) };
        let opinions = Opinions::read(&recipe.rewards, &recipe.verdicts)?;
        let loaded = self.loaded;
        let staying = self.staying();
        let labeled: Vec<Labeled<'_>> = staying
            .iter()
            .map(|record| {
                let Features { fingerprint, ranks, .. } = &loaded.features[*record];
                Labeled { key: fingerprint.key(), ranks }
            })
            .collect();
        let judgments = labels::judge(&labeled, &opinions, recipe)?;
        for (record, judgment) in staying.into_iter().zip(judgments) {
            self.fates[record].columns = RowColumns {
                strength: judgment.mean_margin,
                agreement: judgment.against.map(|against| 1.0 - against),
                difficulty: judgment.difficulty,
                flipped: judgment.decision == Decision::Flip,
            };
            if let Decision::Drop(reason) = judgment.decision {
                let detail = judgment.mean_margin.map(|margin| format!("mean margin {margin}"));
                self.leave(record, Stage::Labels, reason.to_string(), detail);
            }
        }
        Ok(())
    }

    fn caps(&mut self) {
        for (source, source_recipe) in self.recipe.source.iter().enumerate() {
            let caps = Caps {
                per_prompt: source_recipe.max_per_prompt,
                per_image: source_recipe.max_per_image,
            };
            if caps == Caps::default() {
                continue;
            }
            let of_source: Vec<usize> = self
                .staying()
                .into_iter()
                .filter(|record| self.features(*record).source as usize == source)
                .collect();
            let images: Vec<Vec<u128>> = of_source
                .iter()
                .map(|record| self.groups_of(*record).map(u128::from).collect())
                .collect();
            let capped: Vec<Capped<'_>> = of_source
                .iter()
                .zip(&images)
                .map(|(record, images)| {
                    let fingerprint = &self.features(*record).fingerprint;
                    Capped { exact: fingerprint.exact, prompt: fingerprint.prompt, images }
                })
                .collect();
            for (at, cap) in caps::over(&capped, caps, self.recipe.seed) {
                let reason = match cap {
                    Cap::Prompt => "more than `max_per_prompt`",
                    Cap::Image => "more than `max_per_image`",
                };
                self.leave(of_source[at], Stage::Caps, reason, None);
            }
        }
    }

    /// How many records each source gives, and which, in the order of reading.
    fn mix(&mut self) -> (Vec<MixShare>, Vec<Chosen>) {
        let mut of_sources = vec![Vec::new(); self.recipe.source.len()];
        for record in self.staying() {
            of_sources[self.features(record).source as usize].push(record);
        }
        let available: Vec<usize> = of_sources.iter().map(Vec::len).collect();
        let shares = mix::mix(&available, &self.recipe.mix, &self.recipe.source);
        let mut sequence = Vec::new();
        for (records, share) in of_sources.iter().zip(&shares) {
            let keys: Vec<u128> =
                records.iter().map(|record| self.features(*record).fingerprint.exact).collect();
            for (record, copies) in
                records.iter().zip(mix::draw(&keys, share.taken, self.recipe.seed))
            {
                if copies == 0 {
                    self.leave(*record, Stage::Mix, "more than the mixture takes", None);
                }
                sequence.extend((0..copies).map(|copy| Chosen { record: *record, copy }));
            }
        }
        (shares, sequence)
    }

    /// Holds records back. Those are not repeated.
    fn split(&mut self, sequence: &mut Vec<Chosen>) -> SplitEntry {
        let SplitRecipe { validation_fraction } = self.recipe.split;
        let images: Vec<Vec<u128>> = sequence
            .iter()
            .map(|chosen| self.groups_of(chosen.record).map(u128::from).collect())
            .collect();
        let linked = sequence.iter().zip(&images).map(|(chosen, images)| Linked {
            prompt: self.features(chosen.record).fingerprint.prompt,
            images,
        });
        let sides = split::validation(linked, validation_fraction, self.recipe.seed);
        for (chosen, held_back) in sequence.iter().zip(&sides.in_validation) {
            self.fates[chosen.record].validation = *held_back;
        }
        sequence.retain(|chosen| chosen.copy == 0 || !self.fates[chosen.record].validation);
        SplitEntry {
            groups: sides.groups as u64,
            largest_group: sides.largest_group as u64,
            ..SplitEntry::default()
        }
    }

    fn order(&self, sequence: &mut [Chosen]) {
        let shuffle = self.recipe.output.shuffle;
        sequence.sort_by_cached_key(|chosen| {
            let fingerprint = &self.features(chosen.record).fingerprint;
            let placed = Placed {
                exact: fingerprint.exact,
                prompt: fingerprint.prompt,
                copy: chosen.copy,
                index: chosen.record as u64,
            };
            (self.fates[chosen.record].validation, order::key(self.recipe.seed, shuffle, placed))
        });
    }
}
