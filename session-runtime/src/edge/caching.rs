//! What caches between here and the client are told of a response that depended on a session (RFC 9111).

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Adds the header that carries the session to `Vary`, and keeps the response out of shared caches. One that carries a
/// token is not stored at all, unless the handler said `private`.
pub(super) fn protect(headers: &mut HeaderMap, carrier: &HeaderName, sets_token: bool) {
    vary_by(headers, carrier);
    if !headers.contains_key(CACHE_CONTROL) {
        let value = if sets_token { "no-store" } else { "private" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
        return;
    }
    let (mut directives, removed) = private_directives(headers);
    if !removed.is_empty() {
        let removed = removed.join(", ");
        tracing::warn!(
            removed,
            "a response depended on a session: what the handler allowed shared caches was removed"
        );
    }
    let has = |name: &str| directives.iter().any(|directive| is(directive, name));
    if sets_token && !has("private") && !has("no-store") {
        directives = vec!["no-store".to_owned()];
    } else if !has("private") && !has("no-store") {
        directives.insert(0, "private".to_owned());
    } else if removed.is_empty() {
        // As the handler wrote it.
        return;
    }
    if let Ok(value) = HeaderValue::try_from(directives.join(", ")) {
        headers.insert(CACHE_CONTROL, value);
    }
}

fn vary_by(headers: &mut HeaderMap, carrier: &HeaderName) {
    let is_there = elements(headers, &VARY).any(|name| name == "*" || name.eq_ignore_ascii_case(carrier.as_str()));
    if !is_there {
        headers.append(VARY, carrier.clone().into());
    }
}

/// The directives that may stay, and those that speak to shared caches.
fn private_directives(headers: &HeaderMap) -> (Vec<String>, Vec<String>) {
    let directives = elements(headers, &CACHE_CONTROL).map(str::to_owned);
    directives.partition(|directive| !is(directive, "public") && !is(directive, "s-maxage"))
}

/// Whether a directive, with an argument or without, has this name.
fn is(directive: &str, name: &str) -> bool {
    let before = directive.split('=').next().unwrap_or_default();
    before.trim().eq_ignore_ascii_case(name)
}

fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn protected(cache_control: Option<&'static str>, vary: Option<&'static str>, sets_cookie: bool) -> [String; 2] {
        let mut headers = HeaderMap::new();
        if let Some(value) = cache_control {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
        }
        if let Some(value) = vary {
            headers.insert(VARY, HeaderValue::from_static(value));
        }
        protect(&mut headers, &COOKIE, sets_cookie);
        [CACHE_CONTROL, VARY].map(|name| elements(&headers, &name).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn what_the_handler_said_is_kept_where_it_is_private() {
        for (said, without_cookie, with_cookie) in [
            (None, "private", "no-store"),
            (Some("max-age=60"), "private, max-age=60", "no-store"),
            (
                Some("private, max-age=60"),
                "private, max-age=60",
                "private, max-age=60",
            ),
            (
                Some("public, max-age=60, s-maxage=600"),
                "private, max-age=60",
                "no-store",
            ),
            (Some("Public"), "private", "no-store"),
            (Some("private, S-MaxAge=1"), "private", "private"),
            (Some("private=\"x\""), "private=\"x\"", "private=\"x\""),
            (Some("no-store"), "no-store", "no-store"),
            (Some("no-cache"), "private, no-cache", "no-store"),
        ] {
            assert_eq!(protected(said, None, false)[0], without_cookie, "{said:?}");
            assert_eq!(protected(said, None, true)[0], with_cookie, "{said:?}, with a cookie");
        }
    }

    #[test]
    fn the_carrier_is_added_to_vary_once() {
        for (said, expected) in [
            (None, "cookie"),
            (Some("Accept-Encoding"), "Accept-Encoding, cookie"),
            (Some("Cookie"), "Cookie"),
            (Some("accept, cookie"), "accept, cookie"),
            (Some("*"), "*"),
        ] {
            assert_eq!(protected(None, said, false)[1], expected, "{said:?}");
        }
    }
}
