//! A judged pair with what people look at: its texts and pictures.
//!
//! Made only for the few pairs that are shown, from the rows of the data. It reads no file and draws nothing.

use data::Comparison;
use prompt::{ImageSource, Message, Part, pictures};

use super::Judged;

/// A judged pair with its texts and pictures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shown {
    /// The pair and its rewards.
    pub judged: Judged,
    /// Pictures of the prompt and of both answers, frames of videos among them.
    pub images: Vec<ImageSource>,
    /// Prompt as people read it.
    pub prompt: String,
    /// Text of the better answer.
    pub chosen: String,
    /// Text of the worse answer.
    pub rejected: String,
}

impl Shown {
    /// A pair with the texts and pictures of its row.
    ///
    /// # Panics
    /// When the row does not have the answers of the pair.
    pub fn new(comparison: &Comparison, judged: Judged) -> Self {
        let (chosen, rejected) =
            (&comparison.responses[judged.better], &comparison.responses[judged.worse]);
        Self {
            images: pictures(comparison.prompt.iter().chain(chosen).chain(rejected))
                .cloned()
                .collect(),
            prompt: text_of(&comparison.prompt),
            chosen: text_of(chosen),
            rejected: text_of(rejected),
            judged,
        }
    }

    /// A pair whose row cannot be read again: the reason stands in the place of the prompt.
    pub fn without_row(judged: Judged, reason: &str) -> Self {
        Self { judged, prompt: format!("[not shown: {reason}]"), ..Self::default() }
    }
}

/// Texts of messages as people read them; roles only where there are several messages.
pub fn text_of(messages: &[Message]) -> String {
    let of_one = |message: &Message| -> String {
        message
            .content
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Image(_) => "[picture]",
                Part::Video(_) => "[video]",
            })
            .collect()
    };
    match messages {
        [one] => of_one(one),
        several => {
            let lines = several.iter().map(|one| format!("{}: {}", one.role, of_one(one)));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use data::Preference;
    use prompt::VideoSource;

    use super::*;

    fn message(role: &str, content: Vec<Part>) -> Message {
        Message { role: role.to_owned(), content }
    }

    #[test]
    fn a_pair_is_shown_with_its_own_answers_and_the_pictures_and_frames_in_order() {
        let picture =
            |name: &str| Arc::new(ImageSource::Bytes { label: name.to_owned(), bytes: Vec::new() });
        let text = |text: &str| Part::Text(text.to_owned());
        let answer = |words: &str, picture: Arc<ImageSource>| {
            vec![message("assistant", vec![text(words), Part::Image(picture)])]
        };
        let frames = vec![picture("c 0").as_ref().clone(), picture("c 1").as_ref().clone()];
        let clip = Part::Video(Arc::new(VideoSource { frames, fps: 2.0 }));
        let comparison = Comparison {
            id: "row".to_owned(),
            source: "set".to_owned(),
            prompt: vec![
                message("system", vec![text("Be brief.")]),
                message("user", vec![Part::Image(picture("asked")), text("What is it?")]),
            ],
            responses: vec![
                answer("a", picture("a")),
                answer("b", picture("b")),
                vec![message("assistant", vec![text("c"), clip])],
            ],
            preference: Preference {
                ranks: vec![2, 1, 0],
                scores: None,
                margin: None,
                soft_label: None,
            },
        };
        let shown = Shown::new(&comparison, Judged { better: 2, worse: 0, ..Judged::default() });
        assert_eq!(shown.prompt, "system: Be brief.\nuser: [picture]What is it?");
        assert_eq!((shown.chosen.as_str(), shown.rejected.as_str()), ("c[video]", "a[picture]"));
        let names: Vec<_> = shown.images.iter().map(ImageSource::name).collect();
        assert_eq!(names, ["asked", "c 0", "c 1", "a"]);
    }
}
