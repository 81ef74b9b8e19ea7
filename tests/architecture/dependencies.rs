//! That the clients of servers, and ciphers, come with their features alone: who does not take one does not pay for it.

use std::collections::BTreeSet;
use std::process::Command;

/// Each feature that a user has to ask for, and the crates that come with it.
const CLIENTS: &[(&str, &[&str])] = &[
    (
        "postgres",
        &["tokio-postgres", "deadpool-postgres", "tokio-postgres-rustls", "rustls"],
    ),
    ("seal", &["aes-gcm"]),
    ("valkey", &["redis", "tokio-rustls", "rustls"]),
    ("datastore", &["gcloud-sdk", "tonic", "rustls"]),
];

/// The crates that are built for session-runtime with these features.
fn tree(features: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--offline",
        "-p",
        "session-runtime",
        "-e",
        "normal",
        "--prefix",
        "none",
    ]);
    let output = cargo.args(["--features", features]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
        .collect()
}

#[test]
fn a_client_comes_with_its_feature_alone() {
    let default = tree("");
    assert!(default.contains("session-runtime") && default.len() > 20, "{default:?}");
    for (feature, crates) in CLIENTS {
        let with = tree(feature);
        for name in *crates {
            assert!(!default.contains(*name), "{name} comes without {feature}");
            assert!(with.contains(*name), "{name} does not come with {feature}");
        }
    }
}
