//! That each test that `SECURITY.md` names exists, and is run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::pages::repository;

/// The files at which the tests of the workspace begin. A file that no `mod` leads to is not run.
const ROOTS: &[&str] = &[
    "session-runtime/src/lib.rs",
    "tests/architecture/main.rs",
    "tests/cascade/main.rs",
    "tests/codec/main.rs",
    "tests/derive/main.rs",
    "tests/edge/main.rs",
    "tests/tiers/main.rs",
];

/// The heading of the table's last column, whose cells name the tests.
const COLUMN: &str = "shown by";

/// What the last cells of the table name as code, and the rows that say nothing there.
fn named(page: &str) -> (BTreeSet<&str>, Vec<&str>) {
    let rows = page.lines().skip_while(|line| !is_heading(line)).skip(2);
    let (mut tests, mut silent) = (BTreeSet::new(), Vec::new());
    for row in rows.take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').rsplit('|').map(str::trim);
        let last = cells.next().unwrap_or_default();
        // A row with its first cell alone is a heading.
        if last.is_empty() && cells.next().is_some_and(|done| !done.is_empty()) {
            silent.push(row);
        }
        tests.extend(last.split('`').skip(1).step_by(2));
    }
    (tests, silent)
}

fn is_heading(line: &str) -> bool {
    line.trim_end_matches('|').trim_end().ends_with(COLUMN)
}

/// The names of the tests in a file and in the modules below it.
fn collect(file: &Path, tests: &mut BTreeSet<String>) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        let item = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let item = item.strip_prefix("pub ").unwrap_or(item);
        let item = item.strip_prefix("async ").unwrap_or(item);
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = item.strip_prefix("fn ") {
            if is_test {
                tests.extend(name.split('(').next().map(str::to_owned));
            }
            is_test = false;
        } else if let Some(name) = item.strip_prefix("mod ").and_then(|name| name.strip_suffix(';')) {
            collect(&child(file, name), tests);
        }
    }
}

/// Where `mod name;` in this file leads.
fn child(file: &Path, name: &str) -> PathBuf {
    let is_root = file
        .file_stem()
        .is_some_and(|stem| ["main", "lib", "mod"].iter().any(|root| stem == *root));
    let folder = if is_root {
        file.parent().unwrap().to_owned()
    } else {
        file.with_extension("")
    };
    let flat = folder.join(format!("{name}.rs"));
    if flat.exists() {
        flat
    } else {
        folder.join(name).join("mod.rs")
    }
}

fn all_tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for root in ROOTS {
        collect(&repository().join(root), &mut tests);
    }
    tests
}

/// What a page names that is neither a test nor a file.
fn missing<'a>(page: &'a str, tests: &BTreeSet<String>) -> Vec<&'a str> {
    let (named, _) = named(page);
    let exists = |name: &str| tests.contains(name) || (name.contains('/') && repository().join(name).exists());
    named.into_iter().filter(|name| !exists(name)).collect()
}

#[test]
fn security_page_names_tests_that_exist() {
    let page = std::fs::read_to_string(repository().join("SECURITY.md")).unwrap();
    let (named, silent) = named(&page);
    assert!(named.len() >= 40, "only {} tests are named", named.len());
    assert_eq!(silent, [""; 0], "neither a test nor a reason");
    assert_eq!(missing(&page, &all_tests()), [""; 0]);
}

#[test]
fn a_test_that_does_not_exist_or_is_not_run_is_named() {
    let page = format!(
        "| row | what is done | {COLUMN} |\n|---|---|---|\n| **heading** | | |\n\
         | a | `no_test_of_this_page` | `security_page_names_tests_that_exist`, `it_is_gone` |\n\
         | b | nothing | `all_tests`, `tests/architecture/attic.rs` |\n| c | nothing | |\n\nSee `keys`."
    );
    assert_eq!(
        missing(&page, &all_tests()),
        ["all_tests", "it_is_gone", "tests/architecture/attic.rs"]
    );
    assert_eq!(named(&page).1, ["| c | nothing | |"]);
}
