//! That the recipe on metrics lists exactly the metrics that the code records and the spans that it makes, and that the code
//! describes each metric.

use std::collections::BTreeSet;
use std::fs;

use crate::pages::repository;
use crate::source;

/// Kind, name, and the names of the labels.
type Metric = (String, String, BTreeSet<String>);

/// The metrics that a source records: `metrics::counter!("name", "label" => value, ...)`.
fn recorded(source: &str) -> impl Iterator<Item = Metric> {
    source.split("metrics::").skip(1).filter_map(|call| {
        let (kind, arguments) = call.split_once("!(")?;
        let is_macro = ["counter", "gauge", "histogram"].contains(&kind);
        let arguments = arguments.split(')').next()?;
        let mut texts = arguments.split('"').skip(1).step_by(2).map(str::to_owned);
        is_macro.then(|| Some((kind.to_owned(), texts.next()?, texts.collect())))?
    })
}

/// The spans that a source makes, each field on a line of its own: `debug_span!(target: "...", "name", field = value, ...)`.
fn spanned(source: &str) -> impl Iterator<Item = Metric> {
    source.split("_span!(").skip(1).filter_map(|call| {
        let mut lines = call
            .lines()
            .map(str::trim)
            .skip(1)
            .take_while(|line| !line.starts_with(')'));
        lines.next().filter(|line| line.starts_with("target: "))?;
        let name = lines.next()?.trim_matches([',', '"']).to_owned();
        let field = |line: &str| {
            let name = line.split(" = ").next().unwrap_or_default();
            name.trim_matches([',', '"']).to_owned()
        };
        Some(("span".to_owned(), name, lines.map(field).collect()))
    })
}

/// Kind and name of the metrics that a source describes: `metrics::describe_counter!("name", ...)`.
fn described(source: &str) -> impl Iterator<Item = (String, String)> {
    source.split("metrics::describe_").skip(1).filter_map(|call| {
        let (kind, arguments) = call.split_once("!(")?;
        Some((kind.to_owned(), arguments.split('"').nth(1)?.to_owned()))
    })
}

/// The rows of the recipe's table: `` | `name` | kind | unit | `label`: ...; `label` | ``.
fn listed(page: &str) -> impl Iterator<Item = Metric> {
    page.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let [name, kind, _, labels, ""] = cells[..] else {
            return None;
        };
        let labels = labels
            .split("; ")
            .filter_map(|label| label.strip_prefix('`')?.split('`').next());
        let name = name.trim_end_matches('`');
        Some((kind.to_owned(), name.to_owned(), labels.map(str::to_owned).collect()))
    })
}

#[test]
fn the_recipe_lists_the_metrics_that_are_recorded_and_the_spans_that_are_made() {
    let folder = repository().join("session-runtime/src");
    let files = source::read(&folder);
    let recorded: BTreeSet<_> = files.values().flat_map(|text| recorded(text)).collect();
    let page = fs::read_to_string(folder.join("recipes/metrics.md")).unwrap();
    let spans: BTreeSet<_> = files.values().flat_map(|text| spanned(text)).collect();
    let listed: BTreeSet<_> = listed(&page).collect();
    assert!(recorded.len() >= 5, "{recorded:?}");
    assert!(spans.len() >= 3, "{spans:?}");
    assert_eq!(listed, recorded.union(&spans).cloned().collect());
    let described: BTreeSet<_> = files.values().flat_map(|text| described(text)).collect();
    let recorded = recorded.into_iter().map(|(kind, name, _)| (kind, name));
    assert_eq!(described, recorded.collect());
}

#[test]
fn metrics_are_read_from_source_and_page() {
    let source =
        "fn f() { metrics::gauge!(\n\"depth\", \"pool\" => pool, \"server\" => name).set(1.0) } metrics::record();";
    let page =
        "| metric | kind |\n|---|---|\n| `depth` | gauge | things | `server`: its `name`; `pool` |\n| other | x |";
    let labels = ["pool", "server"].map(str::to_owned).into();
    let expected: [Metric; 1] = [("gauge".to_owned(), "depth".to_owned(), labels)];
    assert_eq!(recorded(source).collect::<Vec<_>>(), expected);
    assert_eq!(listed(page).collect::<Vec<_>>(), expected);
}

#[test]
fn spans_are_read_from_the_source() {
    let source = "f(tracing::debug_span!(\n  target: \"x::y\",\n  \"a.b\",\n  size,\n  \"c.d\" = if is { 1 } else { 2 },\n);\n g = 1";
    let expected: [Metric; 1] = [(
        "span".to_owned(),
        "a.b".to_owned(),
        ["size", "c.d"].map(str::to_owned).into(),
    )];
    assert_eq!(spanned(source).collect::<Vec<_>>(), expected);
}
