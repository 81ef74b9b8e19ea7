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
    }
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let page = "See `keys.rs`, `tests/model/`, `cascade/chores.rs` and `attic/`; run `cat keys.rs`.";
    assert_eq!(missing(page, &repository()), ["cascade/chores.rs", "attic/"]);
}
