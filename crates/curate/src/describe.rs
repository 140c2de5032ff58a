//! A curated set as a tree for a terminal: its sources with their files, its benchmarks, its shards.
//!
//! Everything is said by the manifest; no other file is opened.

use page::number::{count, percent};

use crate::manifest::{InputFile, Manifest, SourceEntry};

/// Hexadecimal digits that are shown of a hash; the manifest has all.
const SHOWN_DIGITS: usize = 16;

/// A line with those that belong to it.
struct Node {
    line: String,
    children: Vec<Node>,
}

/// The tree of a set.
pub fn tree(manifest: &Manifest) -> String {
    let read: u64 = manifest.sources.iter().map(|source| source.counts.rows).sum();
    let line = format!(
        "{} rows of {}, recipe {}, basereward {}",
        count(manifest.rows()),
        count(read),
        digits(&manifest.recipe_blake3),
        manifest.version
    );
    let mut children = vec![branch(
        format!("{} sources", manifest.sources.len()),
        manifest.sources.iter().map(|source| source_node(manifest, source)),
    )];
    children.push(benchmarks(manifest));
    children.push(result(manifest));
    let mut text = format!("{line}\n");
    push_children(&mut text, &children, "");
    text
}

fn leaf(line: String) -> Node {
    Node { line, children: Vec::new() }
}

fn branch(line: String, children: impl IntoIterator<Item = Node>) -> Node {
    Node { line, children: children.into_iter().collect() }
}

fn source_node(manifest: &Manifest, source: &SourceEntry) -> Node {
    let SourceEntry { name, format, home, license, counts, share } = source;
    let (kept, read) = (count(counts.kept), count(counts.rows));
    let line = format!("{name}: {}, {kept} records of {read} rows, {license}", percent(*share));
    let files = manifest.inputs.iter().filter(|file| file.source == *name).map(file_node);
    branch(line, std::iter::once(leaf(format!("format {format}, {home}"))).chain(files))
}

fn file_node(file: &InputFile) -> Node {
    let InputFile { path, bytes, blake3, rows, .. } = file;
    leaf(format!("{path}: {}, {} rows, blake3 {}", size(*bytes), count(*rows), digits(blake3)))
}

fn benchmarks(manifest: &Manifest) -> Node {
    let searched = manifest.decontaminated_against.iter().map(|one| {
        leaf(format!(
            "{}: {} rows, {} overlaps, {} removed, files {}",
            one.benchmark,
            count(one.rows),
            count(one.overlaps),
            count(one.removed),
            digits(&one.rows_hash)
        ))
    });
    let number = manifest.decontaminated_against.len();
    branch(format!("searched for {number} benchmarks"), searched)
}

fn result(manifest: &Manifest) -> Node {
    let split = manifest.split;
    let line = format!(
        "result: {} to train on, {} for validation, {} groups, the largest of {}",
        count(split.train),
        count(split.validation),
        count(split.groups),
        count(split.largest_group)
    );
    let shards = manifest.shards.iter().map(|shard| {
        let (name, rows) = (&shard.name, count(shard.rows));
        leaf(format!(
            "{name}: {}, {rows} rows, blake3 {}",
            size(shard.bytes),
            digits(&shard.blake3)
        ))
    });
    let pictures = manifest.pictures;
    let pictures =
        leaf(format!("pictures: {} distinct, {}", count(pictures.distinct), size(pictures.bytes)));
    branch(line, shards.chain([pictures]))
}

fn push_children(text: &mut String, children: &[Node], before: &str) {
    for (index, child) in children.iter().enumerate() {
        let is_last = index + 1 == children.len();
        let (mark, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let line: String = child
            .line
            .chars()
            .map(|symbol| if symbol.is_control() { ' ' } else { symbol })
            .collect();
        text.extend([before, mark, &line, "\n"]);
        push_children(text, &child.children, &format!("{before}{below}"));
    }
}

fn digits(hash: &str) -> String {
    hash.chars().take(SHOWN_DIGITS).collect()
}

/// A length in the unit that keeps it short.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = larger;
    }
    format!("{number:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::example;

    #[test]
    fn the_tree_names_every_source_file_benchmark_and_shard() {
        let manifest = example();
        let tree = tree(&manifest);
        let lines: Vec<&str> = tree.lines().collect();
        assert!(lines[0].starts_with("2,000 rows of 1,700, recipe "), "{tree}");
        assert_eq!(lines[1], "├─ 2 sources");
        assert_eq!(lines[2], "│  ├─ pictures: 75.0 %, 1,500 records of 1,200 rows, CC-BY-4.0");
        assert_eq!(lines[3], "│  │  ├─ format pictures, example/pictures");
        let hash = &manifest.inputs[0].blake3[..16];
        assert_eq!(
            lines[4],
            format!("│  │  ├─ data/one.parquet: 3.0 MiB, 700 rows, blake3 {hash}")
        );
        assert!(lines.contains(&"├─ searched for 1 benchmarks"), "{tree}");
        assert!(tree.contains("   ├─ validation/00000.parquet: 12.1 KiB, 15 rows, blake3 "));
        assert_eq!(lines.last(), Some(&"   └─ pictures: 900 distinct, 4.8 MiB"));
    }

    #[test]
    fn lengths_have_the_unit_that_keeps_them_short() {
        let texts = [0, 1023, 1024, 1536 << 10, 5 << 40, 5000 << 40].map(size);
        assert_eq!(texts, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 TiB", "5000.0 TiB"]);
    }
}
