use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use session_runtime::{BeyondMax, SessionEvent};

use super::{device_id, devices, ids, routes, signed_in, who};
use crate::site::{Browser, Site};

async fn limited(max: usize, beyond: BeyondMax) -> (Site, Arc<Mutex<Vec<&'static str>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let site = Site::with(|builder| {
        builder
            .max_sessions(max, beyond)
            .on_event(move |event: &SessionEvent| heard.lock().unwrap().push(event.label()))
    })
    .await;
    (site.serving(routes()), events)
}

#[tokio::test]
async fn beyond_the_limit_the_oldest_sign_in_ends() {
    let (site, events) = limited(2, BeyondMax::EndOldest).await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        browsers.push(signed_in(&site, 7).await);
        site.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(who(&site, &browsers[0]).await, "");
    assert_eq!(who(&site, &browsers[1]).await, "7");
    assert_eq!(who(&site, &browsers[2]).await, "7");
    // The oldest signs in again, and so is the youngest.
    site.post(&mut browsers[1], "/in/7").await;
    site.clock.advance(Duration::from_secs(1));
    let fourth = signed_in(&site, 7).await;
    assert_eq!(who(&site, &browsers[2]).await, "");
    assert_eq!(
        ids(&site, 7).await,
        [device_id(&site, &fourth).await, device_id(&site, &browsers[1]).await]
    );
    let events = events.lock().unwrap();
    let count = |label| events.iter().filter(|event| **event == label).count();
    assert_eq!((count("ended"), count("sign-in-refused")), (2, 0), "{events:?}");
}

#[tokio::test]
async fn beyond_the_limit_the_newest_sign_in_is_refused_where_that_was_chosen() {
    let (site, events) = limited(2, BeyondMax::RefuseNewest).await;
    let mut first = signed_in(&site, 7).await;
    let second = signed_in(&site, 7).await;
    let mut third = Browser::default();
    let reply = site.post(&mut third, "/in/7").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    assert_eq!(events.lock().unwrap().last(), Some(&"sign-in-refused"));
    assert_eq!(
        site.post(&mut first, "/in/7").await.status,
        StatusCode::OK,
        "it is in already"
    );
    assert_eq!(who(&site, &second).await, "7");
    site.post(&mut first, "/out").await;
    site.settle().await;
    assert_eq!(site.post(&mut third, "/in/7").await.status, StatusCode::OK);
}

#[tokio::test]
async fn sessions_that_have_ended_by_themselves_make_room() {
    let (site, _) = limited(2, BeyondMax::RefuseNewest).await;
    signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(10 * 60));
    let second = signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(10 * 60));
    let third = signed_in(&site, 7).await;
    site.settle().await;
    let listed = ids(&site, 7).await;
    assert_eq!(
        listed,
        [device_id(&site, &third).await, device_id(&site, &second).await]
    );
    assert_eq!(site.records.keys().len(), 3, "the owner's record and two sessions");
}

#[tokio::test]
async fn a_limit_that_cannot_be_kept_is_refused() {
    for max in [0, 1001] {
        let built = session_runtime::CascadeStore::builder(crate::site::keys(&[1]))
            .max_sessions(max, BeyondMax::EndOldest)
            .build()
            .await;
        assert!(built.unwrap_err().to_string().contains("from 1 to 1000"));
    }
}

#[tokio::test]
async fn many_sign_ins_at_once_keep_the_limit() {
    let (site, _) = limited(5, BeyondMax::EndOldest).await;
    let sign_ins: Vec<_> = (0..20).map(|_| site.spawn_post(&Browser::default(), "/in/7")).collect();
    let mut browsers = Vec::new();
    for sign_in in sign_ins {
        let reply = sign_in.await.unwrap();
        if reply.status == StatusCode::OK {
            let mut browser = Browser::default();
            browser.take(&reply);
            browsers.push(browser);
        }
    }
    site.settle().await;
    let mut living = 0;
    for browser in &browsers {
        living += usize::from(who(&site, browser).await == "7");
    }
    assert_eq!(devices(&site, 7).await.len(), living);
    assert!((1..=5).contains(&living), "{living}");
}

/// Another tab has signed in first, so that this one gets a session of its own: one place, and not two.
#[tokio::test]
async fn a_sign_in_that_takes_two_tries_ends_one_session() {
    let (site, _) = limited(2, BeyondMax::EndOldest).await;
    let first = signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(1));
    let mut visitor = Browser::default();
    site.post(&mut visitor, "/note/visitor").await;
    let stale = visitor.clone();
    let gate = site.durable.block("update");
    let sign_in = site.spawn_post(&stale, "/in/7");
    gate.reached().await;
    let other = super::node(&site).await;
    other.post(&mut visitor, "/in/8").await;
    gate.release();
    let mut second = Browser::default();
    let reply = sign_in.await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    second.take(&reply);
    assert_eq!(who(&site, &second).await, "7");
    assert_eq!(who(&site, &first).await, "7", "there was room for two");
}

/// The first key that it tries is in use.
#[tokio::test]
async fn a_new_session_that_takes_two_keys_ends_none() {
    let (site, _) = limited(2, BeyondMax::EndOldest).await;
    let first = signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(1));
    site.durable.occupy(1);
    let second = signed_in(&site, 7).await;
    assert_eq!(site.durable.occupied().len(), 1);
    site.settle().await;
    assert_eq!(who(&site, &first).await, "7", "there was room for two");
    assert_eq!(
        ids(&site, 7).await,
        [device_id(&site, &second).await, device_id(&site, &first).await]
    );
}
