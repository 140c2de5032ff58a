//! HelpSteer2: two responses to each prompt, rated from 0 to 4 in five attributes; one row for each response.
//!
//! # Source
//! The data card of `nvidia/HelpSteer2`; the weights of the attributes are those that its authors use with a 70B reward model
//! (HelpSteer2, arXiv 2406.08673). Responses with equal weighted ratings are ties. Prompts of several turns are one text, in which
//! `<extra_id_1>` and the speaker precede every turn but the first.

use std::path::Path;

use prompt::Draft;

use super::{Reading, Source, answers, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{number, required, text};
use crate::formats::Parsed;
use crate::messages::said;
use crate::value::Value;

/// Attributes and what each counts.
const WEIGHTS: [(&str, f64); 5] = [
    ("helpfulness", 0.65),
    ("correctness", 0.8),
    ("coherence", 0.45),
    ("complexity", 0.55),
    ("verbosity", -0.4),
];

/// What precedes a further turn in a prompt, and who speaks there.
const TURNS: [(&str, &str); 2] =
    [("<extra_id_1>User\n", "user"), ("<extra_id_1>Assistant\n", "assistant")];

pub(super) static SOURCE: Source = Source {
    name: "helpsteer2",
    title: "HelpSteer2",
    home: "nvidia/HelpSteer2",
    license: "CC-BY-4.0",
    about: "One row for each response; neighbors with the same prompt are compared by the weighted sum of their five ratings.",
    id_key: None,
    recognizes: |row| row.has(&["prompt", "response"]) && row.has(&WEIGHTS.map(|(name, _)| name)),
    files: plain_files,
    reading: Reading::Adjacent {
        key: |row| Ok(text(required(row, "prompt")?, "prompt")?.to_owned()),
        read,
    },
};

fn read(rows: &[Value], _image_dir: &Path) -> Result<Parsed, RowFault> {
    if rows.len() < 2 {
        return Err(RowFault::TooFewResponses { key: "response", found: rows.len() });
    }
    let prompt = text(required(&rows[0], "prompt")?, "prompt")?;
    let mut responses = Vec::with_capacity(rows.len());
    let mut scores = Vec::with_capacity(rows.len());
    for row in rows {
        responses.push((
            "response".to_owned(),
            text(required(row, "response")?, "response")?.to_owned(),
        ));
        scores.push(weighted(row)?);
    }
    answers("prompt", turns(prompt), responses, Preference::by_scores(&scores))
}

fn turns(prompt: &str) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let (mut rest, mut role) = (prompt, "user");
    loop {
        let next = TURNS
            .iter()
            .filter_map(|(mark, role)| Some((rest.find(mark)?, *mark, *role)))
            .min_by_key(|(place, _, _)| *place);
        let Some((place, mark, next_role)) = next else { break };
        drafts.push(said(role, rest[..place].trim_end_matches('\n')));
        rest = &rest[place + mark.len()..];
        role = next_role;
    }
    drafts.push(said(role, rest));
    drafts
}

fn weighted(row: &Value) -> Result<f64, RowFault> {
    let mut sum = 0.0;
    for (name, weight) in WEIGHTS {
        sum += weight * number(required(row, name)?, name)?;
    }
    Ok(sum)
}
