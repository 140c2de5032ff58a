//! The README's table of published sets says what the sources say of themselves.

use data::sources::ALL;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_lists_every_source_with_its_license() {
    for source in ALL {
        let starts = format!("| `{}` | {} |", source.name, source.title);
        let line = README.lines().find(|line| line.starts_with(&starts));
        let line = line.unwrap_or_else(|| panic!("no line begins with {starts}"));
        assert!(line.contains(source.home), "`{}` in {line}", source.home);
        assert!(
            line.ends_with(&format!("| {} |", source.license)),
            "`{}` in {line}",
            source.license
        );
    }
}
