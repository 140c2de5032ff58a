//! Rows and their rewards to the result: the one way from stored or fresh rewards to figures.

use std::collections::BTreeMap;

use crate::contamination::Contamination;
use crate::evaluation::{BenchmarkFacts, Evaluation, FailedRow, Note, RowCounts};
use crate::interval::add_intervals;
use crate::item::Scored;
use crate::probes::Probes;
use crate::rewards::{RewardLine, from_line};
use crate::rows::{BenchmarkRows, repeated_ids};

/// What lengths count. Characters need no tokenizer, so that stored rewards give the same probes.
const LENGTH_UNIT: &str = "characters";
/// Seed of the intervals' draws.
const INTERVAL_SEED: u64 = 0;
/// Repeated ids that a note names.
const LISTED_IDS: usize = 5;

/// Rewards that do not belong to the rows.
#[derive(Debug, thiserror::Error)]
pub enum MismatchError {
    /// A line for a row that there is not.
    #[error(
        "the rewards have row {row}, but the benchmark has only rows 0 to {last}; they belong to other files"
    )]
    NoSuchRow {
        /// The line's row.
        row: usize,
        /// Last row of the benchmark.
        last: usize,
    },
    /// Two lines for one row.
    #[error("the rewards have row {row} twice; keep one of the two lines")]
    Twice {
        /// The row.
        row: usize,
    },
    /// A line with another name than the row's.
    #[error(
        "row {row} is `{found}` in the rewards and `{expected}` in the benchmark; the rewards belong to other files"
    )]
    Id {
        /// The row.
        row: usize,
        /// Name in the rewards.
        found: String,
        /// Name in the benchmark.
        expected: String,
    },
    /// A line with too few or too many scores.
    #[error(
        "row {row} (`{id}`) has {responses} responses, but {scores} in `{key}`; give one for each response"
    )]
    Count {
        /// The row.
        row: usize,
        /// Its name.
        id: String,
        /// Its responses.
        responses: usize,
        /// Scores of the line.
        scores: usize,
        /// Which scores.
        key: &'static str,
    },
    /// Not one row has rewards.
    #[error("no row has rewards; the first of them: {first}")]
    Nothing {
        /// Why the first row has none.
        first: String,
    },
}

/// What is to be said of the run beside the rewards.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Name of the model, or of the file of rewards.
    pub model: String,
    /// Settings, versions and hashes, as names and values.
    pub provenance: Vec<(String, String)>,
    /// Rows of which the responses were scored in reversed order, too.
    pub checked_reversed: u64,
    /// Whether the model was trained on these rows, as far as is known.
    pub contamination: Contamination,
    /// Sentences that come first.
    pub notes: Vec<Note>,
}

/// The rows with their rewards, and the result over them.
///
/// # Errors
/// Rewards that belong to other rows.
pub fn evaluate(
    rows: &BenchmarkRows,
    lines: &[RewardLine],
    about: About,
) -> Result<(Evaluation, Vec<Scored>), MismatchError> {
    let Joined { scored, failed, num_not_blind } = joined(rows, lines)?;
    if scored.is_empty() {
        let first = failed.first().map_or_else(String::new, |row| row.error.clone());
        return Err(MismatchError::Nothing { first });
    }
    let benchmark = rows.benchmark();
    let counts = RowCounts {
        found: rows.len() as u64,
        scored: scored.len() as u64,
        published: published_size(benchmark.published_sizes(), rows.len()),
        checked_reversed: about.checked_reversed,
    };
    let items: Vec<&Scored> = scored.iter().collect();
    let mut figures = benchmark.measure(&items);
    add_intervals(&mut figures, &items, INTERVAL_SEED, |items| benchmark.measure(items));
    let mut notes = about.notes;
    notes.extend(notes_on(rows, &scored, &failed, counts));
    notes.extend(note_on_blind(&scored, num_not_blind));
    let evaluation = Evaluation {
        benchmark: BenchmarkFacts {
            name: benchmark.name().to_owned(),
            title: benchmark.title().to_owned(),
            source: benchmark.source().to_owned(),
            caveats: benchmark.caveats().iter().map(|&caveat| caveat.to_owned()).collect(),
        },
        model: about.model,
        rows: counts,
        figures,
        probes: (!scored.is_empty()).then(|| Probes::of(&scored, LENGTH_UNIT)),
        contamination: about.contamination,
        notes,
        failed,
        provenance: about.provenance,
    };
    Ok((evaluation, scored))
}

/// Rows with rewards, and those without.
struct Joined {
    scored: Vec<Scored>,
    failed: Vec<FailedRow>,
    /// Rows with rewards and pictures that have no rewards without the pictures.
    num_not_blind: usize,
}

fn joined(rows: &BenchmarkRows, lines: &[RewardLine]) -> Result<Joined, MismatchError> {
    let mut by_row: BTreeMap<usize, &RewardLine> = BTreeMap::new();
    for line in lines {
        if line.row >= rows.len() {
            return Err(MismatchError::NoSuchRow { row: line.row, last: rows.len() - 1 });
        }
        if by_row.insert(line.row, line).is_some() {
            return Err(MismatchError::Twice { row: line.row });
        }
    }
    let (mut scored, mut failed, mut num_not_blind) = (Vec::new(), Vec::new(), 0);
    for (row, item) in rows.scan().enumerate() {
        let fail = |id: String, error: String| FailedRow { row, id, error };
        let line = by_row.get(&row);
        match (item, line) {
            (Err(error), _) => failed.push(fail(rows.fallback_id(row), error.to_string())),
            (Ok(item), None) => {
                failed.push(fail(item.comparison.id, "the rewards have no such row".to_owned()));
            }
            (Ok(item), Some(line)) => {
                let unscored = item.unscored(row);
                if line.id != unscored.id {
                    let (found, expected) = (line.id.clone(), unscored.id);
                    return Err(MismatchError::Id { row, found, expected });
                }
                if let Some(error) = &line.error {
                    failed.push(fail(unscored.id, error.clone()));
                } else {
                    let has_pictures = !item.visuals().is_empty();
                    num_not_blind += usize::from(has_pictures && line.blind_scores.is_none());
                    scored.push(with_scores(unscored, line)?);
                }
            }
        }
    }
    Ok(Joined { scored, failed, num_not_blind })
}

fn with_scores(unscored: Scored, line: &RewardLine) -> Result<Scored, MismatchError> {
    let responses = unscored.ranks.len();
    let read = |scores: &Option<Vec<Option<f32>>>, key| {
        let scores = scores.as_deref().map(from_line);
        match &scores {
            Some(found) if found.len() != responses => Err(MismatchError::Count {
                row: line.row,
                id: line.id.clone(),
                responses,
                scores: found.len(),
                key,
            }),
            _ => Ok(scores),
        }
    };
    Ok(Scored {
        scores: read(&line.scores, "scores")?.unwrap_or_default(),
        blind_scores: read(&line.blind_scores, "blind_scores")?,
        swapped_scores: read(&line.swapped_scores, "swapped_scores")?,
        ..unscored
    })
}

/// The published size that is nearest.
fn published_size(sizes: &[usize], found: usize) -> Option<u64> {
    sizes.iter().min_by_key(|size| size.abs_diff(found)).map(|&size| size as u64)
}

/// Rows that the figures without pictures leave out; none where nothing was scored so.
fn note_on_blind(scored: &[Scored], num_not_blind: usize) -> Option<Note> {
    let num_blind = scored.iter().filter(|row| row.blind_scores.is_some()).count();
    let text = format!(
        "{num_not_blind} of {} rows with pictures have no rewards without them; what is said of the model without pictures leaves them \
         out.",
        num_blind + num_not_blind
    );
    (num_blind > 0 && num_not_blind > 0).then_some(Note { is_warning: false, text })
}

fn notes_on(
    rows: &BenchmarkRows,
    scored: &[Scored],
    failed: &[FailedRow],
    counts: RowCounts,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |is_warning, text| notes.push(Note { is_warning, text });
    if !failed.is_empty() {
        let rows = if failed.len() == 1 { "row has" } else { "rows have" };
        note(
            true,
            format!(
                "{} {rows} no rewards and are in no figure: the figures are over {} of {} rows.",
                failed.len(),
                counts.scored,
                counts.found
            ),
        );
    }
    let sizes = rows.benchmark().published_sizes();
    if !sizes.is_empty() && !sizes.contains(&rows.len()) {
        let known: Vec<String> = sizes.iter().map(usize::to_string).collect();
        note(
            true,
            format!(
                "The files have {} rows; the published revisions have {}.",
                rows.len(),
                known.join(" or ")
            ),
        );
    }
    let known = rows.benchmark().known_categories();
    if !known.is_empty() {
        let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
        for row in scored {
            if !known.contains(&row.labels.category.as_str()) {
                *unknown.entry(&row.labels.category).or_default() += 1;
            }
        }
        if !unknown.is_empty() {
            let listed: Vec<String> =
                unknown.iter().map(|(name, count)| format!("`{name}` ({count})")).collect();
            note(
                true,
                format!("Categories that the official figures do not know: {}.", listed.join(", ")),
            );
        }
    }
    let repeated = repeated_ids(scored.iter().map(|row| row.id.as_str()));
    if !repeated.is_empty() {
        let listed: Vec<String> = repeated
            .iter()
            .take(LISTED_IDS)
            .map(|(id, count)| format!("`{id}` ({count} times)"))
            .collect();
        let more = if repeated.len() > LISTED_IDS { ", …" } else { "" };
        let count = repeated.len();
        let ids = if count == 1 { "id stands" } else { "ids stand" };
        note(
            false,
            format!(
                "{count} {ids} at several rows, which are counted one by one: {}{more}.",
                listed.join(", ")
            ),
        );
    }
    let not_finite =
        scored.iter().filter(|row| row.scores.iter().any(|score| !score.is_finite())).count();
    if not_finite > 0 {
        note(
            true,
            format!(
                "{not_finite} rows have a reward that is no finite number; it loses every comparison."
            ),
        );
    }
    notes
}
