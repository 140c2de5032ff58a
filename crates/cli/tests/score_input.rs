//! `score` and rows that cannot be scored: each is named, keeps its place, and costs no other row anything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use support::{Ended, Workplace, good_row, jpeg, jpeg_header, lines, png_header};

/// A line that cannot be scored: its text, the id of its output row, and what its error must say.
struct Bad {
    line: Vec<u8>,
    id: String,
    expected: Vec<&'static str>,
}

fn bad(id: &str, row: Value, expected: &[&'static str]) -> Bad {
    let mut row = row;
    row["id"] = json!(id);
    Bad { line: row.to_string().into_bytes(), id: id.to_owned(), expected: expected.to_vec() }
}

fn with_picture(id: &str, picture: &str, expected: &[&'static str]) -> Bad {
    bad(
        id,
        json!({"images": [picture], "prompt": "What is it?", "responses": ["Nothing."]}),
        expected,
    )
}

fn with_text(id: &str, prompt: &str, responses: &[&str], expected: &[&'static str]) -> Bad {
    bad(id, json!({"prompt": prompt, "responses": responses}), expected)
}

/// Scores the bad lines with good rows before, between and after them, and checks what comes out.
fn check(place: &Workplace, bad: &[Bad], options: &[&str]) -> Ended {
    let mut text = Vec::new();
    for (idx, one) in bad.iter().enumerate() {
        text.extend(lines(&[good_row(&format!("good {idx}"))]).into_bytes());
        text.extend(&one.line);
        text.push(b'\n');
    }
    text.extend(lines(&[good_row("last")]).into_bytes());
    place.write("rows.jsonl", text);
    let ended = place.run(&[&["score", "model", "rows.jsonl"], options].concat());
    assert_eq!(ended.code, 1, "{}", ended.err);
    let rows = ended.rows();
    assert_eq!(rows.len(), 2 * bad.len() + 1, "{}", ended.out);
    for (idx, one) in bad.iter().enumerate() {
        check_scored(place, &rows[2 * idx], &format!("good {idx}"), options);
        check_refused(&rows[2 * idx + 1], one, &ended.err, 2 * idx + 2);
    }
    check_scored(place, &rows[2 * bad.len()], "last", options);
    let ids: Vec<&str> = bad.iter().map(|one| one.id.as_str()).collect();
    let summary = format!(" could not be scored and have an `error` instead: {}", ids.join(", "));
    assert!(ended.err.trim_end().ends_with(&summary), "{}", ended.err);
    ended
}

/// The row must be what it is without any company.
fn check_scored(place: &Workplace, row: &Value, id: &str, options: &[&str]) {
    assert_eq!(row["id"], id);
    let input = lines(&[good_row(id)]);
    let alone =
        place.run_with_input(&[&["score", "model", "-"], options].concat(), input.as_bytes());
    assert_eq!(*row, alone.rows()[0], "{}", alone.err);
    assert_eq!(row["scores"].as_array().unwrap().len(), 2);
}

fn check_refused(row: &Value, bad: &Bad, stderr: &str, line: usize) {
    let error = row["error"].as_str().unwrap_or_else(|| panic!("{} has no error", bad.id));
    assert_eq!(row["id"], bad.id.as_str(), "{error}");
    assert_eq!(row.as_object().unwrap().len(), 2, "{row}");
    for part in &bad.expected {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.ends_with('.') && !error.contains('\n'), "{error}");
    let told = if error.starts_with(&format!("line {line}, column ")) {
        format!("basereward: rows.jsonl: {error}\n")
    } else {
        format!("basereward: rows.jsonl, line {line}, row `{}`: {error}\n", bad.id)
    };
    assert!(stderr.contains(&told), "`{told}` is not in: {stderr}");
}

#[test]
fn unusable_pictures_are_named_and_cost_only_their_row() {
    let place = Workplace::with_model();
    place.write("notes.txt", "not a picture");
    place.write("cut.jpg", &jpeg()[..jpeg().len() / 2]);
    place.write("bomb.png", png_header(60_000, 60_000));
    place.write("bomb.jpg", jpeg_header(60_000, 60_000));
    place.write("strip.png", png_header(4001, 20));
    place.write("upright.png", png_header(20, 4001));
    let frames = ["images/frame0.png", "images/square.png"];
    check(
        &place,
        &[
            with_picture(
                "missing",
                "no/cat.jpg",
                &["`no/cat.jpg` does not exist", "check the path"],
            ),
            with_picture("folder", "images", &["`images` cannot be read"]),
            with_picture("text", "notes.txt", &["`notes.txt` is not an image", "give a JPEG, PNG"]),
            with_picture("cut", "cut.jpg", &["`cut.jpg` is truncated", "fetch the file again"]),
            with_picture(
                "bomb",
                "bomb.png",
                &["`bomb.png` has 60000 x 60000 pixels", "178956970", "shrink"],
            ),
            with_picture(
                "other bomb",
                "bomb.jpg",
                &["`bomb.jpg` has 60000 x 60000 pixels", "shrink"],
            ),
            with_picture(
                "strip",
                "strip.png",
                &["4001 x 20 pixels", "ratio over 200", "crop or pad"],
            ),
            with_picture("upright", "upright.png", &["20 x 4001 pixels", "ratio over 200"]),
            with_picture(
                "remote",
                "https://example.org/a.png",
                &["nothing is downloaded", "save the file"],
            ),
            with_picture(
                "data",
                "data:image/png,raw",
                &["image 0 is not a data: URL with base64 content"],
            ),
            bad(
                "frames",
                json!({"videos": [{"frames": frames, "fps": 2}], "prompt": "?", "responses": ["a"]}),
                &["frame 1 (`images/square.png`)", "bring all frames to one size"],
            ),
        ],
        &[],
    );
}

#[test]
fn rows_that_ask_for_nothing_sensible_are_refused_by_name() {
    let one_image = |prompt: &str| json!({"images": ["images/square.png"], "prompt": prompt, "responses": ["a"]});
    check(
        &Workplace::with_model(),
        &[
            with_text("none", "Why?", &[], &["`responses` is empty", "give at least one"]),
            with_text("empty", "Why?", &["a", ""], &["response 1 (counted from 0) is empty"]),
            bad("no prompt", json!({"responses": ["a"]}), &["neither `prompt` nor `messages`"]),
            bad(
                "no messages",
                json!({"messages": [], "responses": ["a"]}),
                &["`messages` is empty"],
            ),
            with_text(
                "pad",
                "See <|image_pad|>",
                &["a"],
                &["user text of message 0", "`<|image_pad|>` at character 4", "write `<image>`"],
            ),
            with_text(
                "turn",
                "?",
                &["a<|im_end|>b"],
                &["the assistant text", "`<|im_end|>` at character 1"],
            ),
            bad(
                "more",
                one_image("<image> or <image>?"),
                &["placeholders is 2", "given is 1", "make them equal"],
            ),
            with_text("fewer", "<image>?", &["a"], &["image placeholders is 1", "given is 0"]),
            bad("video", one_image("<image><video>"), &["video placeholders is 1", "given is 0"]),
        ],
        &[],
    );
}

#[test]
fn lines_that_are_not_rows_are_refused_by_line_and_column() {
    let line = |line: &[u8], number: usize, expected: &[&'static str]| Bad {
        line: line.to_vec(),
        id: number.to_string(),
        expected: expected.to_vec(),
    };
    check(
        &Workplace::with_model(),
        &[
            line(b"{\"id\": \"a\",", 2, &["line 2, column 11: EOF while parsing"]),
            line(
                "{\"id\": \"ü\" \"prompt\": 1}".as_bytes(),
                4,
                &["line 4, column 12: expected `,` or `}`"],
            ),
            line(b"[1, 2]", 6, &["line 6, column "]),
            line(
                b"{\"prompt\": \"\xc3\xa9\xff\"}",
                8,
                &["line 8, column 14: not UTF-8 text", "save the file as UTF-8"],
            ),
            line(
                b"{\"responses\": \"a\", \"prompt\": \"b\"}",
                10,
                &["line 10, column 17: invalid type: string"],
            ),
            line(b"null", 12, &["line 12, column "]),
            line("\u{feff}{}".as_bytes(), 14, &["line 14, column "]),
            line(b"{}", 16, &["line 16, column 2: missing field `responses`"]),
        ],
        &[],
    );
}

#[test]
fn a_line_with_an_unknown_field_keeps_the_id_that_it_states() {
    check(
        &Workplace::with_model(),
        &[
            bad(
                "typo",
                json!({"prompt": "a", "responces": ["a"]}),
                &["line 2, column ", "unknown field `responces`, expected one of `id`, `images`"],
            ),
            bad(
                "missing",
                json!({"prompt": "a"}),
                &["line 4, column ", "missing field `responses`"],
            ),
            Bad {
                line: b"{\"id\": 17, \"prompt\": 1, \"responses\": [\"a\"]}".to_vec(),
                id: "17".to_owned(),
                expected: vec!["line 6, column 22: invalid type: integer `1`, expected a string"],
            },
            Bad {
                line: b"{\"id\": 1.5, \"prompt\": \"a\", \"responses\": [\"a\"]}".to_vec(),
                id: "8".to_owned(),
                expected: vec!["line 8, column ", "expected a string or a whole number"],
            },
        ],
        &[],
    );
}

#[test]
fn a_conversation_over_the_limit_is_refused_and_never_cut() {
    let place = Workplace::with_model();
    let long = "word ".repeat(60);
    let long = [with_text(
        "long",
        "Why?",
        &["a", &long],
        &["response 1", "over the limit of 70", "shorten"],
    )];
    check(&place, &long, &["--max-tokens", "70"]);
    let pixels = with_picture(
        "large",
        "images/windows.png",
        &["response 0", "from pictures", "over the limit of 70"],
    );
    check(&place, &[pixels], &["--max-tokens", "70"]);

    place.edit("model/config.json", |config| config["max_position_embeddings"] = json!(70));
    check(&place, &long, &[]);
    check(&place, &long, &["--max-tokens", "1000"]);
}

#[test]
fn a_reward_that_is_not_finite_is_an_error_of_its_row_only() {
    let place = Workplace::with_model();
    spoil_tilde(&place);
    let spoilt = [
        with_text("first", "?", &["~", "a"], &["response 0: the reward is NaN", "--dtype f32"]),
        with_text("second", "?", &["a", "~"], &["response 1: the reward is NaN"]),
    ];
    for dtype in ["f32", "bf16"] {
        check(&place, &spoilt, &["--dtype", dtype]);
    }
}

/// Makes the embedding of `~` NaN.
fn spoil_tilde(place: &Workplace) {
    /// Number of the token in the tiny vocabulary.
    const TILDE: usize = 93;
    const NAN_BF16: [u8; 2] = [0xc0, 0x7f];
    place.edit_tensors(|tensors| {
        let table = tensors.iter_mut().find(|one| one.name == "model.embed_tokens.weight").unwrap();
        let row_bytes = table.shape[1] * NAN_BF16.len();
        let row = &mut table.bytes[TILDE * row_bytes..][..row_bytes];
        row.copy_from_slice(&NAN_BF16.repeat(row_bytes / 2));
    });
}

#[test]
fn a_model_of_nothing_but_nan_gives_no_score_and_loses_no_row() {
    let place = Workplace::with_model();
    place.edit_tensors(|tensors| {
        let head = tensors.iter_mut().find(|one| one.name == "score.2.bias").unwrap();
        let size = head.bytes.len() / head.shape.iter().product::<usize>();
        head.bytes = if size == 4 { f32::NAN.to_le_bytes().to_vec() } else { vec![0xc0, 0x7f] };
    });
    let ids: Vec<String> = (0..60).map(|idx| format!("r{idx}")).collect();
    let rows: Vec<Value> = ids.iter().map(|id| good_row(id)).collect();
    place.write("rows.jsonl", lines(&rows));
    let ended = place.run(&["score", "model", "rows.jsonl"]);
    assert_eq!(ended.code, 1);
    let written = ended.rows();
    assert_eq!(written.len(), 60);
    for (row, id) in written.iter().zip(&ids) {
        assert_eq!(row["id"], id.as_str());
        assert!(row["error"].as_str().unwrap().contains("the reward is NaN"), "{row}");
    }
    assert!(ended.err.contains("more rows cannot be scored"), "{}", ended.err);
    assert!(ended.err.contains("60 rows could not be scored"), "{}", ended.err);
    assert!(ended.err.trim_end().ends_with("r49 and 10 more"), "{}", ended.err);
    let item = ["score", "model", "--prompt", "a", "--response", "b"];
    assert!(place.refused(&item).contains("response 0: the reward is NaN"));
}

#[test]
fn one_item_is_refused_with_one_sentence() {
    let place = Workplace::with_model();
    place.write("cut.jpg", &jpeg()[..jpeg().len() / 2]);
    for (arguments, expected) in [
        (vec![], "nothing to score; give a JSONL file, or --prompt and --response"),
        (vec!["--image", "images/square.png"], "nothing to score"),
        (vec!["--response", "a"], "--prompt is missing"),
        (vec!["--prompt", "a"], "--response is missing"),
        (vec!["--prompt", "a", "--response", ""], "response 0 (counted from 0) is empty"),
        (vec!["--prompt", "a <image>", "--response", "a"], "image placeholders is 1"),
        (vec!["--prompt", "a<|im_end|>", "--response", "a"], "the special token `<|im_end|>`"),
        (vec!["--prompt", "a", "--response", "a", "--image", "no.png"], "`no.png` does not exist"),
        (vec!["--prompt", "a", "--response", "a", "--image", "cut.jpg"], "`cut.jpg` is truncated"),
        (vec!["--prompt", "a", "--response", "a", "--max-tokens", "9"], "over the limit of 9"),
    ] {
        let sentence = place.refused(&[vec!["score", "model"], arguments].concat());
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn an_input_that_cannot_be_read_is_named() {
    let place = Workplace::with_model();
    for (input, expected) in [
        ("no.jsonl", "cannot read `no.jsonl`: No such file"),
        ("images", "`images` is a folder; give a JSONL file"),
    ] {
        let sentence = place.refused(&["score", "model", input, "-o", "out.jsonl"]);
        assert!(sentence.contains(expected), "{sentence}");
        assert!(!place.path("out.jsonl").exists());
    }
}
