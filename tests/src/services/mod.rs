//! The servers that tests run against: started by the test run itself, on free ports, and stopped with it.

#[cfg(feature = "datastore")]
pub mod datastore_proxy;
pub mod emulator;

/// Whether a missing server is a failure rather than a reason to skip (`SESSION_REQUIRE_SERVICES=1`, as CI has it).
pub fn are_required() -> bool {
    std::env::var_os("SESSION_REQUIRE_SERVICES").is_some_and(|value| value == "1")
}

/// Says in one line what is skipped for want of `program`, and how to get it.
///
/// # Panics
/// Where services [are required](are_required).
pub fn skip(program: &str, how_to_get_it: &str) {
    let line = format!("skipped: {program} is not installed ({how_to_get_it})");
    assert!(
        !are_required(),
        "{line}; SESSION_REQUIRE_SERVICES=1 makes that a failure"
    );
    eprintln!("{line}");
}
