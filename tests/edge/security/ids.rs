//! What the value of a cookie is made of.

use std::collections::HashSet;

use super::ids;
use crate::site::{Browser, Site};

const SESSIONS: u32 = 400;

/// Each bit is set in about half of the sessions: within six standard deviations (0.15) of it.
#[tokio::test]
async fn each_bit_of_sid_and_secret_is_random() {
    let site = Site::new().await;
    let (mut seen, mut ones) = (HashSet::new(), [0; 256]);
    for _ in 0..SESSIONS {
        let mut browser = Browser::default();
        site.post(&mut browser, "/visit").await.cookie();
        let (sid, secret) = ids(&browser);
        assert!(seen.insert(sid) && seen.insert(secret), "an id was given twice");
        for (at, count) in ones.iter_mut().enumerate() {
            let byte = sid.iter().chain(&secret).nth(at / 8).unwrap();
            *count += u32::from(byte >> (at % 8) & 1);
        }
    }
    for (at, count) in ones.into_iter().enumerate() {
        let share = f64::from(count) / f64::from(SESSIONS);
        assert!(
            (0.35..0.65).contains(&share),
            "bit {at} is set in {share} of the sessions"
        );
    }
}

/// The value says nothing of the session: the same ids come back whatever the fields hold.
#[tokio::test]
async fn the_value_depends_on_no_field() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let before = browser.clone();
    for path in ["/note/hush-hush", "/step/9", "/visit"] {
        site.post(&mut browser, path).await.assert_no_cookie();
    }
    assert_eq!(browser.cookie, before.cookie);
    site.post(&mut browser, "/login/7").await.cookie();
    assert_eq!(browser.value().len(), 64);
    assert_eq!(ids(&browser).0, ids(&before).0);
    assert_ne!(ids(&browser).1, ids(&before).1);
}

/// A token in the address would be logged, sent on as a referrer, and kept in the history.
#[tokio::test]
async fn a_token_in_the_address_is_not_read() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let value = browser.value();
    for query in [
        format!("__Host-shop={value}"),
        format!("shop={value}"),
        format!("session={value}"),
    ] {
        let reply = site
            .send(axum::http::Method::GET, &format!("/read?{query}"), None)
            .await;
        assert!(reply.is_new());
        reply.assert_no_cookie();
    }
    site.assert_untouched();
}
