//! Structs that must not compile, with rustc's messages; and structs that must, under strict lints and odd names.

/// One run for all cases: trybuild builds the dependencies once a run.
#[test]
fn messages_and_hygiene() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("derive/ui/fail/*.rs");
    cases.pass("derive/ui/pass/*.rs");
}
