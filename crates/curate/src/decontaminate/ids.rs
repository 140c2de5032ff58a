//! Which ids tell the collection that a row comes from.

/// Words that collections of all kinds put before the number of a row.
const COMMON_WORDS: [&str; 29] = [
    "bmp",
    "chosen",
    "conversation",
    "data",
    "dev",
    "eval",
    "example",
    "file",
    "gif",
    "id",
    "image",
    "img",
    "index",
    "item",
    "jpeg",
    "jpg",
    "json",
    "jsonl",
    "line",
    "pair",
    "png",
    "prompt",
    "question",
    "row",
    "sample",
    "test",
    "train",
    "val",
    "webp",
];

/// Length from which on an id is taken for a hash or a name made of letters and digits.
const LENGTH_OF_A_HASH: usize = 16;

/// Whether no other collection is likely to give this id: it has a digit and a word that is not common, or is as long as a hash, and is no place in
/// a file.
pub(super) fn is_of_a_collection(id: &str) -> bool {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let is_place =
        id.rsplit_once(':').is_some_and(|(_, line)| !line.is_empty() && line.chars().all(is_digit));
    if is_place || !id.contains(is_digit) || id.contains(char::is_whitespace) {
        return false;
    }
    let lower = id.to_lowercase();
    let is_telling = |word: &str| word.chars().count() > 1 && !COMMON_WORDS.contains(&word);
    let mut runs =
        lower.split(|letter: char| !letter.is_alphabetic()).filter(|run| !run.is_empty());
    let is_hash = id.len() >= LENGTH_OF_A_HASH
        && id.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
        && id.contains(char::is_alphabetic);
    is_hash || runs.any(is_telling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_the_name_of_a_collection_or_of_a_hash_tell_it() {
        for id in [
            "RLAIF-V-14",
            "mathvista_0012",
            "hallucination_pair-1234",
            "COCO_val2014_000000123456.jpg",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "d41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert!(is_of_a_collection(id), "{id}");
        }
    }

    #[test]
    fn numbers_places_and_common_words_tell_nothing() {
        for id in [
            "",
            "14",
            "000000123456",
            "000000123456.jpg",
            "rows.jsonl:14",
            "benchmark/rows.jsonl:14",
            "line 3",
            "train-12",
            "test_image_00012",
            "q12",
            "2024-11-05-000001-2",
            "describe",
        ] {
            assert!(!is_of_a_collection(id), "{id}");
        }
    }
}
