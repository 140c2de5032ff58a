//! Paths that exist on one machine only must not stand in the repository.

use super::Finding;
use super::files::File;

/// First part of the absolute paths that tell of one machine.
const FOLDERS: [&str; 4] = ["tmp", "root", "home", "work"];

/// Finds absolute paths into a folder of one machine in a text file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    file.numbered_lines()
        .filter_map(|(number, line)| {
            let folder = FOLDERS.into_iter().find(|folder| names_folder(line, folder))?;
            let sentence =
                format!("the absolute path `/{folder}` of one machine; write a relative one");
            Some(Finding::at_line(file, number, sentence))
        })
        .collect()
}

/// Whether a line has the folder as the first part of an absolute path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices('/').any(|(at, _)| {
        let Some(rest) = line[at + 1..].strip_prefix(folder) else { return false };
        let before = line[..at].chars().next_back();
        // Behind a part of a path or of an address it is a folder of that one.
        let is_first = before.is_none_or(|before| {
            !before.is_alphanumeric() && !['_', '-', '.', '~', '/', ')', '}', '*'].contains(&before)
        });
        let is_whole = rest
            .chars()
            .next()
            .is_none_or(|next| !next.is_alphanumeric() && next != '_' && next != '-');
        is_first && is_whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_found_with_their_line() {
        for folder in FOLDERS {
            for line in
                [format!("/{folder}"), format!("cd \"/{folder}/x\""), format!("X=/{folder}/x")]
            {
                let findings = check(&File::new("a.md", format!("first\n{line}\n")));
                assert_eq!(findings.len(), 1, "{line}");
                assert_eq!(findings[0].line, Some(2));
            }
        }
    }

    #[test]
    fn relative_paths_addresses_and_longer_names_are_left_alone() {
        for folder in FOLDERS {
            for line in [
                format!("../{folder}/x"),
                format!("runs/{folder}"),
                format!("https://example.org/{folder}/x"),
                format!("${{DIR}}/{folder}"),
                format!("/{folder}er/x"),
                format!("{folder}/x"),
            ] {
                assert_eq!(check(&File::new("a.md", line.clone())), [], "{line}");
            }
        }
    }
}
