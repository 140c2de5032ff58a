//! Messages as one text each, with a mark where a picture stands: what LLaMA-Factory and ms-swift read.

use prompt::{Message, Part};

use super::Unsaid;

/// What stands in a text for a picture.
const IMAGE_MARK: &str = "<image>";
/// Marks that stand for media in these formats, so that no text may have them.
const MARKS: [&str; 3] = [IMAGE_MARK, "<video>", "<audio>"];

/// The text of a message with its marks.
pub(super) fn marked(message: &Message) -> Result<String, Unsaid> {
    let mut text = String::new();
    let mut num_images = 0;
    for part in &message.content {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Image(_) => {
                text.push_str(IMAGE_MARK);
                num_images += 1;
            }
            Part::Video(_) => return Err("a video"),
        }
    }
    // Counted in the whole text, because parts that follow each other may make a mark together.
    let found: usize = MARKS.iter().map(|mark| text.matches(mark).count()).sum();
    if found == num_images {
        Ok(text)
    } else {
        Err("a text has `<image>`, `<video>` or `<audio>` in it")
    }
}
