//! The output of `score`: the same bits on every way in and out, in order, and never overwritten or mixed by accident.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use support::{Ended, Workplace, good_row, lines, rows_of};

/// Rows of all kinds, of which two cannot be scored; some letters are longer than a byte.
fn mixed_rows() -> Vec<Value> {
    let mut rows: Vec<Value> = ["größe", "b", "c", "d", "図"].map(good_row).to_vec();
    rows[1]["images"] = json!([]);
    rows[2]["images"] = json!(["images/ß.png"]);
    rows[3]["responses"] = json!([]);
    rows[4]["images"] = json!(["images/circle.png", "images/odd_wide.png"]);
    rows
}

fn mixed_workplace() -> Workplace {
    let place = Workplace::with_model();
    place.write("rows.jsonl", lines(&mixed_rows()));
    place
}

#[test]
fn a_file_standard_input_and_one_item_give_the_same_bits() {
    let place = mixed_workplace();
    for dtype in ["f32", "bf16"] {
        let file = place.run(&["score", "model", "rows.jsonl", "--dtype", dtype]);
        let input = place.read("rows.jsonl");
        let stdin =
            place.run_with_input(&["score", "model", "-", "--dtype", dtype], input.as_bytes());
        assert_eq!((file.code, stdin.code), (1, 1));
        assert_eq!(file.out, stdin.out);
        for (row, written) in mixed_rows().iter().zip(file.rows()) {
            if written["scores"].is_null() {
                continue;
            }
            let mut arguments = vec!["score", "model", "--json", "--dtype", dtype];
            arguments.extend(["--prompt", row["prompt"].as_str().unwrap()]);
            for image in row["images"].as_array().unwrap() {
                arguments.extend(["--image", image.as_str().unwrap()]);
            }
            for response in row["responses"].as_array().unwrap() {
                arguments.extend(["--response", response.as_str().unwrap()]);
            }
            let item = &place.succeed(&arguments).rows()[0];
            assert_eq!(item["id"], "item");
            for key in ["scores", "tokens", "image_tokens"] {
                assert_eq!(item[key], written[key], "{key}");
            }
        }
    }
}

#[test]
fn every_way_out_has_the_same_bytes() {
    let place = mixed_workplace();
    let plain = place.run(&["score", "model", "rows.jsonl"]);
    assert_eq!(place.run(&["score", "model", "rows.jsonl", "-o", "-"]).out, plain.out);
    let file = place.run(&["score", "model", "rows.jsonl", "-o", "out.jsonl"]);
    assert_eq!((file.code, file.out.as_str()), (1, ""));
    assert_eq!(place.read("out.jsonl"), plain.out);
    let without_time = |ended: &Ended| {
        ended
            .err
            .lines()
            .filter(|line| !line.contains("rows/s"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_time(&plain), without_time(&file));
    assert_eq!(without_time(&plain).len(), 3, "{}", plain.err);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let place = mixed_workplace();
    for dtype in ["f32", "bf16"] {
        let run = |threads| {
            place.run(&["score", "model", "rows.jsonl", "--dtype", dtype, "--threads", threads])
        };
        let one = run("1");
        assert_eq!(one.rows().len(), 5);
        for threads in ["2", "3"] {
            assert_eq!(run(threads).out, one.out);
        }
    }
}

#[test]
fn rows_keep_their_order_and_ids_whatever_the_lines_look_like() {
    let place = Workplace::with_model();
    let named = |id: Value| {
        let mut row = good_row("x");
        row["id"] = id;
        row.to_string()
    };
    let mut unnamed = good_row("x");
    unnamed.as_object_mut().unwrap().remove("id");
    let text = [
        String::new(),
        named(json!("b")),
        "   ".to_owned(),
        named(json!("a")) + "\r",
        named(json!("b")),
        named(json!(7)),
        unnamed.to_string(),
        named(json!("")),
    ];
    let ids = ["b", "a", "b", "7", "7", ""];
    for text in [text.join("\n"), text.join("\n") + "\n", format!("\u{feff}{}", text.join("\n"))] {
        place.write("rows.jsonl", &text);
        let rows = place.succeed(&["score", "model", "rows.jsonl"]).rows();
        let found: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(found, ids);
        assert!(rows.iter().all(|row| row["scores"] == rows[0]["scores"]));
    }
}

#[test]
fn an_input_without_rows_gives_an_empty_output() {
    let place = Workplace::with_model();
    place.write("rows.jsonl", "\n \n");
    let ended = place.succeed(&["score", "model", "rows.jsonl", "-o", "out.jsonl"]);
    assert_eq!(place.read("out.jsonl"), "");
    assert!(ended.err.contains("0 rows"), "{}", ended.err);
}

#[test]
fn one_item_is_shown_as_a_table_with_the_best_marked() {
    let place = Workplace::with_model();
    let item = ["score", "model", "--image", "images/square.png", "--prompt", "What is it?"];
    let two =
        [&item[..], &["--response", "A red\tsquare.\nYes.", "--response", "-- a \u{1b}[2Jdog"]]
            .concat();
    let out = place.succeed(&two).out;
    let shown: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(shown[0], ["reward", "tokens", "response"]);
    let json = place.succeed(&[&two[..], &["--json"]].concat()).rows();
    let scores: Vec<f64> =
        json[0]["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
    assert!(
        out.contains("A red square. Yes.") && out.contains("--  a  [2Jdog")
            || out.contains("-- a  [2Jdog")
    );
    assert_eq!(out.lines().count(), 3);
    let best = usize::from(scores[1] > scores[0]) + 1;
    assert_eq!(shown[best][0], "*");
    assert_eq!(shown[3 - best].iter().filter(|cell| **cell == "*").count(), 0);
    let one = place.succeed(&[&item[..], &["--response", "A"]].concat()).out;
    assert!(!one.contains('*'));
}

/// A finished run with its output, and the sentences that a finished run ends with.
fn uninterrupted(place: &Workplace) -> (Vec<u8>, String) {
    let ended = place.run(&["score", "model", "rows.jsonl", "-o", "whole.jsonl"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    let run = place.read("whole.jsonl.run.json");
    place.write("out.jsonl.run.json", run);
    (fs::read(place.path("whole.jsonl")).unwrap(), last_line(&ended))
}

fn last_line(ended: &Ended) -> String {
    ended.err.lines().last().unwrap().to_owned()
}

#[test]
fn an_output_that_was_cut_anywhere_is_resumed_to_the_same_bytes() {
    let place = mixed_workplace();
    let (whole, failures) = uninterrupted(&place);
    assert_eq!(
        failures,
        "basereward: 2 rows could not be scored and have an `error` instead: c, d"
    );
    let line_ends: Vec<usize> = (1..=whole.len()).filter(|end| whole[end - 1] == b'\n').collect();
    let inside_a_letter = whole.iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
    let mut ends = vec![0, 1, line_ends[0] / 2, inside_a_letter, whole.len() - 1];
    ends.extend(line_ends.iter().flat_map(|end| [end - 1, *end, end + 1]));
    ends.retain(|end| *end <= whole.len());
    for end in ends {
        place.write("out.jsonl", &whole[..end]);
        let ended = place.run(&["score", "model", "rows.jsonl", "-o", "out.jsonl", "--resume"]);
        assert_eq!(ended.code, 1, "cut at {end}: {}", ended.err);
        assert!(fs::read(place.path("out.jsonl")).unwrap() == whole, "cut at {end}");
        assert_eq!(last_line(&ended), failures, "cut at {end}");
        let there = line_ends.iter().filter(|line_end| **line_end <= end).count();
        let told = match (there, line_ends.len() - there) {
            (0, left) => format!("{left} rows in "),
            (there, 0) => format!("nothing left to score: all {there} rows are there"),
            (_, left) => format!("{left} row"),
        };
        assert!(ended.err.contains(&format!("basereward: {told}")), "cut at {end}: {}", ended.err);
    }
}

#[test]
fn no_row_is_scored_twice() {
    let place = mixed_workplace();
    let (whole, _) = uninterrupted(&place);
    let end = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    place.write("out.jsonl", &whole[..end]);
    // The first row could not be scored again without its picture.
    fs::remove_file(place.path("images/square.png")).unwrap();
    place.run(&["score", "model", "rows.jsonl", "-o", "out.jsonl", "--resume"]);
    let rows = rows_of(&place.read("out.jsonl"));
    assert!(rows[0]["scores"].is_array());
    assert_eq!(rows.len(), 5);
}

#[test]
fn an_output_from_standard_input_is_resumed_too() {
    let place = mixed_workplace();
    let input = place.read("rows.jsonl");
    let arguments = ["score", "model", "-", "-o", "out.jsonl", "--resume"];
    place.run_with_input(&arguments, input.as_bytes());
    let whole = place.read("out.jsonl");
    place.write("out.jsonl", &whole[..whole.len() / 2]);
    let ended = place.run_with_input(&arguments, input.as_bytes());
    assert_eq!((ended.code, place.read("out.jsonl")), (1, whole));
}

#[test]
fn an_output_is_not_resumed_in_another_way() {
    let mut place = mixed_workplace();
    let (whole, _) = uninterrupted(&place);
    let start = &whole[..whole.len() / 2];
    let refused = |place: &Workplace, options: &[&str], expected: &[&str]| {
        place.write("out.jsonl", start);
        let base = ["score", "model", "rows.jsonl", "-o", "out.jsonl", "--resume"];
        let sentence = place.refused(&[&base, options].concat());
        for part in expected {
            assert!(sentence.contains(part), "`{part}` is not in: {sentence}");
        }
        assert_eq!(fs::read(place.path("out.jsonl")).unwrap(), start);
    };
    refused(
        &place,
        &["--dtype", "f32"],
        &["the compute type was `bf16` and is now `f32`", "use the same again"],
    );
    refused(
        &place,
        &["--max-pixels", "5000"],
        &["--max-pixels was the model's own and is now `5000`"],
    );
    refused(&place, &["--max-tokens", "80"], &["--max-tokens was the model's own and is now `80`"]);

    place.write("rows.jsonl", lines(&mixed_rows()[..4]));
    refused(
        &place,
        &[],
        &["the input `rows.jsonl` does not have the 5 rows", "give the same input"],
    );
    let mut edited = mixed_rows();
    edited[0]["responses"] = json!(["Another answer."]);
    place.write("rows.jsonl", lines(&edited));
    refused(&place, &[], &["the input `rows.jsonl` does not have the 5 rows"]);
    place.write("rows.jsonl", lines(&mixed_rows()));

    let run = place.read("out.jsonl.run.json");
    fs::remove_file(place.path("out.jsonl.run.json")).unwrap();
    refused(&place, &[], &["cannot resume without `out.jsonl.run.json`", "--overwrite"]);
    place.write("out.jsonl.run.json", &run[..run.len() / 2]);
    refused(&place, &[], &["`out.jsonl.run.json` is damaged", "--overwrite"]);
    place.write("out.jsonl.run.json", &run);

    if run.contains("\"tier\": \"portable\"") {
        place.write("out.jsonl.run.json", run.replace("portable", "abacus"));
    } else {
        place.set("BASEREWARD_CPU_TIER", "portable");
    }
    refused(&place, &[], &["the CPU tier was `", "and is now `portable`"]);
    place.write("out.jsonl.run.json", &run);

    place.edit("model/config.json", |config| config["rms_norm_eps"] = json!(1e-5));
    refused(
        &place,
        &[],
        &["the model was `model` with the fingerprint `", "and is now `model` with"],
    );
}

#[test]
fn an_output_is_not_resumed_with_other_ids() {
    let place = mixed_workplace();
    let input = place.read("rows.jsonl");
    let arguments = ["score", "model", "-", "-o", "out.jsonl", "--resume"];
    place.run_with_input(&arguments, input.as_bytes());
    let whole = place.read("out.jsonl");
    for (input, expected) in [
        (
            lines(&mixed_rows()[..2]),
            "row 3 of the output is `c`, but standard input has only 2 rows",
        ),
        (
            lines(&[good_row("z")]),
            "row 1 of the output is `größe`, but standard input has `z` there (line 1)",
        ),
    ] {
        let ended = place.run_with_input(&arguments, input.as_bytes());
        assert_eq!(ended.code, 2);
        assert!(ended.err.contains(expected), "{}", ended.err);
        assert_eq!(place.read("out.jsonl"), whole);
    }
}

#[test]
fn rows_may_be_added_to_an_input_that_is_resumed() {
    let place = mixed_workplace();
    let (whole, _) = uninterrupted(&place);
    place.write("out.jsonl", &whole);
    place.write("rows.jsonl", place.read("rows.jsonl") + &lines(&[good_row("new")]));
    let ended = place.run(&["score", "model", "rows.jsonl", "-o", "out.jsonl", "--resume"]);
    assert!(
        ended.err.contains("1 row in ") && ended.err.contains("(5 were there before)"),
        "{}",
        ended.err
    );
    let fresh = place.run(&["score", "model", "rows.jsonl"]);
    assert_eq!(place.read("out.jsonl"), fresh.out);
}

#[test]
fn a_file_that_is_no_output_is_not_resumed() {
    let place = mixed_workplace();
    uninterrupted(&place);
    place.write("out.jsonl", "{\"name\": \"x\"}\n");
    let sentence = place.refused(&["score", "model", "rows.jsonl", "-o", "out.jsonl", "--resume"]);
    assert!(
        sentence.contains("cannot resume `out.jsonl`: its line 1 is not an output row"),
        "{sentence}"
    );
    assert_eq!(place.read("out.jsonl"), "{\"name\": \"x\"}\n");
    let sentence = place.refused(&["score", "model", "rows.jsonl", "-o", "-", "--resume"]);
    assert!(sentence.contains("standard output cannot be resumed"), "{sentence}");
}

#[test]
fn an_output_that_exists_is_kept_unless_told_otherwise() {
    let place = mixed_workplace();
    place.write("out.jsonl", "precious\n");
    let sentence = place.refused(&["score", "model", "rows.jsonl", "-o", "out.jsonl"]);
    assert!(
        sentence
            .contains("`out.jsonl` exists; continue it with --resume, replace it with --overwrite")
    );
    assert_eq!(place.read("out.jsonl"), "precious\n");
    place.run(&["score", "model", "rows.jsonl", "-o", "out.jsonl", "--overwrite"]);
    assert_eq!(rows_of(&place.read("out.jsonl")).len(), 5);
    place.write("out.jsonl", "");
    place.run(&["score", "model", "rows.jsonl", "-o", "out.jsonl"]);
    assert_eq!(rows_of(&place.read("out.jsonl")).len(), 5);
}

#[test]
fn an_input_is_never_its_own_output() {
    let place = mixed_workplace();
    let before = place.read("rows.jsonl");
    for option in [&[][..], &["--overwrite"], &["--resume"]] {
        let arguments = [&["score", "model", "rows.jsonl", "-o", "./rows.jsonl"], option].concat();
        let sentence = place.refused(&arguments);
        assert!(sentence.contains("is both the input and the output"), "{sentence}");
        assert_eq!(place.read("rows.jsonl"), before);
    }
}

#[test]
fn a_place_that_takes_no_output_is_named_before_the_model_is_loaded() {
    let place = mixed_workplace();
    fs::remove_dir_all(place.path("model")).unwrap();
    for (output, expected) in [
        ("no/out.jsonl", "the folder `no` of the output does not exist; make it"),
        ("images", "the output `images` is a folder; give the name of a file"),
        ("rows.jsonl/out", "cannot write `rows.jsonl/out`; choose another -o: "),
    ] {
        let sentence = place.refused(&["score", "model", "rows.jsonl", "-o", output]);
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_and_nobody_waits_for_more_input() {
    let place = mixed_workplace();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let expected = "cannot write the scores to";
    let file = place.run(&["score", "model", "rows.jsonl", "-o", "/dev/full"]);
    assert_eq!(file.code, 3, "{}", file.err);
    assert!(
        file.err.contains(expected) && file.err.contains("`/dev/full`: No space left"),
        "{}",
        file.err
    );

    let mut command =
        place.command(&["score", "model", "--prompt", "a", "--response", "b", "--json"]);
    let ended = Ended::of(command.stdout(full()).stderr(Stdio::piped()).output().unwrap());
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.contains("cannot write the scores: No space left"), "{}", ended.err);

    let mut command = place.command(&["score", "model", "-"]);
    command.stdin(Stdio::piped()).stdout(full()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines(&[good_row("a")]).as_bytes()).unwrap();
    // The pipe stays open: more rows may come.
    let ended = Ended::of(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(
        ended.err.contains("cannot write the scores to standard output: No space left"),
        "{}",
        ended.err
    );
}

#[test]
#[cfg(target_os = "linux")]
fn many_rows_onto_a_full_disk_end_at_once() {
    let place = Workplace::with_model();
    let rows: Vec<Value> = (0..200).map(|idx| good_row(&idx.to_string())).collect();
    place.write("rows.jsonl", lines(&rows));
    let ended = place.run(&["score", "model", "rows.jsonl", "-o", "/dev/full"]);
    assert_eq!(ended.code, 3);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
}

#[test]
fn a_score_comes_before_the_next_row_is_asked_for() {
    let place = Workplace::with_model();
    let mut command = place.command(&["score", "model", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for id in ["a", "b", "c"] {
        stdin.write_all(lines(&[good_row(id)]).as_bytes()).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(rows_of(&line)[0]["id"], id);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    /// Their scores do not fit into a pipe, so the reader leaves before they are written.
    const ROWS: usize = 2000;
    let place = Workplace::with_model();
    let row = |idx: usize| json!({"id": idx, "prompt": "?", "responses": ["a", "b"]});
    place.write("rows.jsonl", lines(&(0..ROWS).map(row).collect::<Vec<_>>()));
    let mut command = place.command(&["score", "model", "rows.jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(rows_of(&line)[0]["id"], "0");
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipe_is_an_input_that_is_read_once() {
    let place = mixed_workplace();
    let expected = place.run(&["score", "model", "rows.jsonl"]).out;
    let input = place.read("rows.jsonl");
    let ended = place.run_with_input(&["score", "model", "/dev/stdin"], input.as_bytes());
    assert_eq!(ended.out, expected);
    let ended = place.run(&["score", "model", "rows.jsonl", "-o", "/dev/stdout"]);
    assert_eq!(ended.out, expected);
}
