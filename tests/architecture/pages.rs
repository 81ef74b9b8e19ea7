//! That the pages for contributors speak of the code as it is.

use std::path::{Path, PathBuf};

/// Where the paths of the pages begin.
const ROOTS: &[&str] = &["", "session-runtime/src"];

/// What is written as code, is no command, and has the form of a path in the repository.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let code = page.split('`').skip(1).step_by(2);
    code.filter(|code| {
        let is_file = [".rs", ".md", ".txt", ".toml", ".yml"]
            .iter()
            .any(|end| code.ends_with(end));
        (is_file || code.ends_with('/')) && !code.contains([' ', '=', ':', '<'])
    })
}

/// The paths of a page that are in none of the roots.
fn missing<'a>(page: &'a str, repository: &Path) -> Vec<&'a str> {
    let exists = |path: &str| ROOTS.iter().any(|root| repository.join(root).join(path).exists());
    paths(page).filter(|path| !exists(path)).collect()
}

/// Each name that a page says is in a file, as in "`open` (`session/mod.rs`)" or "`open` in `session/mod.rs`", whose
/// last segment that file does not contain.
fn misplaced(page: &str, repository: &Path) -> Vec<String> {
    let parts: Vec<_> = page.split('`').collect();
    let named = parts.windows(4).skip(1).step_by(2).filter_map(|window| {
        let [name, between, path, _] = window else { return None };
        let is_place = *between == " (" || *between == " in ";
        let is_name = name
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':');
        let is_file = Path::new(path).extension().is_some_and(|extension| extension == "rs");
        (is_place && is_name && is_file).then_some((*name, *path))
    });
    let is_misplaced = |(name, path): &(&str, &str)| {
        let symbol = name.rsplit("::").next().unwrap_or(name);
        let texts = ROOTS
            .iter()
            .map(|root| std::fs::read_to_string(repository.join(root).join(path)));
        !texts.flatten().any(|text| text.contains(symbol))
    };
    named
        .filter(is_misplaced)
        .map(|(name, path)| format!("{name} in {path}"))
        .collect()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn pages_name_files_that_exist() {
    for (page, least) in [("ARCHITECTURE.md", 60), ("CONTRIBUTING.md", 8), ("SECURITY.md", 15)] {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        assert!(
            paths(&text).count() >= least,
            "{page}: only {} paths",
            paths(&text).count()
        );
        assert_eq!(missing(&text, &repository()), [""; 0], "{page}");
        assert_eq!(misplaced(&text, &repository()), [""; 0], "{page}");
    }
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let page = "See `keys.rs`, `tests/model/`, `cascade/chores.rs` and `attic/`; run `cat keys.rs`.";
    assert_eq!(missing(page, &repository()), ["cascade/chores.rs", "attic/"]);
}

#[test]
fn a_name_that_is_in_another_file_is_named() {
    let page = "`KeyRing` (`keys.rs`) and `KeyRing::sign` in `keys.rs`, but not `KeyRing::forge` (`keys.rs`), `Clock` in `keys.rs`.";
    assert_eq!(
        misplaced(page, &repository()),
        ["KeyRing::forge in keys.rs", "Clock in keys.rs"]
    );
}
