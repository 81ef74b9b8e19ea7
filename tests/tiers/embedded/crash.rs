//! What survives a process that is killed.
//!
//! Each test runs this test binary once more, for itself alone, as the process that dies; a variable tells it which of
//! the two it is.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::embedded::{LocalFile, OpenError};
use session_runtime::tier::{DurableTier, Version, Write};
use tempfile::TempDir;

pub(super) const PATH: &str = "SESSION_TESTS_CHILD_PATH";

/// What the process that dies says before each acknowledged write.
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

/// The path that a parent has named, in the process that dies.
pub(super) fn child_path() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

/// This binary once more, for `test` alone.
fn again(test: &str, path: &Path) -> Child {
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
        return write_and_tell(&path).await;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let mut last = Version(0);
    for round in 1..=3 {
        let mut child = again("embedded::crash::a_killed_process_loses_no_acknowledged_write", &path);
        let mut acknowledged = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(write) = line.split(MARK).nth(1) {
                let (key, version) = write.split_once(' ').unwrap();
                acknowledged.push((key.to_owned(), Version(version.parse().unwrap())));
            }
            // Killed in the middle of its writes; what it had already said is read to the end all the same.
            if acknowledged.len() == 150 * round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "it was not killed");
        assert!(
            acknowledged.len() >= 150 * round,
            "it wrote {} only",
            acknowledged.len()
        );

        let tier = LocalFile::open(&path).unwrap();
        for (key, version) in &acknowledged {
            let found = tier.read(key).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("round {round}: {key} was acknowledged and is gone"));
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

/// Eight writers, until the process is killed; each write is told when it was acknowledged, and not before.
async fn write_and_tell(path: &Path) {
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
                tell(&key, inserted);
                let updated = tier
                    .update(&key, inserted, Bytes::from(vec![writer; 500]), later())
                    .await;
                tell(&key, version(updated.unwrap()));
            }
        });
    }
    writers.join_all().await;
}

fn tell(key: &str, version: Version) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{MARK}{key} {}", version.0).unwrap();
}

#[tokio::test]
async fn a_second_process_is_told_that_the_file_is_in_use() {
    if let Some(path) = child_path() {
        let error = LocalFile::open(path).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        println!("{MARK}{error}");
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let _tier = LocalFile::open(&path).unwrap();
    let child = again(
        "embedded::crash::a_second_process_is_told_that_the_file_is_in_use",
        &path,
    );
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("one process at a time"), "{said}");
}
