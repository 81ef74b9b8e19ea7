//! Cookies that no browser would take are never handed out.

use axum::Router;
use axum::http::{Method, StatusCode};
use session_runtime::{CookieOptions, RouterExt, SameSite};

use crate::site::{Browser, Reply, Site, routes};

async fn visit(site: &Site, options: CookieOptions) -> Reply {
    let app: Router = routes().sessions(site.store.layer().with_cookies(options));
    Browser::default().send(&app, Method::POST, "/visit").await
}

/// A record whose cookie was not sent is one that nobody can reach.
#[tokio::test]
async fn no_record_is_made_whose_cookie_cannot_be_sent() {
    for options in [
        CookieOptions::new().with_path("/shop\u{7}"),
        CookieOptions::new().with_path("/a\r\nSet-Cookie: b=c"),
        CookieOptions::new().with_domain("example.org\n"),
    ] {
        let site = Site::new().await;
        let reply = visit(&site, options.clone()).await;
        let (records, cookies) = (site.records.keys().len(), reply.cookies().len());
        assert_eq!(
            records, cookies,
            "{options:?} makes a record that nobody can reach: {reply:?}"
        );
        assert_ne!(reply.status, StatusCode::OK, "a write that is lost is no success");
    }
}

/// The attributes of the cookie are those that were asked for, and no others.
#[tokio::test]
async fn a_semicolon_in_path_or_domain_adds_no_attribute() {
    for options in [
        CookieOptions::new().with_path("/shop; Domain=evil.example"),
        CookieOptions::new().with_domain("example.org; SameSite=None"),
    ] {
        let site = Site::new().await;
        for line in visit(&site, options).await.cookies() {
            let added = line.contains("Domain=evil.example") || line.contains("SameSite=None");
            assert!(!added, "an attribute was added: {line}");
        }
    }
}

#[tokio::test]
async fn same_site_none_never_goes_without_secure() {
    let site = Site::new().await;
    let options = CookieOptions::new().with_same_site(SameSite::None).without_secure();
    let reply = visit(&site, options).await;
    for line in reply.cookies() {
        assert!(
            !line.contains("SameSite=None") || line.contains("Secure"),
            "a cookie that browsers throw away: {line}"
        );
    }
}
