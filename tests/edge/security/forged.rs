//! Cookies that the service has not issued, or has issued for something else.

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, CookieOptions, RouterExt, TypedSession};

use super::{cookie, ids};
use crate::site::{Browser, Other, Site, keys, routes};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Whoever sends this header is a visitor, of whom no tier is asked, and nothing is answered that a session would be.
async fn assert_visitor(site: &Site, header: &str) {
    let reply = site.send(Method::GET, "/read", Some(header)).await;
    assert!(reply.is_new(), "{header}");
    reply.assert_no_cookie();
    site.assert_untouched();
}

#[tokio::test]
async fn every_bit_of_a_cookie_counts() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let valid = browser.value().as_bytes();
    assert_eq!(valid.len(), 64);
    for at in 0..valid.len() {
        for bit in 0..6 {
            let mut forged = valid.to_vec();
            let digit = ALPHABET.iter().position(|letter| *letter == valid[at]).unwrap();
            forged[at] = ALPHABET[digit ^ (1 << bit)];
            assert_visitor(&site, &cookie(std::str::from_utf8(&forged).unwrap())).await;
        }
    }
    assert!(
        !site
            .send(Method::GET, "/read", browser.cookie.as_deref())
            .await
            .is_new()
    );
}

#[tokio::test]
async fn ten_thousand_forged_cookies_cause_no_tier_call() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let mut random = fastrand::Rng::with_seed(7);
    for n in 0..10_000 {
        // Half of them keep the sid of a session that exists.
        let known = if n % 2 == 0 { "" } else { &browser.value()[..22] };
        let letters = (known.len()..64).map(|_| char::from(ALPHABET[random.usize(..64)]));
        let header = cookie(&known.chars().chain(letters).collect::<String>());
        assert!(site.send(Method::GET, "/read", Some(&header)).await.is_new());
    }
    site.assert_untouched();
}

#[tokio::test]
async fn an_id_that_the_service_did_not_issue_is_never_taken_over() {
    let site = Site::new().await;
    let victim = site.visitor().await;
    let mut forged = victim.value().to_owned();
    forged.replace_range(63.., if forged.ends_with('A') { "B" } else { "A" });
    let mut browser = Browser {
        cookie: Some(cookie(&forged)),
    };
    let planted = ids(&browser);
    assert_eq!(planted, ids(&victim));
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 1);
    let (sid, secret) = ids(&browser);
    assert!(sid != planted.0 && secret != planted.1);
}

#[tokio::test]
async fn a_cookie_of_another_name_is_none() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let value = browser.value();
    // A prefix in other letters could be set by a subdomain, or over plain HTTP: RFC 6265bis, section 4.1.3.
    for name in [
        "shop",
        "__Secure-shop",
        "__host-shop",
        "__HOST-SHOP",
        "__Host-Shop",
        "__Host-shop2",
        "__Host-other",
        "x__Host-shop",
    ] {
        assert_visitor(&site, &format!("{name}={value}")).await;
    }
    for header in [
        format!("__Host-shop ={value}"),
        format!("__Host-shop= {value}"),
        format!("__Host-shop=\"{value}\""),
        format!("__Host-shop={value},a=b"),
        format!("a=__Host-shop={value}"),
        format!("__Host-shop%3D{value}"),
        format!("__Host-shop={value}="),
        format!("__Host-shop={value}%3D"),
    ] {
        assert_visitor(&site, &header).await;
    }
}

/// A value is signed for the cookie's whole name: it does not move to a layer with other attributes.
#[tokio::test]
async fn a_cookie_from_a_layer_without_prefix_is_none_for_one_with_it() {
    let site = Site::new().await;
    let plain = site.store.layer().with_cookies(CookieOptions::new().without_secure());
    let plain = routes().sessions(plain.unwrap());
    let mut browser = Browser::default();
    browser.send(&plain, Method::POST, "/visit").await.cookie();
    assert_eq!(browser.send(&plain, Method::GET, "/read").await.visits(), 1);
    site.settle().await;
    site.reset_calls();
    assert_visitor(&site, &cookie(browser.value())).await;
}

#[tokio::test]
async fn a_cookie_of_another_store_is_none() {
    let site = Site::new().await;
    let (cache, durable) = site.tiers.clone();
    let builder = CascadeStore::builder(keys(&[2])).memcache(cache).datastore(durable);
    let other = routes().sessions(builder.build().await.unwrap());
    let mut browser = Browser::default();
    browser.send(&other, Method::POST, "/visit").await.cookie();
    site.settle().await;
    site.reset_calls();
    assert_visitor(&site, browser.cookie.as_deref().unwrap()).await;
}

#[tokio::test]
async fn a_cookie_of_another_session_is_none() {
    let site = Site::new().await;
    let count = |mut other: TypedSession<Other>| async move { *other.visits_mut() += 1 };
    let read = |other: TypedSession<Other>| async move { other.is_new().to_string() };
    let both = site.serving(Router::new().route("/", post(count)).route("/", get(read)));
    let mut other = Browser::default();
    both.post(&mut other, "/").await.cookie();
    site.settle().await;
    site.reset_calls();
    assert_visitor(&site, &cookie(other.value())).await;
    let shop = site.visitor().await;
    let moved = format!("__Host-other={}", shop.value());
    assert_eq!(both.send(Method::GET, "/", Some(&moved)).await.body, "true");
    site.assert_untouched();
}
