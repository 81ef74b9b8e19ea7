//! What the code must keep to, and what of it an import breaks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use crate::imports::{Imports, collect};
use crate::source::{Crate, Files, parse};

/// Which rooms of session-runtime a room may import. `lib.rs` wires them, and may import all.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "edge",
        &["request", "cascade", "tier", "session", "cbor", "keys", "clock"],
    ),
    (
        "conformance",
        &["request", "cascade", "tier", "session", "keys", "clock"],
    ),
    ("request", &["cascade", "tier", "session", "cbor", "keys", "clock"]),
    ("cascade", &["tier", "session", "cbor", "keys", "clock"]),
    ("session", &["cbor", "clock"]),
    ("tier", &["cbor", "clock"]),
    ("cbor", &[]),
    ("keys", &[]),
    ("clock", &[]),
];

/// What a room may import of another beside [`ARROWS`].
const NAMES: &[(&str, &str, &[&str])] = &[("session", "tier", &["Tiers"])];

/// The one room that knows HTTP, and the crates that are HTTP: these, and those whose names go on with `-`.
const HTTP_ROOM: &str = "edge";
const HTTP_CRATES: &[&str] = &["axum", "http", "tower"];
/// The one file beside it: gRPC goes over HTTP/2, and whether a call was sent is seen there.
const HTTP_TRANSPORT: &str = "tier/datastore/channels.rs";

/// A crate, and who imports whom in it.
pub(crate) struct Architecture {
    parsed: Crate,
    imports: Imports,
}

impl Architecture {
    pub(crate) fn of(files: &Files) -> Self {
        let parsed = parse(files);
        let imports = collect(&parsed);
        Self { parsed, imports }
    }

    /// Imports that go up, and paths that lead nowhere.
    pub(crate) fn wrong_arrows(&self) -> Vec<String> {
        let unresolved = self.imports.unresolved.iter();
        let mut wrong: Vec<_> = unresolved.map(|path| format!("{path} leads nowhere")).collect();
        for (from, to, names) in self.edges() {
            let (here, there) = (room(from), room(to));
            if here == there || from == "lib.rs" {
                continue;
            }
            let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == here) else {
                wrong.push(format!("{from}: no rule says what `{here}` may import"));
                continue;
            };
            let excepted = NAMES.iter().find(|(room, other, _)| (*room, *other) == (here, there));
            let is_excepted =
                excepted.is_some_and(|(.., excepted)| names.iter().all(|name| excepted.contains(&name.as_str())));
            if !allowed.contains(&there) && !is_excepted {
                wrong.push(format!("{from} imports {to} ({})", join(names)));
            }
        }
        wrong
    }

    /// Imports of HTTP outside of the edge.
    pub(crate) fn wrong_crates(&self) -> Vec<String> {
        let is_http = |name: &str| {
            HTTP_CRATES.iter().any(|http| {
                name.strip_prefix(http)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            })
        };
        let may_know = |file: &str| room(file) == HTTP_ROOM || file == HTTP_TRANSPORT;
        let outside = self.imports.crates.iter().filter(|(file, _)| !may_know(file));
        outside
            .flat_map(|(file, crates)| crates.iter().map(move |name| (file, name)))
            .filter(|(_, name)| is_http(name))
            .map(|(file, name)| format!("{file} imports the crate `{name}`"))
            .collect()
    }

    /// Circles of files that import each other: through each file that lies on one, the shortest.
    ///
    /// A module and the modules below it are one room, so imports between them close no circle.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut graph = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (from, to, _) in self.edges() {
            if !self.is_one_room(from, to) {
                graph.entry(from).or_default().insert(to);
            }
        }
        let mut seen = BTreeSet::new();
        let circles = graph.keys().filter_map(|start| shortest_circle(&graph, start));
        circles
            .filter(|circle| seen.insert(circle.iter().copied().collect::<BTreeSet<_>>()))
            .map(|circle| self.describe_circle(&circle))
            .collect()
    }

    fn describe_circle(&self, circle: &[&str]) -> String {
        let mut out = String::new();
        for (at, from) in circle.iter().enumerate() {
            let to = circle[(at + 1) % circle.len()];
            let _ = write!(out, "{from} -[{}]-> ", join(&self.imports.edges[*from][to]));
        }
        out + circle[0]
    }

    fn is_one_room(&self, one: &str, other: &str) -> bool {
        let (one, other) = (&self.parsed.files[one], &self.parsed.files[other]);
        one.starts_with(other) || other.starts_with(one)
    }

    fn edges(&self) -> impl Iterator<Item = (&str, &str, &BTreeSet<String>)> {
        let files = self.imports.edges.iter();
        files.flat_map(|(from, edges)| edges.iter().map(move |(to, names)| (from.as_str(), to.as_str(), names)))
    }

    /// Who imports whom: rooms, then files.
    pub(crate) fn describe(&self) -> String {
        let mut rooms = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (from, to, _) in self.edges().filter(|(from, to, _)| room(from) != room(to)) {
            rooms.entry(room(from)).or_default().insert(room(to));
        }
        let mut out = String::new();
        for (from, to) in rooms {
            let _ = writeln!(out, "{from} -> {}", Vec::from_iter(to).join(", "));
        }
        for (from, edges) in &self.imports.edges {
            let _ = writeln!(out, "{from}");
            for (to, names) in edges {
                let _ = writeln!(out, "    {to}: {}", join(names));
            }
        }
        out
    }
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The folder at the top that a file is in, or the file itself.
fn room(file: &str) -> &str {
    file.split_once('/')
        .map_or(file, |(room, _)| room)
        .trim_end_matches(".rs")
}

/// The shortest way from a file back to itself.
fn shortest_circle<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &&'a str) -> Option<Vec<&'a str>> {
    let mut before = BTreeMap::<&str, &str>::new();
    let mut waiting = VecDeque::from([*start]);
    while let Some(at) = waiting.pop_front() {
        for next in graph.get(at).into_iter().flatten() {
            if next == start {
                let mut circle = vec![at];
                while let Some(earlier) = before.get(circle[circle.len() - 1]) {
                    circle.push(earlier);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(next) {
                before.insert(next, at);
                waiting.push_back(next);
            }
        }
    }
    None
}
