//! Tests of the page of an evaluation: what stands on it, that it is well formed, and that no text can break out of it.

use std::path::PathBuf;

use prompt::ImageSource;
use testkit::page::{assert_inert, text_of};

use super::*;
use crate::contamination::Contamination;
use crate::evaluation::BenchmarkFacts;
use crate::figure::Figure;
use crate::item::{Labels, Scored};
use crate::judged::Judged;
use crate::probes::Probes;

/// Numbers from 0 to 1 that look random and never change.
fn noise(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f64 / f64::from(1 << 24)
}

fn scored(num_rows: usize) -> Vec<Scored> {
    let categories = ["general", "hallucination", "reasoning"];
    (0..num_rows)
        .map(|row| {
            let seed = row as u64 * 7;
            let reward = |skill: f64, seed: u64| {
                (skill + 2.5 * (noise(seed) + noise(seed + 1) - 1.0)) as f32
            };
            let has_picture = row % 5 > 0;
            Scored {
                row,
                id: format!("row-{row}"),
                labels: Labels {
                    category: categories[row % 3].to_owned(),
                    group: (row / 2).to_string(),
                    ..Labels::default()
                },
                ranks: vec![0, 1],
                lengths: vec![
                    300 + (noise(seed + 2) * 260.0) as usize,
                    300 + (noise(seed + 3) * 300.0) as usize,
                ],
                scores: vec![reward(0.8, seed + 100), reward(-0.4, seed + 200)],
                blind_scores: has_picture
                    .then(|| vec![reward(0.1, seed + 300), reward(-0.1, seed + 400)]),
                swapped_scores: has_picture
                    .then(|| vec![reward(0.2, seed + 500), reward(-0.1, seed + 600)]),
            }
        })
        .collect()
}

fn figures(rows: &[Scored]) -> Vec<Figure> {
    let of = |section: &'static str, category: &'static str| {
        let of_category = rows.iter().filter(|row| row.labels.category == category);
        let mut figure = Figure::accuracy(section, category, of_category);
        figure.interval = figure.value.map(|value| (value - 0.05, value + 0.04));
        figure
    };
    let mut overall = Figure::accuracy("official", "Overall", rows);
    overall.interval = overall.value.map(|value| (value - 0.02, value + 0.02));
    overall.num_ties = 3;
    let mut figures = vec![overall];
    figures.extend(["general", "hallucination", "reasoning"].map(|one| of("official", one)));
    figures.push(Figure::derived("official", "Macro", Some(0.7951), rows.len() as u64));
    figures.extend(["general", "hallucination"].map(|one| of("r1_reward", one)));
    figures.push(Figure::ratio("shared ties", "Best of four", 12.5, 40, 9));
    figures.push(Figure::ratio("shared ties", "No item", 0.0, 0, 0));
    figures
}

fn evaluation(rows: &[Scored]) -> Evaluation {
    let note = |is_warning, text: &str| Note { is_warning, text: text.to_owned() };
    Evaluation {
        benchmark: BenchmarkFacts {
            name: "vl-rewardbench".to_owned(),
            title: "VL-RewardBench".to_owned(),
            source: "A paper (2026); https://example.org/repository, commit 0123abc".to_owned(),
            caveats: vec!["The 1,247-row revision lacks three rows of `general`.".to_owned()],
        },
        model: "tiny-reward".to_owned(),
        rows: RowCounts {
            found: rows.len() as u64 + 2,
            scored: rows.len() as u64,
            published: Some(1250),
            checked_reversed: 8,
        },
        figures: figures(rows),
        probes: Some(Probes::of(rows, "characters")),
        contamination: Contamination::Unknown,
        notes: vec![
            note(true, "2 rows have no rewards; the figures are over the rest."),
            note(false, "1 id occurs more than once: `row-7`."),
            note(true, "A category is not one of the official ones: `poetry`."),
        ],
        failed: (0..103)
            .map(|row| FailedRow {
                row: 600 + row,
                id: format!("lost-{row}"),
                error: "the picture `a.png` does not exist".to_owned(),
            })
            .collect(),
        provenance: vec![
            ("model (BLAKE3)".to_owned(), "c0ffee".repeat(8)),
            ("basereward".to_owned(), "0.1.0".to_owned()),
        ],
    }
}

fn picture(seed: u64) -> ImageSource {
    let hue = |shift: u64| (noise(seed + shift) * 200.0) as u8;
    let colors = [[hue(0), 60, 50], [40, hue(1), 220]];
    let pixels = image::RgbImage::from_fn(420, 300, |x, y| {
        image::Rgb(colors[((x / 60 + y / 60) % 2) as usize])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    ImageSource::Bytes { label: format!("{seed}.png"), bytes: bytes.into_inner() }
}

fn mistakes(num: usize) -> Vec<Shown> {
    (0..num)
        .map(|row| Shown {
            judged: Judged {
                row,
                id: format!("mistake-{row}"),
                kind: Some("reasoning".to_owned()),
                better: 1,
                worse: 0,
                chosen_reward: -1.5 + row as f32 / 10.0,
                rejected_reward: 2.25,
                chosen_len: 400,
                rejected_len: 380,
            },
            images: vec![picture(row as u64)],
            prompt: "How many tiles have the darker color?".to_owned(),
            chosen: "Seventeen, counted row by row. ".repeat(6),
            rejected: "There are eighteen of them. ".repeat(6),
        })
        .collect()
}

#[test]
fn every_figure_stands_on_the_page_with_its_fraction_and_interval() {
    let rows = scored(600);
    let evaluation = evaluation(&rows);
    let page = html(&evaluation, &mistakes(3));
    let text = text_of(&page);
    assert_eq!(evaluation.figures.len(), 9);
    for figure in &evaluation.figures {
        assert!(text.contains(&figure.section[..]), "{}", figure.section);
        let Some(value) = figure.value else { continue };
        let of_all = match figure.num_right {
            Some(right) if right.fract() == 0.0 => format!("{right} of {}", figure.num_total),
            Some(right) => format!("{right:.1} of {}", figure.num_total),
            None => format!("mean, over {}", figure.num_total),
        };
        let interval = figure.interval.map_or("–".to_owned(), |(low, high)| {
            format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high)
        });
        // The hint of the bar stands between value and fraction.
        let line = format!("{}{:.2}", figure.name, 100.0 * value);
        let cells = format!("{of_all}{interval}{}", figure.num_ties);
        assert!(text.contains(&line), "`{line}` is missing");
        assert!(text.contains(&cells), "`{cells}` is missing");
    }
    assert!(text.contains("12.5 of 40–9"), "shared ties keep their parts");
    assert!(text.contains("No item–"), "a figure over nothing has no value");
}

#[test]
fn probes_rows_notes_and_provenance_stand_on_the_page() {
    let rows = scored(600);
    let evaluation = evaluation(&rows);
    let page = html(&evaluation, &mistakes(3));
    let text = text_of(&page);
    let probes = evaluation.probes.as_ref().unwrap();
    let (blind, swapped) = (probes.blind.unwrap(), probes.swapped.unwrap());
    let counts = [
        probes.accuracy,
        probes.length_baseline,
        blind.all,
        blind.with_pictures,
        blind.sighted,
        swapped.all,
        swapped.with_pictures,
    ];
    let mut expected: Vec<String> =
        counts.iter().map(|share| format!("{} of {}", share.num_right, share.num_total)).collect();
    let confidence = probes.confidence.as_ref().unwrap();
    let error = confidence.calibration.expected_error * 100.0;
    expected.push(format!("Expected calibration error {error:.1} points"));
    let temperature = confidence.temperature.unwrap();
    expected.push(format!("Margins divided by {}", number::short(temperature.value)));
    expected.extend(
        [
            "480 rows with pictures",
            "Accuracy by margin",
            "Accuracy by length difference",
            "difference, characters",
            "mistake-0",
            "margin −3.75",
            "Rows of the nearest published revision1,250",
            "2 rows have no rewards",
            "1 id occurs more than once: `row-7`.",
            "`poetry`",
            "lost-99",
            "And 3 more",
            "the picture `a.png` does not exist",
            "1,247-row revision",
            "commit 0123abc",
            "c0ffeec0ffee",
        ]
        .map(str::to_owned),
    );
    for piece in expected {
        assert!(text.contains(&piece), "`{piece}` is missing");
    }
    assert!(!text.contains("lost-100"));
    assert_eq!(page.matches("<figure>").count(), 5);
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 3);
    assert_eq!(page.matches("class=\"remark\"").count(), 2, "warnings stand at the top");
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    assert_inert(&html(&evaluation(&scored(60)), &mistakes(2)));
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "</script></td><img src=x onerror=alert(1)>\"'&\u{202e}".to_owned();
    let mut evaluation = evaluation(&scored(60));
    let facts = &mut evaluation.benchmark;
    for text in [&mut facts.name, &mut facts.title, &mut facts.source, &mut evaluation.model] {
        text.clone_from(&hostile);
    }
    facts.caveats = vec![hostile.clone()];
    for figure in &mut evaluation.figures {
        figure.name.clone_from(&hostile);
        figure.section = hostile.clone().into();
    }
    for note in &mut evaluation.notes {
        note.text.clone_from(&hostile);
    }
    for row in &mut evaluation.failed {
        (row.id, row.error) = (hostile.clone(), hostile.clone());
    }
    evaluation.provenance = vec![(hostile.clone(), hostile.clone())];
    evaluation.probes.as_mut().unwrap().length_unit.clone_from(&hostile);
    let mut mistakes = mistakes(1);
    let pair = &mut mistakes[0];
    (pair.judged.id, pair.judged.kind) = (hostile.clone(), Some(hostile.clone()));
    (pair.prompt, pair.chosen, pair.rejected) = (hostile.clone(), hostile.clone(), hostile.clone());
    pair.images.push(ImageSource::Bytes { label: hostile.clone(), bytes: vec![0] });
    let page = html(&evaluation, &mistakes);
    text_of(&page);
    assert_inert(&page);
    assert!(!page.contains("<img src=x"));
    let escaped = "&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;";
    // Two for each listed row, and one at least for every other text.
    assert!(page.matches(escaped).count() > 2 * MAX_FAILED + 25);
}

#[test]
fn a_result_without_pairs_figures_or_mistakes_still_has_a_page() {
    let evaluation = Evaluation {
        figures: Vec::new(),
        probes: None,
        failed: Vec::new(),
        ..evaluation(&scored(4))
    };
    let text = text_of(&html(&evaluation, &[]));
    assert!(text.contains("No pair of responses was judged"));
    assert!(text.contains("Surest mistakesNone."));
}

#[test]
fn rewards_that_are_not_finite_or_all_equal_do_not_reach_a_drawing() {
    for reward in [f32::NAN, f32::INFINITY, 1.0] {
        let mut rows = scored(20);
        for row in &mut rows {
            row.scores = vec![reward; 2];
            row.lengths = vec![7; 2];
            (row.blind_scores, row.swapped_scores) = (None, None);
        }
        let page = html(&evaluation(&rows), &[]);
        assert!(text_of(&page).contains("What the pictures add was not measured"));
        for value in ["=\"NaN", "=\"inf", ",NaN", ",inf", "NaN,"] {
            assert!(!page.contains(value), "{reward}: {value}");
        }
    }
}

#[test]
fn the_same_result_gives_the_same_bytes_also_after_it_was_stored() {
    let evaluation = evaluation(&scored(60));
    let stored = serde_json::to_string(&evaluation).unwrap();
    let again: Evaluation = serde_json::from_str(&stored).unwrap();
    assert_eq!(html(&again, &mistakes(2)), html(&evaluation, &mistakes(2)));
}

/// Writes pages to be looked at into the folder that `REPORT_FOLDER` names.
#[test]
#[ignore = "writes files to be looked at in a browser"]
fn pages_to_look_at() {
    let folder = PathBuf::from(std::env::var_os("REPORT_FOLDER").unwrap());
    let full = evaluation(&scored(1250));
    page::document::replace(&folder.join("evaluation.html"), &html(&full, &mistakes(8))).unwrap();
    let mut bare = evaluation(&scored(12));
    bare.figures.truncate(1);
    (bare.probes, bare.failed, bare.notes) = (None, Vec::new(), Vec::new());
    page::document::replace(&folder.join("bare.html"), &html(&bare, &[])).unwrap();
}
