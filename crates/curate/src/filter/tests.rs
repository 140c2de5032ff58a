//! Tests of filters.

use data::Preference;
use data::raw::parse_json;
use prompt::{Message, Part};

use super::*;

fn message(role: &str, text: &str) -> Message {
    Message { role: role.to_owned(), content: vec![Part::Text(text.to_owned())] }
}

/// Two answers with scores 5 and 2, the better one last.
fn comparison() -> Comparison {
    Comparison {
        id: "7".to_owned(),
        source: "shp".to_owned(),
        prompt: vec![message("system", "Be brief."), message("user", "What is it?")],
        responses: vec![
            vec![message("assistant", "A dog")],
            vec![message("assistant", "A big cat")],
        ],
        preference: Preference {
            ranks: vec![1, 0],
            scores: Some(vec![2.0, 5.0]),
            margin: None,
            soft_label: None,
        },
    }
}

fn recipes(expressions: &[&str]) -> Vec<FilterRecipe> {
    let recipe = |keep: &&str| FilterRecipe { name: None, keep: (*keep).to_owned() };
    expressions.iter().map(recipe).collect()
}

fn ask_about(comparison: &Comparison, row: &str, expressions: &[&str]) -> Verdict {
    let tokens: CountTokens = Arc::new(|text| Ok(text.len()));
    let filters = Filters::compile(&[], &recipes(expressions), Some(tokens)).unwrap();
    let row = parse_json(row).unwrap();
    filters.check(&Subject { comparison, row: &row, sizes: &[(40, 30), (20, 10)] })
}

fn ask(expression: &str) -> Verdict {
    let row = r#"{"score_ratio": 2.5, "labels": "1.5", "domain": "ask", "none": null, "meta": {"n": [3]}}"#;
    ask_about(&comparison(), row, &[expression])
}

fn reason(expression: &str) -> String {
    match ask(expression) {
        Verdict::Undecided { reason, .. } => reason,
        other => panic!("`{expression}` gives {other:?}"),
    }
}

fn refusal(expression: &str) -> String {
    check(expression, false).unwrap_err().to_string()
}

#[test]
fn every_name_has_the_value_of_the_record() {
    for expression in [
        r#"prompt == "Be brief.\nWhat is it?""#,
        r#"chosen == "A big cat" and rejected == "A dog""#,
        r#"id == "7" and source == "shp" and responses == 2"#,
        "num_turns == 1 and num_images == 0 and num_videos == 0",
        "margin == 3 and score_chosen == 5 and score_rejected == 2 and score_ratio == 2.5",
        r#"language == "und""#,
        "0.33 < similarity < 0.34",
        "image_width == 20 and image_height == 10 and image_pixels == 200",
        "max_image_width == 40 and max_image_height == 30 and max_image_pixels == 1200",
        r#"row.score_ratio >= 2 and row["domain"] == "ask" and row.meta.n[0] == 3"#,
        "chars(chosen) == 9 and words(chosen) == 3 and tokens(rejected) == 5",
        r#"matches(chosen, "b[ai]g") and not matches(chosen, "^big")"#,
        "not has_html(prompt) and has_html(prompt ~ '<br>')",
        r#"source in ["shp", "hh"] and source is startingwith "s" and prompt | length > 3"#,
        "margin is defined and soft_label is not defined and row.nothing is not defined",
        "row.labels | float > 1 and row.labels != 1.5",
        "row.none is undefined and (row.none is undefined or row.none > 3)",
    ] {
        assert_eq!(ask(expression), Verdict::Keep, "{expression}");
    }
}

#[test]
fn a_margin_is_that_of_the_better_answer_wherever_it_stands() {
    let mut comparison = comparison();
    comparison.preference.margin = Some(-0.5);
    comparison.preference.soft_label = Some(0.25);
    let keep = ["margin == 0.5 and soft_label == 0.75"];
    assert_eq!(ask_about(&comparison, "{}", &keep), Verdict::Keep);
}

#[test]
fn the_first_filter_that_does_not_pass_is_named() {
    let drop = Verdict::Drop { filter: "margin > 4".to_owned() };
    let keep = ["margin > 1", "margin > 4", "soft_label > 1"];
    assert_eq!(ask_about(&comparison(), "{}", &keep), drop);
}

#[test]
fn a_missing_value_is_never_decided_silently() {
    let missing = "the record has no `soft_label`; say what then, with `is defined`";
    for expression in ["soft_label > 0.5", "soft_label", "not soft_label", "soft_label != 1"] {
        assert_eq!(reason(expression), missing, "{expression}");
    }
    let missing = "the record has no `row.length`; say what then, with `is defined`";
    assert_eq!(reason("row.length < 3 or margin > 1"), missing);
    assert_eq!(reason("chars(row.length) < 3"), missing);
    assert_eq!(reason("row.none == 3").split(';').next(), Some("the record has no `row.none`"));
}

#[test]
fn what_is_neither_true_nor_false_is_not_taken_for_one() {
    assert_eq!(reason("margin"), "it gives a number, which is neither true nor false");
    assert_eq!(reason("chars(margin) > 3"), "a function needs a text and is given a number");
    let dynamic = reason("matches(chosen, row.domain ~ '(')");
    assert_eq!(dynamic, "the pattern `ask(` cannot be read: unclosed group");
}

#[test]
fn mistakes_are_found_before_any_record() {
    let unknown = "the filter `margn > 1` asks for `margn`, which does not exist; use one of: prompt, chosen,";
    assert!(refusal("margn > 1").starts_with(unknown), "{}", refusal("margn > 1"));
    assert!(refusal("true or lenght(prompt) > 1").contains("asks for `lenght`"));
    assert!(refusal("margin >").contains("cannot be read"));
    assert!(refusal("true or prompt | lenght > 1").contains("`| lenght`"));
    assert!(refusal("true or prompt is not strng").contains("`is strng`"));
    assert!(refusal("tokens(prompt) < 8").contains("`tokenizer`"));
    let pattern = r#"true or matches(chosen ~ f("x, y"), "(a")"#.replace("f(", "(");
    assert!(refusal(&pattern).contains("the pattern `(a`, which cannot be read: unclosed group"));
    for fine in [r#"prompt != "a | b is c""#, "row.is is defined and 'x' is string"] {
        assert_eq!(check(fine, false), Ok(()), "{fine}");
    }
}

#[test]
fn only_sizes_that_are_asked_for_are_needed() {
    let needs = |keep| Filters::compile(&recipes(&[keep]), &[], None).unwrap().needs_sizes();
    assert!(needs("num_images == 0 or image_width > 28"));
    assert!(needs("max_image_pixels < 1e7"));
    assert!(!needs("num_images < 5 and similarity < 0.9"));
}

#[test]
fn filters_can_be_asked_on_several_threads() {
    fn needs_threads<T: Send + Sync>() {}
    needs_threads::<Filters>();
}
