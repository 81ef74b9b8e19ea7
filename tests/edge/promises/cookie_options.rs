//! A layer refuses cookies that no browser would take, or that no header can carry, with the remedy.

use session_runtime::{CookieError, CookieOptions, SameSite};

use crate::site::Site;

async fn refused(options: CookieOptions) -> CookieError {
    let site = Site::new().await;
    let refused = site.store.layer().with_cookies(options.clone());
    refused.expect_err(&format!("{options:?}"))
}

#[tokio::test]
async fn a_path_or_domain_that_cannot_stand_in_a_header_is_refused() {
    for path in [
        "/shop\u{7}",
        "/a\r\nSet-Cookie: b=c",
        "/shop; Domain=evil.example",
        "/ä",
        "shop",
        "",
    ] {
        let error = refused(CookieOptions::new().with_path(path)).await;
        assert_eq!(error, CookieError::Path(path.to_owned()));
        assert!(error.to_string().contains("must begin with `/`"), "{error}");
    }
    for domain in [
        "example.org\n",
        "example.org; SameSite=None",
        "",
        ".",
        "a..b",
        "bücher.example",
        "example.org:443",
    ] {
        let error = refused(CookieOptions::new().with_domain(domain)).await;
        assert_eq!(error, CookieError::Domain(domain.to_owned()));
        assert!(error.to_string().contains("host name"), "{error}");
    }
}

#[tokio::test]
async fn attributes_that_need_secure_are_refused_without_it() {
    let none = CookieOptions::new().with_same_site(SameSite::None);
    let error = refused(none.without_secure()).await;
    assert_eq!(error, CookieError::SameSiteNoneWithoutSecure);
    let partitioned = CookieOptions::new().with_partitioned();
    let error = refused(partitioned.without_secure()).await;
    assert_eq!(error, CookieError::PartitionedWithoutSecure);
    assert!(error.to_string().contains("`without_secure`"), "{error}");
}

#[tokio::test]
async fn what_browsers_take_is_taken() {
    let site = Site::new().await;
    for options in [
        CookieOptions::new(),
        CookieOptions::new().with_path("/shop%3B").with_domain("example.org"),
        CookieOptions::new().with_domain(".xn--bcher-kva.example"),
        CookieOptions::new().with_same_site(SameSite::None).with_partitioned(),
        CookieOptions::new().without_secure(),
    ] {
        let layer = site.store.layer().with_cookies(options.clone());
        assert!(layer.is_ok(), "{options:?}: {layer:?}");
    }
}
