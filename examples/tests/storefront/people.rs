//! The shop in a browser that runs its script.

use serde_json::json;
use thirtyfour::prelude::*;

use super::Shop;
use crate::browser::{Browser, Script};

/// What chromium's console says of a page that was answered with an error.
const REFUSED: &str = "status of 422";

async fn visit() -> Option<(Shop, Browser)> {
    let browser = Browser::start(Script::On).await?;
    let shop = Shop::open().await;
    browser.open(&shop.at("/")).await;
    Some((shop, browser))
}

async fn add(browser: &Browser, article: &str, quantity: &str) {
    browser.fill("#sku", article).await;
    browser.fill("#qty", quantity).await;
    browser.click("#add").await;
}

async fn sign_in(browser: &Browser, customer: &str) {
    browser.fill("#user", customer).await;
    browser.click("#sign-in").await;
    browser.see("#who", &format!("Customer {customer}")).await;
}

/// Tells later whether the page is still the one that was loaded.
async fn mark(browser: &Browser) {
    browser.ask("window.isMarked = true").await;
}

async fn assert_not_reloaded(browser: &Browser) {
    assert_eq!(browser.ask("return window.isMarked === true").await, json!(true));
}

#[tokio::test]
async fn the_page_tells_which_tier_answered_and_what_the_commit_did() {
    let Some((shop, browser)) = visit().await else { return };
    browser.see("#this-request .load", "none").await;
    browser.see("#this-request .commit", "coherent").await;

    browser.open(&shop.at("/")).await;
    browser.see("#this-request .load", "local-cache").await;
    browser.see("#this-request .commit", "clean").await;
    assert!(browser.lacks("#steps li + li").await);

    browser.click("#visit").await;
    browser.see("#steps li", "POST /visit 303").await;
    browser.see("#steps li:first-child .load", "local-cache").await;
    browser.see("#steps li:first-child .commit", "coherent").await;
    // It took the notice out of the session.
    browser.see("#this-request .commit", "coherent").await;
    browser.see("#count", "1").await;
    browser.close(&[]).await;
}

#[tokio::test]
async fn a_form_is_sent_without_a_reload_and_keeps_the_focus() {
    let Some((shop, browser)) = visit().await else { return };
    mark(&browser).await;
    browser.fill("#note", "Ring twice").await;
    add(&browser, "green tea", "3").await;
    browser.see("tbody th", "green tea").await;
    assert_eq!(browser.text("#told").await, "Added 3 of green tea");
    assert_eq!(browser.text("#notices").await, "Added 3 of green tea");
    assert_eq!(
        browser.driver.title().await.unwrap(),
        "Added 3 of green tea – Storefront"
    );
    assert_eq!(browser.focused().await, "add");
    assert_eq!(
        (browser.value("#sku").await, browser.value("#qty").await),
        (String::new(), "1".to_owned())
    );
    assert_eq!(
        browser.value("#note").await,
        "Ring twice",
        "what was typed elsewhere stays"
    );

    browser.fill("td input[name=qty]", "5").await;
    browser.click("td button").await;
    browser.see("#notices", "Changed green tea to 5").await;
    browser.click("td button[formaction]").await;
    browser.see(".empty", "Nothing in it yet").await;
    assert_eq!(browser.focused().await, "cart-title", "the button is gone");
    browser.click("#save-note").await;
    browser.see("#notices", "Saved the note").await;
    assert_not_reloaded(&browser).await;

    browser.open(&shop.at("/")).await;
    assert_eq!(browser.value("#note").await, "Ring twice");
    assert!(browser.lacks("#notices").await, "a notice is shown once");
    browser.close(&[]).await;
}

#[tokio::test]
async fn what_is_refused_stays_and_is_told_beside_its_field() {
    let Some((_shop, browser)) = visit().await else { return };
    mark(&browser).await;
    add(&browser, "honey", "many").await;
    browser.see("#summary", "Enter a whole number from 1 to 1000").await;
    assert_eq!(browser.focused().await, "summary");
    assert_eq!(
        browser.driver.title().await.unwrap(),
        "Please check what you entered – Storefront"
    );
    let field = browser.find("#qty").await;
    assert_eq!(field.attr("aria-invalid").await.unwrap().as_deref(), Some("true"));
    let told_by = field.attr("aria-describedby").await.unwrap().unwrap();
    assert!(
        browser
            .text(&format!("#{told_by}"))
            .await
            .contains("Enter a whole number")
    );
    assert_eq!(
        (browser.value("#sku").await, browser.value("#qty").await),
        ("honey".to_owned(), "many".to_owned())
    );

    browser.click("#summary a").await;
    assert_eq!(browser.focused().await, "qty");
    browser.fill("#qty", "2").await;
    browser.click("#add").await;
    browser.see("tbody th", "honey").await;
    assert!(browser.lacks("#summary, [aria-invalid]").await);
    assert_not_reloaded(&browser).await;
    browser.close(&[REFUSED]).await;
}

#[tokio::test]
async fn the_cookie_outlives_the_browser_where_it_is_asked_to() {
    let Some((_shop, browser)) = visit().await else { return };
    sign_in(&browser, "7").await;
    let cookie = browser.driver.get_named_cookie("__Host-shop").await.unwrap();
    assert_eq!(
        (cookie.expiry, cookie.http_only, cookie.secure),
        (None, Some(true), Some(true))
    );

    browser.click("#sign-out").await;
    browser.see("#notices", "You are signed out").await;
    browser.click("#remember").await;
    sign_in(&browser, "8").await;
    let remembered = browser.driver.get_named_cookie("__Host-shop").await.unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let days = (remembered.expiry.unwrap() - i64::try_from(now.as_secs()).unwrap()) / 86_400;
    assert!((29..=30).contains(&days), "{days}");
    assert_ne!(remembered.value, cookie.value);
    browser.close(&[]).await;
}

#[tokio::test]
async fn two_tabs_share_the_cart_and_both_count() {
    let Some((shop, browser)) = visit().await else { return };
    let first = browser.driver.window().await.unwrap();
    add(&browser, "teapot", "1").await;
    browser.see("tbody th", "teapot").await;
    let second = browser.driver.new_tab().await.unwrap();
    browser.driver.switch_to_window(second).await.unwrap();
    browser.open(&shop.at("/")).await;
    browser.see("tbody th", "teapot").await;
    add(&browser, "teapot", "2").await;
    browser.see("#notices", "Added 2 of teapot").await;
    assert_eq!(browser.value("td input[name=qty]").await, "3");
    browser.assert_console_is_clean(&[]).await;

    browser.driver.switch_to_window(first).await.unwrap();
    add(&browser, "teapot", "4").await;
    browser.see("#notices", "Added 4 of teapot").await;
    assert_eq!(browser.value("td input[name=qty]").await, "7");
    browser.close(&[]).await;
}

#[tokio::test]
async fn the_way_back_shows_nothing_of_a_session_that_has_ended() {
    let Some((shop, browser)) = visit().await else { return };
    sign_in(&browser, "7").await;
    // The page is left as it is, and the session ends in another tab.
    browser.open(&shop.at("/no-such-page")).await;
    let first = browser.driver.window().await.unwrap();
    let second = browser.driver.new_tab().await.unwrap();
    browser.driver.switch_to_window(second).await.unwrap();
    browser.open(&shop.at("/")).await;
    browser.click("#sign-out").await;
    browser.see("#who", "Not signed in").await;

    browser.driver.switch_to_window(first).await.unwrap();
    browser.driver.back().await.unwrap();
    browser.see("#who", "Not signed in").await;
    assert!(!browser.driver.source().await.unwrap().contains("Customer 7"));
    browser.close(&["status of 404"]).await;
}

#[tokio::test]
async fn a_page_that_the_browser_has_kept_is_loaded_anew() {
    let Some((_shop, browser)) = visit().await else { return };
    mark(&browser).await;
    browser
        .ask("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        .await;
    browser.see("#this-request .load", "local-cache").await;
    assert_eq!(browser.ask("return window.isMarked === true").await, json!(false));
    browser.close(&[]).await;
}

#[tokio::test]
async fn a_double_click_signs_in_once_and_keeps_the_cart() {
    let Some((_shop, browser)) = visit().await else { return };
    add(&browser, "honey", "2").await;
    browser.see("tbody th", "honey").await;
    browser.fill("#user", "7").await;
    let button = browser.find("#sign-in").await;
    let chain = browser.driver.action_chain();
    chain.double_click_element(&button).perform().await.unwrap();
    browser.see("#who", "Customer 7").await;
    browser.see("tbody th", "honey").await;
    assert_eq!(browser.text("#notices").await, "Welcome, customer 7");
    browser.close(&[]).await;
}

#[tokio::test]
async fn a_page_from_before_a_sign_in_elsewhere_keeps_what_was_typed() {
    let Some((shop, browser)) = visit().await else { return };
    let first = browser.driver.window().await.unwrap();
    let second = browser.driver.new_tab().await.unwrap();
    browser.driver.switch_to_window(second).await.unwrap();
    browser.open(&shop.at("/")).await;
    sign_in(&browser, "7").await;

    browser.driver.switch_to_window(first).await.unwrap();
    add(&browser, "strainer", "2").await;
    browser.see("#trouble", "This form is out of date").await;
    browser.see("#who", "Customer 7").await;
    assert_eq!(
        (browser.value("#sku").await, browser.value("#qty").await),
        ("strainer".to_owned(), "2".to_owned())
    );
    browser.click("#add").await;
    browser.see("tbody th", "strainer").await;
    assert_eq!(browser.text("#trouble").await, "");
    browser.close(&["status of 403"]).await;
}

#[tokio::test]
async fn a_request_that_fails_is_told_and_saves_nothing() {
    let Some((shop, browser)) = visit().await else { return };
    browser.click("#fail").await;
    browser.see("#trouble", "The request failed").await;
    browser.open(&shop.at("/")).await;
    assert_eq!(browser.text("#count").await, "0");
    browser.close(&["status of 500"]).await;
}

#[tokio::test]
async fn the_keyboard_reaches_everything_and_skips_to_the_cart() {
    let Some((_shop, browser)) = visit().await else { return };
    let tab = async || {
        let chain = browser.driver.action_chain();
        chain.send_keys(Key::Tab).perform().await.unwrap();
        browser
            .ask("const at = document.activeElement; return at.id || at.textContent")
            .await
    };
    let mut reached = Vec::new();
    for _ in 0..12 {
        reached.push(tab().await);
    }
    let expected = [
        "skip",
        "Storefront",
        "Sign in",
        "sku",
        "qty",
        "add",
        "user",
        "remember",
        "sign-in",
        "note",
        "save-note",
        "visit",
    ];
    assert_eq!(reached, expected);
    let skip =
        "const skip = document.querySelector('.skip'); skip.focus(); return skip.getBoundingClientRect().top >= 0";
    assert_eq!(
        browser.ask(skip).await,
        json!(true),
        "it is seen where it has the focus"
    );
    browser
        .driver
        .active_element()
        .await
        .unwrap()
        .send_keys(Key::Enter)
        .await
        .unwrap();
    assert_eq!(tab().await, "sku");
    browser.close(&[]).await;
}
