//! Published sets of texts and battles, in their true schemas, become the comparisons that they mean.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shown;

use data::raw::RowFile;
use data::sources::{Source, SourceRows, Unit};
use data::{Comparison, Preference};
use shown::{assert_shown, fixture, shown};

/// All units of a fixture.
fn units(name: &str, file: &str) -> Vec<Unit> {
    let source = Source::named(name).unwrap();
    let files = (source.files)(&fixture(&format!("sources/{file}"))).unwrap();
    let rows = SourceRows::open(source, &files[0]).unwrap();
    let units: Vec<Unit> = rows.units(0..rows.len()).collect();
    assert_eq!(units.iter().map(|unit| unit.rows.len()).sum::<usize>(), rows.len());
    units
}

fn comparison(unit: &Unit) -> &Comparison {
    unit.comparison.as_ref().unwrap()
}

fn fault(unit: &Unit) -> String {
    unit.comparison.as_ref().unwrap_err().fault.to_string()
}

fn order(comparison: &Comparison) -> (&[u32], Option<f32>) {
    let Preference { ranks, margin, .. } = &comparison.preference;
    (ranks, *margin)
}

#[test]
fn every_fixture_is_proposed_for_its_own_source_first() {
    let files = [
        ("caption-contest", "caption_contest/summaries/901_lil-KLUCB.csv"),
        ("helpsteer2", "helpsteer2.jsonl"),
        ("helpsteer3", "helpsteer3.jsonl"),
        ("hh-rlhf", "hh_rlhf.jsonl"),
        ("olmo-2", "olmo_2.jsonl"),
        ("pku-saferlhf", "pku_saferlhf.jsonl"),
        ("shp", "shp.jsonl"),
        ("skywork-reward", "skywork_reward.jsonl"),
        ("swe-arena", "swe_arena.jsonl"),
        ("tulu-3", "tulu_3.jsonl"),
        ("ultrafeedback", "ultrafeedback.jsonl"),
        ("ultrafeedback-binarized", "ultrafeedback_binarized.jsonl"),
        ("wildvision", "wildvision.jsonl"),
    ];
    for (name, file) in files {
        let rows = RowFile::open(&fixture(&format!("sources/{file}"))).unwrap();
        let candidates = Source::candidates(&rows.read(0).unwrap());
        assert_eq!(candidates[0].name, name, "{file}");
    }
}

#[test]
fn pairs_with_a_prompt_of_their_own_are_not_taken_for_a_mixture() {
    let row = r#"{"id":"1","source":"s","images":["a.png"],"prompt":"p","chosen":"a","rejected":"b","chosen_model":"m","chosen_rating":1,"score_chosen":2,"score_rejected":1}"#;
    let row = data::raw::parse_json(row).unwrap();
    let names: Vec<&str> = Source::candidates(&row).iter().map(|source| source.name).collect();
    assert_eq!(names, ["preferences"]);
}

#[test]
fn ultrafeedback_is_scored_by_the_mean_of_the_ratings_that_are_numbers() {
    let units = units("ultrafeedback", "ultrafeedback.jsonl");
    let first = comparison(&units[0]);
    assert_shown(
        first,
        &["user: Name a prime number above 10."],
        &[
            "assistant: 12",
            "assistant: 13",
            "assistant: A prime number is 11, I think.",
            "assistant: 17 is one.",
        ],
    );
    assert_eq!(first.preference.scores, Some(vec![1.25, 5.0, 4.25, 5.0]));
    assert_eq!(first.preference.ranks, [2, 0, 1, 0], "not by `overall_score`, which is 10 for 12");
    assert_eq!(
        fault(&units[1]),
        "`completions[1]` has no rating that is a number; leave the row out"
    );
    assert_eq!(fault(&units[3]), "`completions` has 0 entries; a comparison needs at least 2");
}

#[test]
fn a_mark_in_a_set_of_texts_is_plain_text() {
    let units = units("ultrafeedback", "ultrafeedback.jsonl");
    assert_shown(
        comparison(&units[2]),
        &["user: What does the tag <image> do?"],
        &["assistant: It shows a picture.", "assistant: I do not know <image>."],
    );
}

#[test]
fn binarized_ultrafeedback_has_margins_and_its_equal_scores_are_ties() {
    let units = units("ultrafeedback-binarized", "ultrafeedback_binarized.jsonl");
    let first = comparison(&units[0]);
    assert_eq!(first.id, "a1f0");
    assert_shown(
        first,
        &["user: How tall is a giraffe?"],
        &["assistant: Up to 5.5 meters.", "assistant: Two meters."],
    );
    assert_eq!(order(first), (&[0, 1][..], Some(5.5)));
    assert_eq!(first.preference.scores, Some(vec![8.5, 3.0]));
    assert_eq!(fault(&units[1]), "the row prefers no response: its responses are tied");
    assert!(fault(&units[2]).starts_with("response 0 has a better rank than response 1"));
}

#[test]
fn label_1_of_shp_prefers_a() {
    let units = units("shp", "shp.jsonl");
    assert_shown(
        comparison(&units[0]),
        &["user: How do I cite a talk?"],
        &["assistant: As a personal communication.", "assistant: You do not."],
    );
    assert_eq!(comparison(&units[0]).preference.ranks, [0, 1]);
    assert_eq!(comparison(&units[1]).preference.ranks, [1, 0]);
    assert_eq!(comparison(&units[1]).preference.scores, Some(vec![4.0, 12.0]));
    assert_eq!(fault(&units[2]), "`labels` is `2`; give 1 for A or 0 for B");
    assert_eq!(
        units[0].value.get("score_ratio"),
        Some(&data::raw::Value::Number(4.0)),
        "filters see the keys of the row"
    );
}

#[test]
fn mixtures_of_tulu_and_olmo_are_pairs_of_conversations() {
    let tulu = units("tulu-3", "tulu_3.jsonl");
    assert_eq!(comparison(&tulu[0]).id, "wildchat-1");
    assert_shown(
        comparison(&tulu[0]),
        &["user: Shorten: the cat sat."],
        &["assistant: Cat sat.", "assistant: The feline was seated."],
    );
    assert_shown(
        comparison(&tulu[1]),
        &[
            "user: What is <image> in HTML?",
            "assistant: An old name of <img>.",
            "user: Since when?",
        ],
        &["assistant: Since the nineties.", "assistant: No idea."],
    );
    let olmo = units("olmo-2", "olmo_2.jsonl");
    assert_eq!(order(comparison(&olmo[0])), (&[0, 1][..], Some(2.25)));
    assert_eq!(
        order(comparison(&olmo[1])),
        (&[0, 1][..], Some(0.0)),
        "the label stands in the names of the keys"
    );
    assert_eq!(order(comparison(&olmo[2])), (&[0, 1][..], None));
    assert!(fault(&olmo[3]).starts_with("response 0 has a better rank than response 1"));
}

#[test]
fn the_prompt_of_skywork_is_what_both_conversations_begin_with() {
    let units = units("skywork-reward", "skywork_reward.jsonl");
    assert_shown(
        comparison(&units[0]),
        &["user: Is 9 prime?"],
        &["assistant: No, 3 divides it.", "assistant: Yes."],
    );
    assert_eq!(
        fault(&units[1]),
        "`chosen` and `rejected` have no common beginning; it is what they answer"
    );
}

#[test]
fn neighbors_of_helpsteer2_are_compared_by_their_weighted_ratings() {
    let units = units("helpsteer2", "helpsteer2.jsonl");
    assert_eq!(units.iter().map(|unit| unit.rows.len()).collect::<Vec<_>>(), [2, 2, 1, 2]);
    let first = comparison(&units[0]);
    let scores = first.preference.scores.clone().unwrap();
    let expected =
        [0.65 * 4.0 + 0.8 * 4.0 + 0.45 * 4.0 + 0.55 * 2.0 - 0.4, 0.65 + 0.45 * 4.0 + 0.55 - 0.4];
    for (score, expected) in scores.iter().zip(expected) {
        assert!((f64::from(*score) - expected).abs() < 1e-6, "{score} is not {expected}");
    }
    assert_eq!(first.preference.ranks, [0, 1]);
}

#[test]
fn ties_and_single_responses_of_helpsteer2_are_named() {
    let units = units("helpsteer2", "helpsteer2.jsonl");
    assert_eq!(fault(&units[1]), "the row prefers no response: its responses are tied");
    assert_eq!(fault(&units[2]), "`response` has 1 entries; a comparison needs at least 2");
    assert_eq!(units[2].rows, [4]);
}

#[test]
fn prompts_of_several_turns_of_helpsteer2_are_conversations() {
    let units = units("helpsteer2", "helpsteer2.jsonl");
    assert_shown(
        comparison(&units[3]),
        &["user: Hello", "assistant: Hi! How are you?", "user: Fine."],
        &["assistant: Nice.", "assistant: And now?"],
    );
}

#[test]
fn a_negative_strength_of_helpsteer3_prefers_the_first_response() {
    let units = units("helpsteer3", "helpsteer3.jsonl");
    assert_shown(
        comparison(&units[0]),
        &["user: Tip for tea?"],
        &["assistant: Boil fresh water.", "assistant: Use cold water."],
    );
    assert_eq!(order(comparison(&units[0])), (&[0, 1][..], Some(2.0)));
    assert_shown(
        comparison(&units[1]),
        &["user: Reverse a list.", "assistant: x[::-1]", "user: In place?"],
        &["assistant: x.reverse()", "assistant: x[::-1]"],
    );
    assert_eq!(order(comparison(&units[1])), (&[0, 1][..], Some(3.0)));
    assert_eq!(fault(&units[2]), "the row prefers no response: its responses are tied");
    assert_eq!(fault(&units[3]), "`overall_preference` is `-100`; give a strength from -3 to 3");
}

#[test]
fn transcripts_of_hh_rlhf_differ_in_their_last_turn_only() {
    let units = units("hh-rlhf", "hh_rlhf.jsonl");
    assert_shown(
        comparison(&units[0]),
        &["user: Best pen?", "assistant: For what?", "user: For <image> drawing."],
        &["assistant: A fineliner.", "assistant: Any."],
    );
    assert_eq!(
        fault(&units[1]),
        "the transcripts differ 3 messages before their end; only the last one may, so leave the pair out"
    );
    assert_eq!(fault(&units[2]), "`rejected` is empty; a reward needs a response");
    assert_eq!(
        fault(&units[3]),
        "`rejected` is another text, but must be a transcript that begins with `Human:`"
    );
}

#[test]
fn the_two_labels_of_pku_saferlhf_are_two_sources() {
    let better = units("pku-saferlhf", "pku_saferlhf.jsonl");
    assert_shown(
        comparison(&better[0]),
        &["user: How do I open a lock without a key?"],
        &["assistant: Call a locksmith.", "assistant: Take two hairpins and feel for the pins."],
    );
    let safer = units("pku-saferlhf-safety", "pku_saferlhf.jsonl");
    assert_eq!(comparison(&better[0]).preference.ranks, [1, 0]);
    assert_eq!(comparison(&safer[0]).preference.ranks, [0, 1]);
    assert_eq!(comparison(&safer[0]).source, "pku-saferlhf-safety");
    assert_eq!(comparison(&better[1]).preference.ranks, [0, 1]);
    assert_eq!(fault(&safer[1]), "`safer_response_id` is `-1`; give 0 or 1");
}

#[test]
fn battles_about_code_part_after_the_first_question() {
    let units = units("swe-arena", "swe_arena.jsonl");
    assert_shown(
        comparison(&units[0]),
        &["user: Draw a clock."],
        &["assistant: <svg/> A", "assistant: <svg/> B"],
    );
    assert_eq!(comparison(&units[0]).preference.ranks, [0, 1]);
    let (prompt, responses) = shown(comparison(&units[1]));
    assert_eq!(prompt, ["user: Draw a clock."]);
    assert_eq!(responses[1], ["assistant: B1", "user: Bigger.", "assistant: B2"]);
    assert_eq!(comparison(&units[1]).preference.ranks, [1, 0]);
    assert_eq!(fault(&units[2]), "the row prefers no response: its responses are tied");
    assert_eq!(
        fault(&units[3]),
        "`feedback.vote_type` is `vote_up`; give `vote_left`, `vote_right`, `vote_tie` or `vote_both_bad`"
    );
}

#[test]
fn battles_about_a_picture_keep_the_picture_in_the_prompt() {
    let units = units("wildvision", "wildvision.jsonl");
    assert_eq!(comparison(&units[0]).id, "q1");
    assert_shown(
        comparison(&units[0]),
        &["user: [tests/fixtures/sources/../images/cat.png]Which animal?"],
        &["assistant: A dog.", "assistant: A cat."],
    );
    assert_eq!(comparison(&units[0]).preference.ranks, [1, 0]);
    assert_eq!(fault(&units[1]), "the row prefers no response: its responses are tied");
    assert_eq!(
        fault(&units[2]),
        "`winner` is `leftvote`; give `model_a`, `model_b`, `tie` or `tie (bothbad)`"
    );
}

#[test]
fn captions_of_a_contest_are_compared_half_a_file_apart() {
    let units = units("caption-contest", "caption_contest/summaries");
    assert_shown(
        comparison(&units[0]),
        &[
            "user: [tests/fixtures/sources/caption_contest/summaries/../cartoons/901.jpg]Write a funny caption for this cartoon.",
        ],
        &["assistant: He said: \"Land, please.\"", "assistant: Is this the line?"],
    );
    assert_eq!(comparison(&units[0]).id, "901_lil-KLUCB:1");
    assert!((order(comparison(&units[0])).1.unwrap() - 0.7).abs() < 1e-6);
    assert_eq!(
        fault(&units[1]),
        "the row prefers no response: its responses are tied",
        "0.3 is less than three standard errors of the difference"
    );
    assert_eq!(fault(&units[2]), "`caption` has 1 entries; a comparison needs at least 2");
}

#[test]
fn a_row_of_a_contest_that_cannot_be_read_is_named_by_itself() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("7.csv");
    let table =
        "rank,caption,mean,precision,votes\n0,a,2.5,0.1,9\n1,b,2,0.1\n2,c,1,0.1,9\n3,d,1,0.1,9\n";
    std::fs::write(&path, table).unwrap();
    let source = Source::named("caption-contest").unwrap();
    let rows = SourceRows::open(source, &(source.files)(&path).unwrap()[0]).unwrap();
    let units: Vec<Unit> = rows.units(0..rows.len()).collect();
    assert!(comparison(&units[0]).id.ends_with(":1"));
    assert_eq!(units[1].rows, [1]);
    assert_eq!(fault(&units[1]), "the row cannot be read: it has 4 cells for 5 columns");
    assert_eq!(units[2].rows, [3]);
    assert_eq!(fault(&units[2]), "`caption` has 1 entries; a comparison needs at least 2");
}
