//! axe-core finds nothing, in any state of the page, light and dark, on a wide screen and on a phone.

use serde_json::json;

use super::Shop;
use super::client::Client;
use crate::browser::axe::Axe;
use crate::browser::{Browser, Script};

const SCREENS: [(&str, u32, &str); 4] = [
    ("wide and light", 1100, "light"),
    ("wide and dark", 1100, "dark"),
    ("narrow and light", 360, "light"),
    ("narrow and dark", 360, "dark"),
];

/// Looks at the page as it is now on every screen. It never needs to be scrolled sideways.
async fn look(browser: &Browser, axe: &Axe, state: &str) {
    for (screen, width, scheme) in SCREENS {
        browser.show_on(width, 800, scheme).await;
        let state = format!("{state}, {screen}");
        browser.assert_accessible(axe, &state).await;
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.ask(overflow).await, json!(0), "{state}");
    }
}

#[tokio::test]
async fn axe_finds_nothing() {
    let Some(browser) = Browser::start(Script::On).await else {
        return;
    };
    let Some(axe) = Axe::find() else { return };
    let shop = Shop::open().await;
    browser.open(&shop.at("/")).await;
    look(&browser, &axe, "a new visitor").await;

    for (article, quantity) in [
        ("green tea", "2"),
        (
            "a-teapot-whose-name-is-as-long-as-an-article-may-be-called-here",
            "1000",
        ),
    ] {
        browser.fill("#sku", article).await;
        browser.fill("#qty", quantity).await;
        browser.click("#add").await;
        browser.see("tbody th", article).await;
    }
    look(&browser, &axe, "a cart, a notice and two requests").await;

    browser.fill("td input[name=qty]", "0").await;
    browser.click("td button").await;
    browser.see("td .error", "Enter a whole number").await;
    look(&browser, &axe, "a line that was refused").await;

    browser.fill("#qty", "x").await;
    browser.click("#add").await;
    browser.see("#sku-error", "Enter an article").await;
    look(&browser, &axe, "two fields that were refused").await;

    browser.fill("#user", "").await;
    browser.click("#sign-in").await;
    browser.see("#user-error", "Enter a customer number").await;
    look(&browser, &axe, "a sign-in that was refused").await;

    browser.fill("#user", "7").await;
    browser.click("#sign-in").await;
    browser.see("#who", "Customer 7").await;
    look(&browser, &axe, "signed in").await;

    browser.click("#who a").await;
    browser.see("#this-device", "Chrome on").await;
    look(&browser, &axe, "one device").await;
    let mut client = Client::of(&shop);
    for _ in 0..2 {
        client.cookie = None;
        client.post_json("/api/login", &json!({ "user": 7 })).await;
    }
    browser.open(&shop.at("/devices")).await;
    browser.see("#devices", "Unknown browser").await;
    look(&browser, &axe, "three devices").await;
    browser.click("#devices li:not(#this-device) button").await;
    browser.see("#notices", "Signed out that device").await;
    look(&browser, &axe, "a device that was signed out").await;

    browser.open(&shop.at("/")).await;
    browser.click("#fail").await;
    browser.see("#trouble", "The request failed").await;
    look(&browser, &axe, "trouble").await;

    browser.click("#sign-out").await;
    browser.see("#notices", "You are signed out").await;
    look(&browser, &axe, "signed out").await;

    browser.open(&shop.at("/devices")).await;
    browser.see("#devices", "You are not signed in").await;
    look(&browser, &axe, "the devices of a visitor").await;

    browser.open(&shop.at("/")).await;
    // As without the script: the form's own answer is a page.
    browser
        .ask("document.querySelector('[action=\"/fail\"]').submit()")
        .await;
    browser.see("h1", "The request failed").await;
    look(&browser, &axe, "the page of a failure").await;
    browser.open(&shop.at("/no-such-page")).await;
    look(&browser, &axe, "a page that there is not").await;
    browser.close(&["status of 4", "status of 500"]).await;
}
