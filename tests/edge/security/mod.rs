//! What an attacker tries, one module for each topic. `SECURITY.md` names the tests.

mod attributes;
mod forged;
mod ids;
mod logs;
mod many;
mod replayed;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::site::Browser;

const COOKIE_NAME: &str = "__Host-shop";

/// The sid and the secret of a browser's cookie.
fn ids(browser: &Browser) -> ([u8; 16], [u8; 16]) {
    let token = URL_SAFE_NO_PAD.decode(browser.value()).unwrap();
    (token[..16].try_into().unwrap(), token[16..32].try_into().unwrap())
}

fn cookie(value: &str) -> String {
    format!("{COOKIE_NAME}={value}")
}
