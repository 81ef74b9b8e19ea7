//! axe-core, which finds what keeps people with a screen reader, or with poor eyes, from using a page.

use std::path::PathBuf;

use serde_json::Value;
use session_tests::services;

use super::Browser;

/// Where `.ci/axe` puts it.
const DEFAULT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/tools/axe/node_modules/axe-core/axe.min.js"
);

const RUN: &str = "
    const done = arguments[0];
    axe.run(document, { resultTypes: ['violations', 'incomplete'], rules: { 'target-size': { enabled: true } } }).then(
        (results) => done([...results.violations, ...results.incomplete].map((found) =>
            `${found.id}: ${found.help}: ${found.nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`)),
        (error) => done([String(error)]));
";

/// axe-core's script.
pub(crate) struct Axe(String);

impl Axe {
    /// `None` where it is missing, which is said.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("SESSION_AXE").map_or_else(|| PathBuf::from(DEFAULT), PathBuf::from);
        let script = std::fs::read_to_string(path);
        if script.is_err() {
            services::skip("axe-core", "run .ci/axe, or name its axe.min.js in SESSION_AXE");
        }
        script.ok().map(Self)
    }
}

impl Browser {
    /// Has axe-core look at the page, which is said to be in this `state`.
    pub(crate) async fn assert_accessible(&self, axe: &Axe, state: &str) {
        self.driver.execute(&*axe.0, []).await.unwrap();
        let found = self.driver.execute_async(RUN, []).await.unwrap();
        assert_eq!(*found.json(), Value::Array(Vec::new()), "{state}");
    }
}
