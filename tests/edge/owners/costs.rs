use tracing::Instrument;
use tracing::level_filters::LevelFilter;

use super::{accounts, owner, signed_in};
use crate::site::Browser;
use crate::spans::Spans;

/// Calls of the durable tier: those of the session, and one read and one write of the owner's record for a sign-in.
#[tokio::test]
async fn what_an_owner_costs() {
    let site = accounts().await;
    let mut browser = Browser::default();
    site.post(&mut browser, "/note/visitor").await;
    site.settle().await;
    site.reset_calls();

    site.get(&mut browser, "/user").await;
    assert_eq!(site.durable.take_calls(), [], "a read costs nothing");
    site.post(&mut browser, "/note/again").await;
    assert_eq!(site.durable.take_calls(), [("update", 1)], "nor does a write");

    site.post(&mut browser, "/in/7").await;
    assert_eq!(
        site.durable.take_calls(),
        [("insert", 1), ("read", 1), ("update", 1)],
        "the first sign-in makes the owner's record"
    );
    site.post(&mut browser, "/in/7").await;
    assert_eq!(site.durable.take_calls(), [("read", 1), ("update", 2)], "a sign-in");
    signed_in(&site, 7).await;
    assert_eq!(
        site.durable.take_calls(),
        [("insert", 1), ("read", 2), ("update", 1)],
        "a sign-in to a new session looks whether it still stands"
    );
    site.post(&mut browser, "/out").await;
    site.settle().await;
    assert_eq!(
        site.durable.take_calls(),
        [("delete", 1), ("read", 1), ("update", 1)],
        "a sign-out takes the entry out, beside the request"
    );
}

#[tokio::test]
async fn what_the_end_of_many_sessions_costs() {
    let site = accounts().await;
    for _ in 0..20 {
        signed_in(&site, 7).await;
    }
    site.settle().await;
    site.reset_calls();
    assert_eq!(owner(&site, 7).end_all().await.unwrap().count, 20);
    assert_eq!(
        site.durable.take_calls(),
        [("delete", 20), ("read", 22), ("update", 2)],
        "a read and a delete for each, and two changes of the owner's record"
    );
}

/// An end goes on where its caller goes away, in tasks of its own.
#[tokio::test]
async fn the_calls_of_an_end_are_within_the_span_of_its_caller() {
    let site = accounts().await;
    for _ in 0..3 {
        signed_in(&site, 7).await;
    }
    site.settle().await;
    let spans = Spans::capture(LevelFilter::DEBUG);
    let request = tracing::debug_span!("request");
    let ended = owner(&site, 7).end_all().instrument(request).await.unwrap();
    assert_eq!(ended.count, 3);
    let lines = spans.take_lines();
    let (calls, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("session.tier"));
    assert_eq!(others, ["request - - -"]);
    assert!(
        calls.len() > 10 && calls.iter().all(|call| call.ends_with(" in request")),
        "{calls:?}"
    );
}
