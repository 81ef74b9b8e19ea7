//! What must not compile, with what is said about it; and what must, however strict or strange its surroundings.

/// One run for all: trybuild builds the dependencies once for each.
#[test]
fn messages_and_hygiene() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("derive/ui/fail/*.rs");
    cases.pass("derive/ui/pass/*.rs");
}
