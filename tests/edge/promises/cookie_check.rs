//! Cookie options that no browser would take are refused when the layer is built, with the remedy.

use session_runtime::{CookieError, CookieOptions, SameSite};

#[track_caller]
fn assert_refused(options: &CookieOptions, words: &[&str]) {
    let error: CookieError = options.check().unwrap_err();
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text} has no {word}");
    }
}

#[test]
fn same_site_none_and_partitioned_need_secure() {
    let options = CookieOptions::new().with_same_site(SameSite::None);
    assert!(options.check().is_ok());
    assert_refused(&options.without_secure(), &["SameSite=None", "Secure"]);
    let options = CookieOptions::new().with_partitioned();
    assert!(options.check().is_ok());
    assert_refused(&options.without_secure(), &["Partitioned", "Secure"]);
}

#[test]
fn what_cannot_stand_in_a_header_is_no_path_and_no_domain() {
    for wrong in ["/a;b", "/a\u{7}", "/a\r\nb", "/a\0", "/\u{7f}", "/caf\u{e9}"] {
        assert_refused(&CookieOptions::new().with_path(wrong), &["path"]);
    }
    assert_refused(&CookieOptions::new().with_path("shop"), &["path", "/"]);
    for wrong in [
        "example.org;",
        "example.org\n",
        "exa mple.org",
        "",
        "b\u{fc}cher.example",
    ] {
        assert_refused(&CookieOptions::new().with_domain(wrong), &["domain"]);
    }
    for right in ["/", "/shop", "/a%20b", "/a,b=c"] {
        assert!(CookieOptions::new().with_path(right).check().is_ok(), "{right}");
    }
    for right in ["example.org", ".example.org", "xn--bcher-kva.example"] {
        assert!(CookieOptions::new().with_domain(right).check().is_ok(), "{right}");
    }
}
