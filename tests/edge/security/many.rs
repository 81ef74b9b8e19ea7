//! Cookie headers that are too long, have too many cookies, or have two that are valid.

use axum::http::{Method, StatusCode};

use super::{cookie, ids};
use crate::site::{Browser, Site};

#[tokio::test]
async fn a_cookie_of_eight_kibibytes_is_none() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    for long in ["A".repeat(8 << 10), browser.value().repeat(128), "=".repeat(8 << 10)] {
        let reply = site.send(Method::GET, "/read", Some(&cookie(&long))).await;
        assert_eq!((reply.status, reply.is_new()), (StatusCode::OK, true));
        reply.assert_no_cookie();
        site.assert_untouched();
        // It hides none that is valid.
        let header = format!("{}; {}", cookie(&long), browser.cookie.as_deref().unwrap());
        assert_eq!(site.send(Method::GET, "/read", Some(&header)).await.visits(), 1);
        site.reset_calls();
    }
}

#[tokio::test]
async fn two_hundred_cookies_of_other_names_hide_none_that_is_valid() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let mut cookies: Vec<_> = (0..200).map(|n| format!("c{n}={n}")).collect();
    cookies.extend(browser.cookie);
    let header = cookies.join("; ");
    assert_eq!(site.send(Method::GET, "/read", Some(&header)).await.visits(), 1);
}

#[tokio::test]
async fn two_hundred_forged_cookies_cause_no_tier_call() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let forged = format!("{}A", &browser.value()[..63]);
    let other = format!("{}B", &browser.value()[..63]);
    let forged = if forged == browser.value() { other } else { forged };
    let header = vec![cookie(&forged); 200].join("; ");
    assert!(site.send(Method::GET, "/read", Some(&header)).await.is_new());
    site.assert_untouched();
}

/// An attacker's own cookie beside the victim's, for another path or domain. `__Host-` keeps it from being set at all;
/// without the prefix the browser's order decides (RFC 6265, section 5.4), and nothing goes from one into the other.
#[tokio::test]
async fn of_two_valid_cookies_the_first_counts_and_the_sessions_stay_apart() {
    let site = Site::new().await;
    let (mut victim, mut attacker) = (site.visitor().await, site.visitor().await);
    site.post(&mut victim, "/login/7").await.cookie();
    site.post(&mut attacker, "/login/666").await.cookie();
    for (first, second, user) in [(&victim, &attacker, 7), (&attacker, &victim, 666)] {
        let header = [first, second]
            .map(|browser| browser.cookie.clone().unwrap())
            .join("; ");
        let reply = site.send(Method::POST, "/visit", Some(&header)).await;
        assert_eq!(reply.json()["user"], user);
        reply.assert_no_cookie();
    }
    for browser in [&mut victim, &mut attacker] {
        assert_eq!(site.get(browser, "/read").await.visits(), 2, "each was written once");
    }
    // A sign-in gives the first one a new secret, and tells the other session nothing.
    let header = [&attacker, &victim]
        .map(|browser| browser.cookie.clone().unwrap())
        .join("; ");
    let mut both = Browser { cookie: Some(header) };
    site.post(&mut both, "/login/8").await.cookie();
    assert_eq!(ids(&both).0, ids(&attacker).0);
    assert_eq!(site.get(&mut victim, "/read").await.json()["user"], 7);
}
