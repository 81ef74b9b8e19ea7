use std::time::Duration;

use axum::http::StatusCode;

use super::{accounts, device_id, devices, ids, node, owner, signed_in, who};
use crate::site::Browser;

#[tokio::test]
async fn everybody_who_signs_in_is_listed_with_label_and_times_the_latest_first() {
    let site = accounts().await;
    let first = signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(60));
    let mut second = Browser::default();
    site.post(&mut second, "/in/7/Firefox").await;
    signed_in(&site, 8).await;
    let listed = devices(&node(&site).await, 7).await;
    assert_eq!(listed.len(), 2, "and not the session of another: {listed:?}");
    assert_eq!(listed[0].id, device_id(&site, &second).await);
    assert_eq!(listed[0].label.as_deref(), Some("Firefox"));
    assert_eq!(listed[1].id, device_id(&site, &first).await);
    assert_eq!(listed[1].label, None);
    let between = listed[0].signed_in.duration_since(listed[1].signed_in).unwrap();
    assert_eq!(between, Duration::from_secs(60));
    assert_eq!(listed[1].created, listed[1].signed_in);
    assert_eq!(
        listed[1].expires_at.duration_since(listed[1].last_used).unwrap(),
        Duration::from_secs(20 * 60)
    );
}

#[tokio::test]
async fn who_signs_in_again_is_listed_once() {
    let site = accounts().await;
    let mut browser = signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(60));
    site.post(&mut browser, "/in/7/again").await;
    let listed = devices(&site, 7).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].label.as_deref(), Some("again"));
    assert_eq!(
        listed[0].signed_in.duration_since(listed[0].created).unwrap(),
        Duration::from_secs(60)
    );
}

#[tokio::test]
async fn who_signs_out_is_listed_no_more() {
    let site = accounts().await;
    for path in ["/out", "/clear"] {
        let (mut leaving, staying) = (signed_in(&site, 7).await, signed_in(&site, 7).await);
        assert_eq!(site.post(&mut leaving, path).await.status, StatusCode::OK);
        site.settle().await;
        let entries = owner(&site, 7).sessions().await.unwrap();
        assert_eq!(entries.len(), 1, "{path}");
        assert_eq!(entries[0].id, device_id(&site, &staying).await);
        owner(&site, 7).end_all().await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_has_expired_is_not_listed() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    site.clock.advance(Duration::from_secs(19 * 60));
    let later = signed_in(&site, 7).await;
    assert_eq!(devices(&site, 7).await.len(), 2);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(ids(&site, 7).await, [device_id(&site, &later).await]);
}

#[tokio::test]
async fn a_session_keeps_its_identifier_over_rotations() {
    let site = accounts().await;
    let mut browser = signed_in(&site, 7).await;
    let before = device_id(&site, &browser).await;
    site.post(&mut browser, "/in/7").await.cookie();
    assert_eq!(device_id(&site, &browser).await, before);
    assert_eq!(before.to_string().len(), 22);
    assert!(!browser.value().contains(&before.to_string()));
    assert_eq!(who(&site, &browser).await, "7");
}

#[tokio::test]
async fn a_long_label_is_cut_between_letters() {
    let site = accounts().await;
    let mut browser = Browser::default();
    let label = format!("/in/7/{}", "%C3%A4".repeat(100));
    site.post(&mut browser, &label).await;
    let listed = devices(&site, 7).await;
    assert_eq!(listed[0].label.as_deref(), Some(&*"ä".repeat(64)));
}
