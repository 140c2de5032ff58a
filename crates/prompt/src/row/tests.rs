//! Rows: every accepted form, and the sentence for every refused one.

use std::path::Path;

use super::*;

fn parse(line: &str) -> Result<Row, RowError> {
    Row::parse(line, 7, Path::new("data"))
}

fn conversations(line: &str) -> Result<Vec<Conversation>, RowError> {
    parse(line).expect("a well-formed row").conversations()
}

/// Content of the first conversation's message, pictures as `[name]`.
fn shown(line: &str, message: usize) -> String {
    let conversation = &conversations(line).unwrap()[0];
    conversation.messages[message]
        .content
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Image(image) => format!("[{}]", image.name()),
            Part::Video(video) => format!("[{} frames at {}]", video.frames.len(), video.fps),
        })
        .collect()
}

fn refusal(line: &str) -> String {
    conversations(line).unwrap_err().to_string()
}

#[test]
fn pictures_without_a_mark_come_before_the_text() {
    let line = r#"{"images":["a.png","b.png"],"prompt":"What?","responses":["x"]}"#;
    assert_eq!(shown(line, 0), "[data/a.png][data/b.png]What?");
}

#[test]
fn marks_say_where_pictures_stand() {
    let line =
        r#"{"images":["a.png","/b.png"],"prompt":"<image>\nand <image>?","responses":["x"]}"#;
    assert_eq!(shown(line, 0), "[data/a.png]\nand [/b.png]?");
}

#[test]
fn videos_come_before_images() {
    let line = r#"{"videos":[{"frames":["1.png","2.png"],"fps":2}],"images":["a.png"],"prompt":"p","responses":["x"]}"#;
    assert_eq!(shown(line, 0), "[2 frames at 2][data/a.png]p");
}

#[test]
fn marks_are_served_over_all_messages() {
    let line = r#"{"images":["a","b"],"messages":[{"role":"user","content":"<image>1"},{"role":"assistant","content":"2"},{"role":"user","content":"3<image>"}],"responses":["x"]}"#;
    assert_eq!(shown(line, 0), "[data/a]1");
    assert_eq!(shown(line, 2), "3[data/b]");
}

#[test]
fn parts_hold_pictures_of_their_own_or_take_the_next_listed_one() {
    let line = r#"{"images":["a"],"messages":[{"role":"user","content":[{"type":"image","image":"file:///o.png"},{"type":"image"},{"type":"text","text":"<image>"},{"type":"image_url","image_url":{"url":"u.png"}},{"type":"video","video":["1","2"],"fps":1.5},{"type":"video","video":{"frames":["3"],"fps":2}}]}],"responses":["x"]}"#;
    assert_eq!(
        shown(line, 0),
        "[/o.png][data/a]<image>[data/u.png][2 frames at 1.5][1 frames at 2]"
    );
}

#[test]
fn a_data_url_becomes_its_bytes() {
    let line = r#"{"images":["data:image/png;base64,aGk="],"prompt":"p","responses":["x"]}"#;
    let conversation = &conversations(line).unwrap()[0];
    let expected = ImageSource::Bytes { label: "image 0".to_owned(), bytes: b"hi".to_vec() };
    assert_eq!(conversation.messages[0].content[0], Part::Image(expected.into()));
}

#[test]
fn each_response_ends_its_own_conversation_and_shares_the_pictures() {
    let row = Row::new(
        "r",
        vec![ImageSource::Path("a.png".into())],
        "Which?",
        vec!["one".to_owned(), "two".to_owned()],
    );
    let both = row.conversations().unwrap();
    assert_eq!(both[1].messages[1].content, [Part::Text("two".to_owned())]);
    let (Part::Image(first), Part::Image(second)) =
        (&both[0].messages[0].content[0], &both[1].messages[0].content[0])
    else {
        panic!("pictures come first");
    };
    assert!(std::sync::Arc::ptr_eq(first, second));
}

#[test]
fn a_row_without_an_id_is_named_by_its_line() {
    assert_eq!(parse(r#"{"prompt":"p","responses":["x"]}"#).unwrap().id, "7");
    assert_eq!(parse(r#"{"id":12,"prompt":"p","responses":["x"]}"#).unwrap().id, "12");
}

#[test]
fn malformed_lines_are_refused_with_their_column() {
    let malformed = |line: &str| parse(line).unwrap_err().to_string();
    assert_eq!(
        malformed(r#"{"prompt":"p","responses":["x"],"extra":1}"#),
        "line 7, column 39: unknown field `extra`, expected one of `id`, `images`, `videos`, `prompt`, `messages`, `responses`"
    );
    assert_eq!(
        malformed(r#"{"prompt":"p","prompt":"q","responses":["x"]}"#),
        "line 7, column 22: duplicate field `prompt`"
    );
    assert_eq!(malformed(r#"{"prompt":"圖片",5}"#), "line 7, column 16: key must be a string");
    assert_eq!(malformed(r#"{"prompt":"p""#), "line 7, column 13: EOF while parsing an object");
    assert_eq!(malformed(r#"{"prompt":"p"}"#), "line 7, column 14: missing field `responses`");
    assert_eq!(
        malformed(r#"{"prompt":5,"responses":["x"]}"#),
        "line 7, column 11: invalid type: integer `5`, expected a string"
    );
    assert_eq!(
        malformed(r#"{"messages":[{"role":"user","content":3}],"responses":["x"]}"#),
        "line 7, column 39: invalid type: integer `3`, expected a text or a list of parts"
    );
    assert_eq!(
        malformed(
            r#"{"messages":[{"role":"user","content":[{"type":"image","src":"a"}]}],"responses":["x"]}"#
        ),
        "line 7, column 60: unknown field `src`, expected one of `type`, `text`, `image`, `video`, `fps`, `image_url`, `uuid`"
    );
}

#[test]
fn rows_without_a_response_are_refused() {
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":[]}"#),
        "`responses` is empty; give at least one response"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["x",""]}"#),
        "response 1 (counted from 0) is empty; a reward needs a text"
    );
}

#[test]
fn rows_without_one_clear_question_are_refused() {
    assert_eq!(
        refusal(r#"{"prompt":"p","messages":[],"responses":["x"]}"#),
        "the row has both `prompt` and `messages`; give one of them"
    );
    assert_eq!(
        refusal(r#"{"responses":["x"]}"#),
        "the row has neither `prompt` nor `messages`; give one of them"
    );
    assert_eq!(
        refusal(r#"{"messages":[],"responses":["x"]}"#),
        "`messages` is empty; give at least one message from `user`"
    );
    assert_eq!(
        refusal(r#"{"messages":[{"role":"tool","content":"p"}],"responses":["x"]}"#),
        "message 0 has the role `tool`; use `system`, `user` or `assistant`"
    );
    assert_eq!(
        refusal(
            r#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"responses":["x"]}"#
        ),
        "the last of `messages` is from `assistant`; put the answers to score into `responses`"
    );
}

#[test]
fn unmatched_pictures_are_refused_with_both_numbers() {
    assert_eq!(
        refusal(r#"{"images":["a"],"prompt":"<image><image>","responses":["x"]}"#),
        "the number of image placeholders is 2, but the number of images given is 1; make them equal"
    );
    assert_eq!(
        refusal(r#"{"prompt":"<video>","responses":["x"]}"#),
        "the number of video placeholders is 1, but the number of videos given is 0; make them equal"
    );
    assert_eq!(
        refusal(
            r#"{"images":["a","b"],"messages":[{"role":"user","content":[{"type":"image"}]}],"responses":["x"]}"#
        ),
        "the number of image placeholders is 1, but the number of images given is 2; make them equal"
    );
    assert_eq!(
        refusal(
            r#"{"images":["a"],"messages":[{"role":"system","content":"s"}],"responses":["x"]}"#
        ),
        "images or videos are given, but no message from `user` that could hold them"
    );
}

#[test]
fn pictures_that_cannot_be_named_are_refused() {
    assert_eq!(
        refusal(r#"{"images":["https://x.org/a.png"],"prompt":"p","responses":["x"]}"#),
        "`https://x.org/a.png` is on the network, and nothing is downloaded; save the file and give its path, or give a data: URL"
    );
    assert_eq!(
        refusal(r#"{"images":["data:image/png,xx"],"prompt":"p","responses":["x"]}"#),
        "image 0 is not a data: URL with base64 content: its type does not end in `;base64`"
    );
    assert!(
        refusal(r#"{"images":["data:image/png;base64,*"],"prompt":"p","responses":["x"]}"#)
            .starts_with("image 0 is not a data: URL with base64 content: Invalid")
    );
}

#[test]
fn parts_that_lack_something_are_refused() {
    let part = |part: &str| {
        refusal(&format!(
            r#"{{"messages":[{{"role":"user","content":[{part}]}}],"responses":["x"]}}"#
        ))
    };
    assert_eq!(part(r#"{"type":"text"}"#), "message 0, part 0: `text` is missing");
    assert_eq!(part(r#"{"type":"image_url"}"#), "message 0, part 0: `image_url` is missing");
    assert_eq!(
        part(r#"{"type":"video","video":["a"]}"#),
        "message 0, part 0: a video needs `fps` exactly once, beside its frames"
    );
    assert_eq!(
        part(r#"{"type":"audio"}"#),
        "message 0, part 0: the type `audio` is unknown; use `text`, `image`, `image_url` or `video`"
    );
    assert_eq!(
        part(r#"{"type":"text","text":"a","image":"b"}"#),
        "message 0, part 0: `image` does not belong to a part of type `text`"
    );
}

#[test]
fn a_response_may_be_messages_and_holds_its_own_pictures() {
    let line = r#"{"images":["a.png"],"prompt":"p","responses":["<image> 1",{"role":"assistant","content":[{"type":"image","image":"b.png"},{"type":"text","text":"2"}]},[{"role":"assistant","content":"3"},{"role":"user","content":"more"},{"role":"assistant","content":"4"}]]}"#;
    let conversations = conversations(line).unwrap();
    let lengths: Vec<usize> = conversations.iter().map(|one| one.messages.len()).collect();
    assert_eq!(lengths, [2, 2, 4]);
    assert_eq!(conversations[0].messages[1].content, [Part::Text("<image> 1".to_owned())]);
    let Part::Image(image) = &conversations[1].messages[1].content[0] else { panic!("a picture") };
    assert_eq!(image.name(), "data/b.png");
    let places = [("images[0]", "a.png"), ("responses[1].content[0]", "b.png")];
    let expected = places.map(|(place, name)| (place.to_owned(), name.to_owned()));
    assert_eq!(parse(line).unwrap().pictures().unwrap(), expected);
}

#[test]
fn a_response_of_messages_is_the_assistants_and_takes_no_listed_picture() {
    let user = r#"{"prompt":"p","responses":["a",[{"role":"user","content":"b"}]]}"#;
    let expected = "response 1 (counted from 0) must begin and end with a message from `assistant`";
    assert_eq!(refusal(user), expected);
    let nothing = r#"{"prompt":"p","responses":[[]]}"#;
    assert!(refusal(nothing).contains("response 0 (counted from 0) is empty"));
    let listed = r#"{"images":["a.png"],"prompt":"p","responses":[{"role":"assistant","content":[{"type":"image"}]}]}"#;
    assert!(refusal(listed).contains("the number of image placeholders is 1"));
}
