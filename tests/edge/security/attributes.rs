//! The attributes that cookies are set and removed with.

use axum::Router;
use axum::http::Method;
use session_runtime::{CookieOptions, RouterExt, SameSite};

use crate::site::{Browser, Site, routes};

/// What sets a cookie with these options, and what removes it; `None` where they are refused.
async fn set_and_removed(site: &Site, options: CookieOptions) -> Option<[String; 2]> {
    let layer = site.store.layer().with_cookies(options).ok()?;
    let app: Router = routes().sessions(layer);
    let mut browser = Browser::default();
    let set = browser.send(&app, Method::POST, "/visit").await.cookie();
    let removed = browser.send(&app, Method::POST, "/logout").await.cookie();
    Some([set, removed])
}

/// Every combination of path, domain, `Secure`, `SameSite` and `Partitioned`.
fn combinations() -> impl Iterator<Item = CookieOptions> {
    let paths = ["/", "/shop"].into_iter();
    let with_domains = paths.flat_map(|path| [None, Some("example.org")].map(|domain| (path, domain)));
    let same_sites = [SameSite::Strict, SameSite::Lax, SameSite::None];
    let with_same_sites = with_domains.flat_map(move |pair| same_sites.map(|same_site| (pair, same_site)));
    with_same_sites.flat_map(|((path, domain), same_site)| {
        [(true, false), (true, true), (false, false), (false, true)].map(|(is_secure, is_partitioned)| {
            let mut options = CookieOptions::new().with_path(path).with_same_site(same_site);
            if let Some(domain) = domain {
                options = options.with_domain(domain);
            }
            if !is_secure {
                options = options.without_secure();
            }
            if is_partitioned {
                options = options.with_partitioned();
            }
            options
        })
    })
}

/// The conditions of RFC 6265bis, section 4.1.3, and of CHIPS.
#[tokio::test]
async fn no_combination_of_options_makes_a_cookie_that_claims_more_than_it_has() {
    let site = Site::new().await;
    let (mut taken, mut refused) = (0, 0);
    for options in combinations() {
        let Some(lines) = set_and_removed(&site, options).await else {
            refused += 1;
            continue;
        };
        taken += 1;
        for line in &lines {
            let has = |attribute: &str| line.split("; ").skip(1).any(|other| other == attribute);
            let has_domain = line.contains("; Domain=");
            assert_eq!(
                line.starts_with("__Host-shop="),
                has("Secure") && has("Path=/") && !has_domain,
                "{line}"
            );
            assert_eq!(line.starts_with("__"), has("Secure"), "{line}");
            assert!(has("Secure") || !has("SameSite=None") && !has("Partitioned"), "{line}");
            assert!(has("HttpOnly"), "{line}");
        }
        // A browser takes a removal only where it has the attributes that the cookie was set with.
        let attributes = lines.map(|line| {
            let attributes = line
                .split("; ")
                .skip(1)
                .filter(|attribute| !attribute.starts_with("Max-Age="));
            attributes.map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(attributes[0], attributes[1]);
    }
    // Without `Secure`: `Partitioned` in all of its 12 combinations, and `SameSite=None` in 4 more.
    assert_eq!((taken, refused), (32, 16));
}

#[tokio::test]
async fn no_character_of_a_path_or_a_domain_adds_an_attribute() {
    let site = Site::new().await;
    let mut refused = Vec::new();
    for byte in 0..=u8::MAX {
        let inner = format!("a{}b", char::from(byte));
        let options = [
            CookieOptions::new().with_path(format!("/{inner}")),
            CookieOptions::new().with_domain(format!("{inner}.example")),
        ];
        let mut is_taken = [true; 2];
        for (options, is_taken) in options.into_iter().zip(&mut is_taken) {
            let Some(lines) = set_and_removed(&site, options).await else {
                *is_taken = false;
                continue;
            };
            for line in lines {
                let (path, domain) = (format!("Path=/{inner}"), format!("Domain={inner}.example"));
                let others = line.split("; ").skip(1).filter(|part| *part != path && *part != domain);
                let names: Vec<_> = others.filter_map(|part| part.split('=').next()).collect();
                let expected = ["HttpOnly", "SameSite", "Secure", "Path", "Max-Age"];
                assert!(names.iter().all(|name| expected.contains(name)), "{byte:#x}: {line}");
            }
        }
        if is_taken == [false; 2] {
            refused.push(byte);
        }
    }
    for byte in (0..b' ').chain([b';', 0x7f, 0x80, 0xff]) {
        assert!(refused.contains(&byte), "{byte:#x} is taken");
    }
}
