//! The spans of loads, commits and tier calls: which there are, what they tell, and what they never do.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use session_runtime::tier::TierErrorKind;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, filter::LevelFilter};

use crate::promises::log;
use crate::site::{Browser, Site};

/// A span, and those within it.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<&'static str>,
    fields: Vec<(&'static str, String)>,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find_map(|(field, value)| (*field == name).then_some(value.as_str()))
    }

    /// The name, the operation or the session, and what became of it.
    fn line(&self) -> String {
        let what = self.field("db.operation.name").or(self.field("session")).unwrap_or("-");
        let tier = self.field("db.system.name").or(self.field("tier")).unwrap_or("-");
        let end = self.field("outcome").or(self.field("error.type")).unwrap_or("-");
        let within = self.parent.map(|parent| format!(" in {parent}")).unwrap_or_default();
        format!("{} {what} {tier} {end}{within}", self.name)
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }
}

/// The spans of the test's own thread, for as long as this lives.
pub(crate) struct Spans {
    seen: Arc<Mutex<Vec<(Id, Seen)>>>,
    _guard: DefaultGuard,
}

struct Collector(Arc<Mutex<Vec<(Id, Seen)>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.name()));
        let mut seen = Seen {
            name: attributes.metadata().name(),
            parent,
            ..Seen::default()
        };
        attributes.record(&mut seen);
        self.0.lock().unwrap().push((id.clone(), seen));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        // Ids are used again: the latest is meant.
        let span = all.iter_mut().rev().find(|(of, _)| of == id).unwrap();
        values.record(&mut span.1);
    }
}

impl Spans {
    pub(crate) fn capture(level: LevelFilter) -> Self {
        log::with_second_subscriber();
        let seen = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Collector(Arc::clone(&seen)).with_filter(level));
        Self {
            seen,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    fn take(&self) -> Vec<Seen> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().map(|(_, seen)| seen).collect()
    }

    /// The spans since the last time, a line each.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.take().iter().map(Seen::line).collect()
    }

    /// All that the spans tell, to look for what they must not.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.seen.lock().unwrap())
    }
}

#[tokio::test]
async fn a_hit_is_a_load_with_one_call() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let spans = Spans::capture(LevelFilter::DEBUG);
    site.get(&mut browser, "/read").await;
    let seen = spans.take();
    let load = [("session", "shop"), ("tier", "local-cache"), ("outcome", "ok")];
    let call = [
        ("tier", "local-cache"),
        ("db.system.name", "local-cache"),
        ("db.operation.name", "get"),
        ("otel.name", "get"),
        ("otel.kind", "internal"),
    ];
    let fields = |span: &Seen| span.fields.clone();
    let owned = |fields: &[(&'static str, &str)]| {
        fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    };
    let expected: [(_, _, Vec<_>); 2] = [
        ("session.load", None, owned(&load)),
        ("session.tier", Some("session.load"), owned(&call)),
    ];
    let seen: Vec<_> = seen.iter().map(|span| (span.name, span.parent, fields(span))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_miss_asks_the_durable_tier_too_and_fills_beside_the_load() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    site.post_uncached(&mut browser, "/visit").await;
    site.settle().await;
    let spans = Spans::capture(LevelFilter::DEBUG);
    site.get(&mut browser, "/read").await;
    site.settle().await;
    let durable = site.store.check().await.durable.unwrap().product;
    let lines = spans.take_lines();
    assert_eq!(
        lines[..4],
        [
            format!("session.load shop {durable} ok"),
            "session.tier get local-cache - in session.load".to_owned(),
            "session.tier add local-cache - in session.load".to_owned(),
            format!("session.tier read {durable} - in session.load"),
        ]
    );
    let fill = ["session.tier get local-cache -", "session.tier swap local-cache -"];
    let ping = [
        "session.tier ping local-cache -".to_owned(),
        format!("session.tier ping {durable} -"),
    ];
    assert_eq!(lines[4..6], fill, "{lines:?}");
    assert_eq!(lines[6..], ping, "{lines:?}");
}

#[tokio::test]
async fn a_write_and_a_destroy_are_a_load_and_a_commit_each() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let durable = site.store.check().await.durable.unwrap().product;
    let spans = Spans::capture(LevelFilter::DEBUG);
    // A session that is new is not loaded.
    site.post(&mut browser, "/visit").await;
    let created = [
        "session.commit shop - coherent".to_owned(),
        format!("session.tier insert {durable} - in session.commit"),
        "session.tier add local-cache - in session.commit".to_owned(),
    ];
    assert_eq!(spans.take_lines(), created);

    site.post(&mut browser, "/visit").await;
    let written = [
        "session.load shop local-cache ok".to_owned(),
        "session.tier get local-cache - in session.load".to_owned(),
        "session.commit shop - coherent".to_owned(),
        format!("session.tier update {durable} - in session.commit"),
        "session.tier swap local-cache - in session.commit".to_owned(),
    ];
    assert_eq!(spans.take_lines(), written);

    site.post(&mut browser, "/logout").await;
    let destroyed = [
        "session.load shop local-cache ok".to_owned(),
        "session.tier get local-cache - in session.load".to_owned(),
        "session.commit shop - coherent".to_owned(),
        "session.tier swap local-cache - in session.commit".to_owned(),
        format!("session.tier delete {durable} - in session.commit"),
        "session.tier set local-cache - in session.commit".to_owned(),
    ];
    assert_eq!(spans.take_lines(), destroyed);
}

#[tokio::test]
async fn nothing_to_load_and_nothing_to_commit_are_no_spans() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let spans = Spans::capture(LevelFilter::TRACE);
    site.get(&mut Browser::default(), "/read").await;
    site.get(&mut browser, "/nothing").await;
    assert_eq!(spans.take_lines(), Vec::<String>::new());
    site.post(&mut browser, "/touch").await;
    let load = [
        "session.load shop local-cache ok",
        "session.tier get local-cache - in session.load",
    ];
    assert_eq!(spans.take_lines(), load);
}

#[tokio::test]
async fn an_error_marks_its_call_and_what_came_of_it() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let durable = site.store.check().await.durable.unwrap().product;
    let spans = Spans::capture(LevelFilter::DEBUG);
    site.cache.fail("get", TierErrorKind::Unavailable);
    site.get(&mut browser, "/read").await;
    let seen = spans.take();
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    let degraded = [
        format!("session.load shop {durable} degraded"),
        "session.tier get local-cache unavailable in session.load".to_owned(),
        format!("session.tier read {durable} - in session.load"),
    ];
    assert_eq!(lines, degraded);
    let statuses: Vec<_> = seen.iter().map(|span| span.field("otel.status_code")).collect();
    assert_eq!(statuses, [None, Some("ERROR"), None], "the load did well");

    site.durable.down();
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let seen = spans.take();
    assert_eq!(seen[0].line(), "session.load shop - unavailable");
    for span in &seen {
        assert_eq!(span.field("error.type"), Some("unavailable"), "{span:?}");
        assert_eq!(span.field("otel.status_code"), Some("ERROR"), "{span:?}");
    }
    site.cache.up();
    let reply = site.post(&mut browser, "/note/new").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let seen = spans.take();
    let commit = seen.iter().find(|span| span.name == "session.commit").unwrap();
    assert_eq!(commit.field("outcome"), Some("unavailable"));
    assert_eq!(commit.field("error.type"), Some("unavailable"));
    assert_eq!(commit.field("otel.status_code"), Some("ERROR"));
}

/// A writer that writes for those behind it does so in a task of its own.
#[tokio::test]
async fn writes_together_are_a_commit_each_with_one_set_of_calls() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let spans = Spans::capture(LevelFilter::DEBUG);
    let gate = site.durable.block("update");
    let first = site.spawn_post(&browser, "/visit");
    gate.reached().await;
    let others = [site.spawn_post(&browser, "/visit"), site.spawn_post(&browser, "/visit")];
    while spans.text().matches("session.commit").count() < 3 {
        tokio::task::yield_now().await;
    }
    gate.release();
    for post in [first].into_iter().chain(others) {
        assert_eq!(post.await.unwrap().status, StatusCode::OK);
    }
    let seen = spans.take();
    let count = |name: &str, operation: Option<&str>| {
        let spans = seen.iter().filter(|span| span.name == name);
        spans
            .filter(|span| span.field("db.operation.name") == operation)
            .count()
    };
    assert_eq!(count("session.commit", None), 3);
    assert_eq!(count("session.tier", Some("update")), 2);
    let alone: Vec<_> = seen
        .iter()
        .filter(|span| span.name == "session.tier" && span.parent.is_none())
        .collect();
    assert!(alone.is_empty(), "{alone:?}");
}

#[tokio::test]
async fn none_is_made_where_nobody_listens_at_debug() {
    let spans = Spans::capture(LevelFilter::INFO);
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/login/7").await;
    site.post(&mut browser, "/logout").await;
    site.store.check().await;
    site.settle().await;
    assert_eq!(spans.take_lines(), Vec::<String>::new());
    // It would have seen one.
    let _span = tracing::span!(Level::INFO, "seen").entered();
    assert_eq!(spans.take_lines(), ["seen - - -"]);
}
