//! Acknowledged writes survive when the process is killed.
//!
//! Each test runs this test binary again as a child that is killed; in the child, the variable [`PATH`] is set.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::embedded::{LocalFile, LocalFileError};
use session_runtime::tier::{DurableTier, Version, Write};
use tempfile::TempDir;

/// The variable with the path of the file, set in a child.
pub(super) const PATH: &str = "SESSION_TESTS_CHILD_PATH";

/// The child prints this before each acknowledged write.
pub(super) const MARK: &str = "acknowledged ";

pub(super) fn later() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

pub(super) fn version(write: Write) -> Version {
    match write {
        Write::Done(version) => version,
        other => panic!("not done: {other:?}"),
    }
}

/// The path of the file, in a child.
pub(super) fn child_path() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

/// Runs this binary again, for `test` only.
fn spawn_child(test: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_process_loses_no_acknowledged_write() {
    if let Some(path) = child_path() {
        return write_and_print(&path).await;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let mut last = Version(0);
    for round in 1..=3 {
        let mut child = spawn_child("embedded::crash::a_killed_process_loses_no_acknowledged_write", &path);
        let mut acknowledged = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(write) = line.split(MARK).nth(1) {
                let (key, version) = write.split_once(' ').unwrap();
                acknowledged.push((key.to_owned(), Version(version.parse().unwrap())));
            }
            // Killed during its writes; what it printed before is still read to the end.
            if acknowledged.len() == 150 * round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "the child was not killed");
        assert!(
            acknowledged.len() >= 150 * round,
            "the child wrote only {}",
            acknowledged.len()
        );

        let tier = LocalFile::open(&path).unwrap();
        for (key, version) in &acknowledged {
            let found = tier.read(key).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("round {round}: {key} was acknowledged and is lost"));
            assert!(
                found.version >= *version,
                "round {round}: {key} is older than was acknowledged"
            );
            assert!(*version > last, "round {round}: a version was given twice");
        }
        last = acknowledged.iter().map(|(_, version)| *version).max().unwrap();
        let next = super::crash::version(tier.insert(&format!("r{round}"), Bytes::new(), later()).await.unwrap());
        assert!(next > last, "round {round}: {next:?} after {last:?}");
        last = next;
    }
}

/// Eight writers, until the process is killed; each write is printed after it was acknowledged.
async fn write_and_print(path: &Path) {
    let tier = LocalFile::open(path).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let tier = tier.clone();
        writers.spawn(async move {
            for n in 0.. {
                let key = format!("{}-{writer}-{n}", std::process::id());
                let inserted = version(
                    tier.insert(&key, Bytes::from(vec![writer; 3000]), later())
                        .await
                        .unwrap(),
                );
                print_acknowledged(&key, inserted);
                let updated = tier
                    .update(&key, inserted, Bytes::from(vec![writer; 500]), later())
                    .await;
                print_acknowledged(&key, version(updated.unwrap()));
            }
        });
    }
    writers.join_all().await;
}

fn print_acknowledged(key: &str, version: Version) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{MARK}{key} {}", version.0).unwrap();
}

#[tokio::test]
async fn a_second_process_gets_an_error_that_the_file_is_in_use() {
    if let Some(path) = child_path() {
        let error = LocalFile::open(path).unwrap_err();
        assert!(matches!(error, LocalFileError::InUse { .. }), "{error:?}");
        println!("{MARK}{error}");
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let _tier = LocalFile::open(&path).unwrap();
    let child = spawn_child(
        "embedded::crash::a_second_process_gets_an_error_that_the_file_is_in_use",
        &path,
    );
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("one process at a time"), "{printed}");
}
