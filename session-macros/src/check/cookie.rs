//! What can stand in a `Set-Cookie` header (RFC 6265, section 4.1.1), and what browsers keep of it.

use syn::LitStr;

use crate::ast::Session;
use crate::ctxt::Ctxt;

/// Bytes. Browsers need only keep cookies of up to 4096 bytes, with name, value and attributes (RFC 6265, section 6.1),
/// and every request carries the name.
const MAX_NAME_LEN: usize = 256;

/// Bytes. Browsers ignore a longer attribute (draft-ietf-httpbis-rfc6265bis, section 5.6).
const MAX_ATTRIBUTE_LEN: usize = 1024;

/// The prefixes that `CookieOptions` adds, in lower case.
const COOKIE_PREFIXES: &[&str] = &["__host-", "__secure-"];

/// The session's name, of which the cookie's is made by default.
pub(super) fn check_name(ctxt: &Ctxt, session: &Session<'_>) {
    let Some(message) = name_error(&session.name) else {
        return;
    };
    match &session.name_lit {
        Some(name) => ctxt.error_at(name, message),
        None => ctxt.error_at(
            &session.input.ident,
            format!("{message}; name the session with `#[session(name = \"...\")]`"),
        ),
    }
}

/// The arguments of `cookie(...)`.
pub(super) fn check_cookie(ctxt: &Ctxt, session: &Session<'_>) {
    let Some(cookie) = &session.cookie else { return };
    let report = |lit: &Option<LitStr>, error_in: fn(&str) -> Option<String>| {
        if let Some(lit) = lit
            && let Some(message) = error_in(&lit.value())
        {
            ctxt.error_at(lit, message);
        }
    };
    report(&cookie.name, name_error);
    report(&cookie.path, path_error);
    report(&cookie.domain, domain_error);
}

/// A token as in RFC 2616, section 2.2.
fn name_error(name: &str) -> Option<String> {
    let is_token = |char: char| char.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(char);
    if name.is_empty() || !name.chars().all(is_token) {
        return Some(format!(
            "\"{}\" cannot name a cookie: RFC 6265 allows letters, digits and any of !#$%&'*+-.^_`|~",
            name.escape_debug()
        ));
    }
    if name.len() > MAX_NAME_LEN {
        return Some(format!(
            "this cookie name has {} bytes, more than {MAX_NAME_LEN}: browsers and proxies may drop the cookie",
            name.len()
        ));
    }
    let lower = name.to_ascii_lowercase();
    let prefix = COOKIE_PREFIXES.iter().find(|prefix| lower.starts_with(*prefix))?;
    let prefix = &name[..prefix.len()];
    Some(format!(
        "leave out `{prefix}`: `CookieOptions` adds the prefix to the name of the cookie"
    ))
}

fn path_error(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!(
            "the path of a cookie begins with `/`: write \"/{}\"",
            path.escape_debug()
        ));
    }
    if !path.chars().all(|char| matches!(char, ' '..='~') && char != ';') {
        return Some(format!(
            "\"{}\" cannot be the path of a cookie: RFC 6265 allows ASCII without `;` and control characters; write other \
             characters as in a URL, such as %3B for `;`",
            path.escape_debug()
        ));
    }
    (path.len() > MAX_ATTRIBUTE_LEN).then(|| {
        format!(
            "this path has {} bytes, and browsers ignore one of more than {MAX_ATTRIBUTE_LEN}: write a shorter one",
            path.len()
        )
    })
}

/// A host name: RFC 1123, section 2.1, and RFC 1035, section 2.3.4. One whose last label is a number is an IP address.
fn domain_error(domain: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if domain.len() <= 253 && domain.split('.').all(is_label) && !domain.rsplit('.').next().is_some_and(is_number) {
        return None;
    }
    Some(format!(
        "\"{}\" is not a host name: write one such as \"example.com\", without scheme, port, path or leading dot, and in \
         Punycode (\"xn--...\") where it is not ASCII",
        domain.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::{domain_error, path_error};

    #[test]
    fn a_domain_is_a_host_name() {
        let long = "a".repeat(64);
        for domain in [
            "example.com",
            "EXAMPLE.com",
            "a-b.c1",
            "localhost",
            "xn--bcher-kva.example",
            &long[..63],
        ] {
            assert_eq!(domain_error(domain), None);
        }
        let longer = [&long[..49]; 6].join(".");
        for domain in [
            "",
            ".example.com",
            "example.com.",
            "a..b",
            "-a.com",
            "a-.com",
            "a_b.com",
            "a b.com",
            "example.com:3000",
            "example.com/",
            "https://example.com",
            "b\u{fc}cher.example",
            "127.0.0.1",
            "[::1]",
            "a;b.com",
            "a\r\nb.com",
            &long,
            &longer,
        ] {
            assert!(domain_error(domain).is_some(), "{domain}");
        }
    }

    #[test]
    fn a_path_can_stand_in_a_header() {
        let long = format!("/{}", "a".repeat(1024));
        for path in ["/", "/shop", "/a b/%3B,\"=", &long[..1024]] {
            assert_eq!(path_error(path), None);
        }
        for path in ["", "shop", "/a;b", "/a\r\nb", "/\u{7f}", "/\u{e9}", "/\0", &long] {
            assert!(path_error(path).is_some(), "{path}");
        }
    }
}
