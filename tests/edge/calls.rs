//! The calls to the tiers that each kind of request makes.

use axum::http::Method;

use crate::site::{Browser, Site};

#[tokio::test]
async fn an_unchanged_new_session_costs_no_call() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let reply = site.get(&mut browser, "/read").await;
    assert!(reply.is_new());
    reply.assert_no_cookie();
    let reply = site.post(&mut browser, "/touch").await;
    reply.assert_no_cookie();
    site.assert_untouched();
}

#[tokio::test]
async fn a_handler_without_a_session_causes_no_call() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.get(&mut browser, "/nothing").await.assert_no_cookie();
    site.assert_untouched();
}

#[tokio::test]
async fn a_creation_is_one_durable_call_and_one_to_the_cache() {
    let site = Site::new().await;
    let reply = site.post(&mut Browser::default(), "/visit").await;
    assert_eq!(reply.visits(), 1);
    assert!(reply.cookie().starts_with("__Host-shop="));
    site.settle().await;
    assert_eq!(site.durable.take_calls(), [("insert", 1)]);
    assert_eq!(site.cache.take_calls(), [("add", 1)]);
}

#[tokio::test]
async fn a_read_that_misses_fills_the_cache_and_the_next_is_one_call_to_it() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    site.post_uncached(&mut browser, "/visit").await;
    site.reset_calls();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    site.settle().await;
    assert_eq!(site.durable.take_calls(), [("read", 1)]);
    assert_eq!(site.cache.take_calls(), [("add", 1), ("get", 2), ("swap", 1)]);

    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.is_new()), (1, false));
    reply.assert_no_cookie();
    site.settle().await;
    assert_eq!(site.cache.take_calls(), [("get", 1)]);
    assert_eq!(site.durable.take_calls(), []);
}

#[tokio::test]
async fn a_write_after_a_hit_is_two_cache_calls_and_one_durable() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.visits(), 2);
    reply.assert_no_cookie();
    site.settle().await;
    assert_eq!(site.durable.take_calls(), [("update", 1)]);
    assert_eq!(site.cache.take_calls(), [("get", 1), ("swap", 1)]);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
    assert_eq!(
        (site.cache.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![])
    );
}

#[tokio::test]
async fn fields_that_are_borrowed_and_unchanged_are_not_written() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/touch").await.assert_no_cookie();
    assert_eq!(
        (site.cache.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![])
    );
}

#[tokio::test]
async fn a_cookie_that_the_server_did_not_sign_causes_no_call() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let (name, value) = ("__Host-shop", browser.value());
    let flipped = if value.ends_with('A') { 'B' } else { 'A' };
    let forged = format!("{}{flipped}", &value[..63]);
    let values = [
        "",
        "x",
        &value[..63],
        &format!("{value}A"),
        &forged,
        &"A".repeat(64),
        &"%".repeat(64),
    ];
    for value in values {
        let cookie = format!("{name}={value}");
        let reply = site.send(Method::GET, "/read", Some(&cookie)).await;
        assert!(reply.is_new(), "{value}");
        reply.assert_no_cookie();
    }
    let foreign = [
        format!("shop={value}", value = browser.value()),
        format!("__Host-shop2={value}", value = browser.value()),
        "__Host-shop".to_owned(),
        ";;;=;= ;".to_owned(),
    ];
    for cookie in &foreign {
        assert!(site.send(Method::GET, "/read", Some(cookie)).await.is_new(), "{cookie}");
    }
    site.assert_untouched();
    // A client with a forged cookie gets a new session.
    let reply = site
        .send(Method::POST, "/visit", Some(&format!("{name}={forged}")))
        .await;
    assert_eq!(reply.visits(), 1);
    assert!(!reply.cookie().contains(&value[..20]), "the forged id is not used");
    assert_eq!(site.durable.take_calls(), [("insert", 1)]);
}
