//! Every published schema, in its true form, becomes the comparisons that it means.

mod shown;

use data::Format;
use prompt::{ImageSource, Part};
use shown::{assert_shown, fixture, open, rows, shown};

#[test]
fn the_rule_that_matched_is_said_in_words() {
    let expected = [
        ("trl_standard.jsonl", Format::Pair),
        ("trl_conversational.jsonl", Format::ConversationalPair),
        ("trl_vision.jsonl", Format::ConversationalPair),
        ("trl_implicit.jsonl", Format::Implicit),
        ("trl_implicit_texts.jsonl", Format::Implicit),
        ("llama_factory_alpaca.json", Format::LlamaFactoryAlpaca),
        ("llama_factory_sharegpt.json", Format::LlamaFactoryShareGpt),
        ("ms_swift.jsonl", Format::MsSwift),
        ("nemo_rl.jsonl", Format::NemoRl),
        ("plain.jsonl", Format::Pair),
        ("ranked.jsonl", Format::Ranked),
    ];
    for (name, format) in expected {
        assert_eq!(open(fixture(name)).files()[0].format(), format, "{name}");
    }
    assert_eq!(
        open(fixture("ms_swift.jsonl")).format(),
        "ms-swift: `messages` with `rejected_response`, `rejected_messages` or `rejected_images`"
    );
    assert_eq!(
        open(fixture("plain.jsonl")).format(),
        "pairs with a text as prompt (TRL, explicit prompt): `prompt`, `chosen`, `rejected`"
    );
}

#[test]
fn trl_texts_are_a_question_and_two_answers() {
    let rows = rows("trl_standard.jsonl");
    assert_shown(&rows[0], &["user: The sky is"], &["assistant:  blue.", "assistant:  green."]);
    assert_eq!(rows[0].preference.ranks, [0, 1]);
    assert_eq!(rows[0].pairs(), [(0, 1)]);
    assert_eq!((rows[0].preference.margin, rows[1].preference.margin), (None, Some(0.5)));
    assert_eq!((rows[0].id.as_str(), rows[0].source.as_str()), ("trl_standard:1", "trl_standard"));
}

#[test]
fn trl_messages_are_read_as_they_are() {
    let rows = rows("trl_conversational.jsonl");
    assert_shown(
        &rows[0],
        &["user: What color is the sky?"],
        &["assistant: It is blue.", "assistant: It is green."],
    );
}

#[test]
fn trl_pictures_stand_at_their_parts_or_before_the_text() {
    let rows = rows("trl_vision.jsonl");
    assert_shown(
        &rows[0],
        &["system: Look closely.", "user: [cat.png]Or [dog.png]?"],
        &["assistant: The first.", "assistant: The second."],
    );
    let answers = ["assistant: A cat.", "assistant: A dog."];
    assert_shown(&rows[1], &["user: [cat.png]What is it?"], &answers);
    assert_shown(&rows[2], &["user: [cat.png]And this?"], &answers);
}

#[test]
fn the_common_beginning_of_whole_conversations_is_the_prompt() {
    let rows = rows("trl_implicit.jsonl");
    assert_shown(
        &rows[0],
        &["user: What color is the sky?"],
        &["assistant: It is blue.", "assistant: It is green."],
    );
    let (prompt, responses) = shown(&rows[1]);
    assert_eq!(prompt, ["user: Hello"]);
    assert_eq!(responses[0], ["assistant: Hi!", "user: Well?", "assistant: Well."]);
    assert_eq!(responses[1], ["assistant: No.", "user: Why?", "assistant: So."]);
    assert_shown(&rows[2], &["user: [cat.png]What?"], &["assistant: A cat.", "assistant: A dog."]);
}

#[test]
fn the_common_words_of_plain_texts_are_the_prompt() {
    let rows = rows("trl_implicit_texts.jsonl");
    assert_shown(&rows[0], &["user: The sky is"], &["assistant: blue.", "assistant: green."]);
    assert_shown(&rows[1], &["user: I"], &["assistant: think so", "assistant: thought not"]);
    assert_shown(&rows[2], &["user: Is it?"], &["assistant: Yes", "assistant: No"]);
}

#[test]
fn transcripts_are_taken_apart_into_turns() {
    let rows = rows("trl_implicit_texts.jsonl");
    assert_shown(
        &rows[3],
        &["user: Hi", "assistant: Hello: you?", "user: Fine."],
        &["assistant: I'm glad.", "assistant: I see."],
    );
}

#[test]
fn llama_factory_alpaca_joins_instruction_and_input() {
    let rows = rows("llama_factory_alpaca.json");
    assert_shown(&rows[0], &["user: Translate.\nKatze"], &["assistant: cat", "assistant: dog"]);
    assert_shown(
        &rows[1],
        &[
            "system: Be brief.",
            "user: Hi",
            "assistant: Hello",
            "user: Again",
            "assistant: Hello again",
            "user: [cat.png]What is it?",
        ],
        &["assistant: A cat.", "assistant: A dog."],
    );
}

#[test]
fn llama_factory_sharegpt_names_its_speakers_otherwise() {
    let rows = rows("llama_factory_sharegpt.json");
    assert_shown(
        &rows[0],
        &[
            "system: Look closely.",
            "user: [cat.png]What are they doing?",
            "assistant: Playing.",
            "user: Who?",
        ],
        &["assistant: Two cats.", "assistant: Two dogs."],
    );
    assert_shown(
        &rows[1],
        &["system: Be brief.", "user: Why?"],
        &["assistant: So.", "assistant: No."],
    );
    assert_eq!(rows[1].id, "llama_factory_sharegpt:2");
}

#[test]
fn ms_swift_says_what_the_bad_conversation_has_of_its_own() {
    let rows = rows("ms_swift.jsonl");
    assert_shown(
        &rows[0],
        &["system: Be useful.", "user: What is 1 + 1?", "assistant: 2", "user: Plus 1?"],
        &["assistant: 3", "assistant: I don't know"],
    );
    assert_eq!(rows[0].preference.margin, Some(1.5));
    assert_shown(
        &rows[1],
        &["user: [cat.png]What is it?"],
        &["assistant: A cat.", "assistant: A dog."],
    );
    let (prompt, responses) = shown(&rows[2]);
    assert!(prompt.is_empty());
    assert_eq!(responses[0], ["user: [cat.png]What is it?", "assistant: A cat."]);
    assert_eq!(responses[1], ["user: [dog.png]What is it?", "assistant: A cat."]);
    assert_shown(
        &rows[3],
        &["user: Draw a cat."],
        &["assistant: [cat.png]", "assistant: [dog.png]"],
    );
}

#[test]
fn nemo_rl_completions_are_ordered_by_rank() {
    let rows = rows("nemo_rl.jsonl");
    assert_shown(
        &rows[0],
        &["user: What is 5 * 5?"],
        &["assistant: 20", "assistant: 25", "assistant: 30"],
    );
    assert_eq!(rows[0].preference.ranks, [1, 0, 1]);
    assert_eq!(rows[0].pairs(), [(1, 0), (1, 2)]);
}

#[test]
fn plain_rows_have_names_margins_and_soft_labels() {
    let rows = rows("plain.jsonl");
    assert_eq!((rows[0].id.as_str(), rows[0].source.as_str()), ("a-1", "drawn"));
    assert_eq!(rows[0].preference.margin, Some(0.25));
    assert_eq!(rows[0].preference.soft_label, Some(0.75));
    assert_shown(
        &rows[0],
        &["user: [cat.png]What is it?"],
        &["assistant: A cat.", "assistant: A dog."],
    );
    assert_eq!(rows[1].id, "7");
}

#[test]
fn a_mark_in_an_answer_without_a_picture_is_plain_text() {
    let rows = rows("plain.jsonl");
    assert_shown(
        &rows[1],
        &["user: Is `<b>` bold?"],
        &["assistant: Yes, and `<image>` is a picture.", "assistant: No."],
    );
}

#[test]
fn a_mark_in_some_answers_does_not_take_the_picture_from_the_prompt() {
    let rows = rows("marks_in_answers.jsonl");
    assert_shown(
        &rows[0],
        &["user: [cat.png]What is it?"],
        &["assistant: Without the <image> I cannot know.", "assistant: A dog."],
    );
    assert_shown(
        &rows[1],
        &["user: [cat.png]What is it?"],
        &["assistant: In <image>: a cat.", "assistant: In <image>: a dog."],
    );
    assert_shown(
        &rows[2],
        &["user: Draw a cat."],
        &["assistant: [cat.png]", "assistant: I cannot draw."],
    );
    let whole = shown::rows("marks_in_whole_answers.jsonl");
    assert_shown(
        &whole[0],
        &["user: [cat.png]What is it?"],
        &["assistant: Without the <image> I cannot know.", "assistant: A dog."],
    );
}

#[test]
fn a_picture_may_be_given_by_its_bytes() {
    let rows = rows("plain.jsonl");
    let expected = ImageSource::Bytes { label: "hi.png".to_owned(), bytes: b"hi".to_vec() };
    assert_eq!(rows[2].prompt[0].content[0], Part::Image(expected.into()));
}

#[test]
fn responses_may_hold_pictures() {
    let rows = rows("plain.jsonl");
    assert_shown(
        &rows[3],
        &["user: Draw a cat."],
        &["assistant: [cat.png]", "assistant: [dog.png] There."],
    );
    assert_shown(
        &rows[4],
        &["user: Like [cat.png]?"],
        &["assistant: [dog.png]", "assistant: [dog.png]!"],
    );
    assert_shown(
        &rows[5],
        &["user: Draw a cat."],
        &["assistant: [cat.png]", "assistant: No: [rejected[0].content[1].image_url]"],
    );
}

#[test]
fn rankings_begin_at_the_best_whether_ranks_or_scores_say_so() {
    let rows = rows("ranked.jsonl");
    assert_shown(
        &rows[0],
        &["user: [cat.png]Which?"],
        &["assistant: a", "assistant: b", "assistant: c"],
    );
    assert_eq!(rows[0].preference.ranks, [1, 0, 1]);
    assert_eq!(rows[1].preference.ranks, [1, 2, 0]);
    assert_eq!(rows[1].preference.scores, Some(vec![0.5, -1.0, 2.25]));
    assert_eq!(rows[1].pairs(), [(0, 1), (2, 0), (2, 1)]);
    assert_eq!(rows[2].preference.ranks, [0, 1]);
}

#[test]
fn a_ranking_of_two_may_say_how_much_and_how_surely() {
    let rows = rows("ranked.jsonl");
    let preference = &rows[2].preference;
    assert_eq!((preference.margin, preference.soft_label), (Some(1.5), Some(0.75)));
    assert_eq!((rows[0].preference.margin, rows[0].preference.soft_label), (None, None));
}

#[test]
fn whole_conversations_as_responses_are_divided_where_they_differ() {
    let rows = rows("ranked_conversations.jsonl");
    assert_eq!(
        shown(&rows[0]),
        (
            vec!["user: [cat.png]Which?".to_owned()],
            vec![vec!["assistant: a".to_owned()], vec!["assistant: b".to_owned()]]
        )
    );
    assert_eq!(
        shown(&rows[1]),
        (
            Vec::new(),
            vec![
                vec!["user: [cat.png]Which?".to_owned(), "assistant: a".to_owned()],
                vec!["user: [dog.png]Which?".to_owned(), "assistant: a".to_owned()]
            ]
        )
    );
}

#[test]
fn a_part_may_be_a_video_with_its_frames() {
    let rows = rows("ranked_conversations.jsonl");
    let Part::Video(video) = &rows[2].prompt[0].content[0] else { panic!("it is a video") };
    let names: Vec<String> = video.frames.iter().map(prompt::ImageSource::name).collect();
    assert_eq!(names, ["tests/fixtures/images/cat.png", "tests/fixtures/images/dog.png"]);
    assert!((video.fps - 0.5).abs() < 1e-9, "{}", video.fps);
}

#[test]
fn responses_share_the_pictures_of_their_prompt() {
    let rows = rows("ranked.jsonl");
    let conversations = rows[0].conversations();
    let (Part::Image(first), Part::Image(last)) =
        (&conversations[0].messages[0].content[0], &conversations[2].messages[0].content[0])
    else {
        panic!("the picture comes first");
    };
    assert!(std::sync::Arc::ptr_eq(first, last));
}

#[test]
fn every_row_reads_alone_as_it_does_in_order() {
    for name in ["plain.jsonl", "llama_factory_sharegpt.json", "ms_swift.jsonl"] {
        let set = open(fixture(name));
        let alone: Vec<_> = (0..set.len()).map(|index| set.read(index).unwrap()).collect();
        assert_eq!(alone, rows(name));
    }
}
