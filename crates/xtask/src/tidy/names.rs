//! Crates and modules must not have a name that says nothing.

use super::Finding;
use super::files::File;

/// Names under which anything could be.
const EMPTY_NAMES: [&str; 7] = ["core", "common", "utils", "helpers", "misc", "base", "manager"];

/// Finds such a name in the path of a Rust file and among its modules.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let in_path = file.path.trim_end_matches(".rs").split('/').filter(|name| says_nothing(name));
    let of_path = in_path.map(|name| Finding::of_file(file, sentence(name)));
    let in_text = file.numbered_lines().filter_map(|(number, line)| {
        let name = module_of(line).filter(|name| says_nothing(name))?;
        Some(Finding::at_line(file, number, sentence(name)))
    });
    of_path.chain(in_text).collect()
}

fn says_nothing(name: &str) -> bool {
    EMPTY_NAMES.contains(&name)
}

fn sentence(name: &str) -> String {
    format!("the name `{name}` does not say what is inside; name its job")
}

/// The name of the module that a line declares.
fn module_of(line: &str) -> Option<&str> {
    let (visibility, name) = line.trim().split_once("mod ")?;
    let is_declaration = visibility.is_empty() || visibility.starts_with("pub");
    is_declaration.then(|| name.trim_end_matches([' ', '{', ';', '}']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found_in_paths_and_declarations() {
        for name in EMPTY_NAMES {
            for path in [format!("crates/{name}/src/lib.rs"), format!("crates/model/src/{name}.rs")]
            {
                assert_eq!(check(&File::new(path, "//! Doc.\n")).len(), 1, "{name}");
            }
            for line in [format!("mod {name};"), format!("    pub(crate) mod {name} {{")] {
                let findings = check(&File::new("crates/model/src/lib.rs", line));
                assert_eq!(findings.len(), 1, "{name}");
                assert_eq!(findings[0].line, Some(1));
            }
        }
    }

    #[test]
    fn names_that_only_contain_one_are_left_alone() {
        let text = "//! The core of it.\nmod core_attention;\n// mod base\nuse x::common;\n";
        assert_eq!(check(&File::new("crates/model/src/baseline.rs", text)), []);
        assert_eq!(check(&File::new("docs/base/page.md", "mod base;")), []);
    }
}
