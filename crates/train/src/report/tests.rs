//! Tests of the report: what stands on the page, that it is well formed, and that no text can break out of it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use eval::judged::surest_mistakes;
use prompt::ImageSource;
use testkit::page::{assert_inert, text_of};

use super::*;
use crate::metrics::{EvaluationMetrics, TrainMetrics};

/// Numbers from 0 to 1 that look random and never change.
fn noise(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f64 / f64::from(1 << 24)
}

fn history(num_steps: u64) -> Vec<StepMetrics> {
    (1..=num_steps)
        .map(|step| {
            let progress = step as f64 / num_steps as f64;
            let train = TrainMetrics {
                loss: 0.693 - 0.5 * progress.sqrt() + 0.15 * (noise(step) - 0.5),
                pairwise_accuracy: 0.5 + 0.45 * progress.sqrt() + 0.1 * (noise(step) - 0.5),
                margin_mean: 3.0 * progress + noise(step + 7),
                learning_rate: 5e-4 * (1.0 - progress) * (progress * 10.0).min(1.0),
                grad_norm: 1.0 + noise(step) * if step == 40 { 30.0 } else { 1.0 },
                pairs_per_sec: 52.0,
                step_secs: 0.25,
                peak_resident_bytes: 3 << 29,
                ..TrainMetrics::default()
            };
            let evaluation = (step % 50 == 0).then(|| EvaluationMetrics {
                loss: 0.7 - 0.4 * progress.sqrt(),
                pairwise_accuracy: 0.5 + 0.4 * progress.sqrt(),
                margin_mean: 2.5 * progress,
                ..EvaluationMetrics::default()
            });
            StepMetrics { step, train: Some(train), evaluation }
        })
        .collect()
}

fn picture(seed: u64) -> ImageSource {
    let colors = [[220u8, 60, 50], [40, 120, 220], [240, 190, 40], [50, 160, 90]];
    let cell = |x: u32, y: u32| colors[(noise(seed * 9 + u64::from(y * 3 + x)) * 4.0) as usize % 4];
    let pixels = image::RgbImage::from_fn(84, 84, |x, y| {
        let near = |at: u32| (at % 28).abs_diff(14) < 9;
        image::Rgb(if near(x) && near(y) { cell(x / 28, y / 28) } else { [235, 235, 230] })
    });
    let mut bytes = io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let label = format!("{seed:06}.png");
    ImageSource::Bytes { label, bytes: bytes.into_inner() }
}

fn held_out(num_pairs: u64, skill: f64) -> Vec<Judged> {
    let kinds = ["color", "shape", "counting", "relative position", "size", "reading digits"];
    (0..num_pairs)
        .map(|i| {
            let chosen_reward = skill + 2.0 * (noise(i * 3) + noise(i * 3 + 1) - 1.0);
            let rejected_reward = -skill + 2.0 * (noise(i * 5) + noise(i * 5 + 2) - 1.0);
            Judged {
                row: (i / 3) as usize,
                id: format!("demo-{:05}", i / 3),
                kind: Some(kinds[i as usize % 6].to_owned()),
                better: 0,
                worse: 1,
                chosen_reward: chosen_reward as f32,
                rejected_reward: rejected_reward as f32,
                chosen_len: 20 + (noise(i + 99) * 12.0) as usize,
                rejected_len: 20 + (noise(i + 199) * 12.0) as usize,
            }
        })
        .collect()
}

fn shown(pairs: &[Judged]) -> Vec<Shown> {
    surest_mistakes(pairs, 12)
        .into_iter()
        .map(|pair| Shown {
            images: vec![picture(pair.row as u64)],
            prompt: "How many red circles are there?".to_owned(),
            chosen: "There are two red circles.".to_owned(),
            rejected: "There are three red circles, if one looks closely.".to_owned(),
            judged: pair.clone(),
        })
        .collect()
}

fn input() -> ReportInput {
    let held_out = held_out(600, 0.6);
    let pairs = |texts: &[(&str, &str)]| {
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    ReportInput {
        title: "Demo: a visual world".to_owned(),
        names: pairs(&[
            ("model", "tiny, 1.6M parameters"),
            ("recipe", "demo.toml"),
            ("data", "world"),
        ]),
        notes: vec!["Stopped at step 400 of 500 because it was asked to.".to_owned()],
        history: history(400),
        mistakes: shown(&held_out),
        held_out,
        image_blind: self::held_out(600, 0.02),
        recipe: "[loss.bradley_terry]\nmargin = 0.0\n\n[run]\nsteps = 500\n".to_owned(),
        versions: pairs(&[("basereward", "0.1.0"), ("CPU tier", "amx")]),
        skipped: vec![("4,120 tokens, the most is 4,096".to_owned(), 3)],
    }
}

#[test]
fn every_figure_stands_on_the_page() {
    let input = input();
    let page = render(&input);
    let text = text_of(&page);
    let accuracy = eval::judged::pairwise_accuracy(&input.held_out);
    let mut expected = vec![
        "Demo: a visual world".to_owned(),
        "tiny, 1.6M parameters".to_owned(),
        "demo.toml".to_owned(),
        format!("{} of 600 pairs; 95 % interval", accuracy.num_right),
        "200 comparisons".to_owned(),
        "Length baseline".to_owned(),
        "Image-blind".to_owned(),
        "Chance50.0 %".to_owned(),
        "100 s of training".to_owned(),
        "52.0median of the steps; 1.50 GiB".to_owned(),
        "1 step lies beyond the axis".to_owned(),
        "4,120 tokens, the most is 4,096".to_owned(),
        "[loss.bradley_terry]".to_owned(),
        "CPU tier".to_owned(),
        "Stopped at step 400".to_owned(),
    ];
    for (kind, accuracy) in eval::judged::accuracy_by_kind(&input.held_out) {
        expected.push(format!("{kind} · {} of {}", accuracy.num_right, accuracy.num_total));
    }
    for title in ["Loss", "Pairwise accuracy", "Mean margin", "Learning rate", "Gradient norm"] {
        expected.push(title.to_owned());
    }
    for mistake in surest_mistakes(&input.held_out, 12) {
        expected.push(mistake.id.clone());
        expected.push(format!("margin {}", number::short(mistake.margin())));
    }
    for piece in expected {
        assert!(text.contains(&piece), "`{piece}` is missing");
    }
    assert_eq!(page.matches("<figure>").count(), 10);
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 12);
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    assert_inert(&render(&input()));
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "</script></pre><img src=x onerror=alert(1)>\"'&\u{202e}";
    let mut input = ReportInput {
        title: hostile.to_owned(),
        names: vec![(hostile.to_owned(), hostile.to_owned())],
        notes: vec![hostile.to_owned()],
        recipe: hostile.to_owned(),
        versions: vec![(hostile.to_owned(), hostile.to_owned())],
        skipped: vec![(hostile.to_owned(), 1)],
        held_out: held_out(3, -5.0),
        ..ReportInput::default()
    };
    for pair in &mut input.held_out {
        pair.id = hostile.to_owned();
        pair.kind = Some(hostile.to_owned());
    }
    input.mistakes = shown(&input.held_out);
    assert_eq!(input.mistakes.len(), 3);
    for pair in &mut input.mistakes {
        (pair.prompt, pair.chosen) = (hostile.to_owned(), hostile.to_owned());
        let label = hostile.to_owned();
        pair.images.push(ImageSource::Bytes { label, bytes: vec![0] });
    }
    let page = render(&input);
    text_of(&page);
    assert!(!page.contains("<img src=x"));
    assert!(page.matches("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;").count() >= 15);
}

#[test]
fn a_run_without_held_out_pairs_or_steps_still_has_a_page() {
    let text =
        text_of(&render(&ReportInput { title: "Empty".to_owned(), ..ReportInput::default() }));
    assert!(text.contains("no held-out pair was judged"));
    assert!(text.contains("No step was recorded."));
    let text = text_of(&render(&ReportInput { history: history(1), ..ReportInput::default() }));
    assert!(text.contains("Pairs per second"));
}

#[test]
fn figures_that_are_not_finite_do_not_reach_a_drawing() {
    let mut input = input();
    for step in &mut input.history {
        let train = step.train.as_mut().expect("every step was trained");
        (train.loss, train.grad_norm) = (f64::NAN, f64::INFINITY);
    }
    for pair in &mut input.held_out {
        pair.chosen_reward = f32::NAN;
    }
    let page = render(&input);
    text_of(&page);
    assert!(page.contains("pairs without a finite reward, counted as wrong: 600"));
    for value in ["=\"NaN", "=\"inf", ",NaN", ",inf", "NaN,"] {
        assert!(!page.contains(value), "{value}");
    }
}

#[test]
fn one_pair_of_one_reward_is_drawn() {
    let pair = Judged { chosen_reward: 1.0, rejected_reward: 1.0, ..held_out(1, 0.0).remove(0) };
    let page = render(&ReportInput { held_out: vec![pair], ..ReportInput::default() });
    assert!(text_of(&page).contains("ties, counted as wrong: 1"));
    assert!(!page.contains("NaN"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(REPORT_FILE);
    write(&path, &input()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), render(&input()));
}

/// Writes pages to be looked at into the folder that `REPORT_FOLDER` names.
#[test]
#[ignore = "writes files to be looked at in a browser"]
fn pages_to_look_at() {
    let folder = PathBuf::from(std::env::var_os("REPORT_FOLDER").unwrap());
    write(&folder.join("full.html"), &input()).unwrap();
    let mut long = input();
    long.history = history(20_000);
    let mut text = String::new();
    for word in 0..150 {
        write!(text, "word{word} ").unwrap();
    }
    for pair in &mut long.held_out {
        pair.kind = None;
        (pair.chosen_len, pair.rejected_len) = (300, 180);
    }
    long.mistakes = shown(&long.held_out);
    for pair in &mut long.mistakes {
        pair.chosen.clone_from(&text);
    }
    long.title = "x".repeat(200);
    write(&folder.join("long.html"), &long).unwrap();
    let empty = ReportInput { title: "Empty".to_owned(), ..ReportInput::default() };
    write(&folder.join("empty.html"), &empty).unwrap();
}
