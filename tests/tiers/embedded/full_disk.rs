//! A disk that fills up, and then has free space again.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::tier::{DurableTier, TierErrorKind, Write};
use session_tests::services;
use tempfile::TempDir;

use super::crash::{MARK, PATH, child_path, later, version};

const TEST: &str = "embedded::full_disk::reads_continue_and_writes_recover_with_free_space";

/// A limit on the size of files takes the place of a full disk: writes beyond it fail in a child process, until its
/// parent raises the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_continue_and_writes_recover_with_free_space() {
    if let Some(path) = child_path() {
        return fill(&path).await;
    }
    if Command::new("prlimit").arg("--version").output().is_err() {
        return services::skip("prlimit", "package util-linux");
    }
    let dir = TempDir::new().unwrap();
    // 8 MiB in blocks of 512 bytes. The signal is ignored, so that the write itself fails, as it does on a full disk.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 16384; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(PATH, dir.path().join("s.redb"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let full = lines.any(|line| line.unwrap().contains(MARK));
    assert!(full, "the disk never filled up");
    let raised = Command::new("prlimit")
        .args(["--pid", &child.id().to_string(), "--fsize=unlimited:"])
        .status();
    assert!(raised.unwrap().success());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"the limit was raised\n")
        .unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{rest:#?}");
}

async fn fill(path: &Path) {
    let tier = LocalFile::open(path).unwrap();
    let value = Bytes::from(vec![7; 200_000]);
    let mut kept = Vec::new();
    let mut refused = None;
    for n in 0..200 {
        let key = format!("k{n}");
        match tier.insert(&key, value.clone(), later()).await {
            Ok(write) => kept.push((key, version(write))),
            Err(error) => {
                refused = Some((key, error));
                break;
            }
        }
    }
    let (lost, error) = refused.expect("the disk never filled up");
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    assert!(!kept.is_empty());
    // Writes are refused at once, and reads continue.
    let error = tier.insert("another", value.clone(), later()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    check(&tier, &kept, &lost).await;

    println!("{MARK}full");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    // The tier backs off for a moment after a failed write; nothing else is waited for.
    let written = loop {
        match tier.insert(&lost, value.clone(), later()).await {
            Ok(written) => break written,
            Err(error) => assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}"),
        }
        tokio::task::yield_now().await;
    };
    assert!(
        matches!(written, Write::Done(_)),
        "{written:?}: the refused write was applied"
    );
    drop(tier);
    let tier = LocalFile::open(path).unwrap();
    check(&tier, &kept, "none").await;
    assert_eq!(tier.read(&lost).await.unwrap().unwrap().value, value);
}

async fn check(tier: &LocalFile, kept: &[(String, session_runtime::tier::Version)], lost: &str) {
    for (key, version) in kept {
        let found = tier.read(key).await.unwrap();
        assert_eq!(found.map(|found| found.version), Some(*version), "{key}");
    }
    assert_eq!(tier.read(lost).await.unwrap(), None);
}
