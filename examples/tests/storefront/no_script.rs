//! The shop in a browser that runs no scripts.

use super::Shop;
use crate::browser::{Browser, Script};

async fn visit() -> Option<(Shop, Browser)> {
    let browser = Browser::start(Script::Off).await?;
    let shop = Shop::open().await;
    browser.open(&shop.at("/")).await;
    Some((shop, browser))
}

#[tokio::test]
async fn everything_works_by_forms_and_redirects() {
    let Some((shop, browser)) = visit().await else { return };
    browser.see("#this-request .commit", "follows the page").await;
    browser.fill("#sku", "<b>\"green\" & tea</b>").await;
    browser.fill("#qty", "3").await;
    browser.click("#add").await;
    browser.see("#notices", "Added 3 of <b>\"green\" & tea</b>").await;
    browser.see("#steps li", "POST /cart/add 303").await;
    browser.see("#steps li .commit", "coherent").await;
    assert_eq!(browser.driver.current_url().await.unwrap().as_str(), shop.at("/"));

    browser.driver.refresh().await.unwrap();
    assert!(browser.lacks("#notices, #steps li + li").await, "told once");
    browser.fill("td input[name=qty]", "5").await;
    browser.click("td button").await;
    browser.see("#notices", "to 5").await;
    assert_eq!(browser.value("td input[name=qty]").await, "5");
    browser.click("td button[formaction]").await;
    browser.see(".empty", "Nothing in it yet").await;

    browser.fill("#note", "Ring twice").await;
    browser.click("#save-note").await;
    browser.see("#notices", "Saved the note").await;
    assert_eq!(browser.value("#note").await, "Ring twice");
    browser.click("#visit").await;
    browser.see("#count", "1").await;

    browser.click("#fail").await;
    browser.see("h1", "The request failed").await;
    browser.see(".steps .commit", "clean").await;
    browser.click("main a").await;
    browser.see("#count", "1").await;
    browser.close(&["status of 500"]).await;
}

#[tokio::test]
async fn signing_in_and_out_leaves_nothing_on_the_way_back() {
    let Some((_shop, browser)) = visit().await else { return };
    browser.fill("#user", "7").await;
    browser.click("#remember").await;
    browser.click("#sign-in").await;
    browser.see("#who", "Customer 7").await;
    browser.see("#notices", "Welcome, customer 7").await;
    let cookie = browser.driver.get_named_cookie("__Host-shop").await.unwrap();
    assert!(cookie.expiry.is_some());

    browser.click("#sign-out").await;
    browser.see("#notices", "You are signed out").await;
    browser.driver.back().await.unwrap();
    browser.see("#who", "Not signed in").await;
    assert!(!browser.driver.source().await.unwrap().contains("ustomer 7"));
    browser.close(&[]).await;
}

#[tokio::test]
async fn a_double_click_signs_in() {
    let Some((_shop, browser)) = visit().await else { return };
    browser.fill("#user", "7").await;
    let button = browser.find("#sign-in").await;
    let chain = browser.driver.action_chain();
    chain.double_click_element(&button).perform().await.unwrap();
    browser.see("#who", "Customer 7").await;
    browser.driver.refresh().await.unwrap();
    browser.see("#who", "Customer 7").await;
    browser.close(&[]).await;
}

#[tokio::test]
async fn what_is_refused_stays_and_has_the_focus() {
    let Some((shop, browser)) = visit().await else { return };
    browser.fill("#user", "seven").await;
    browser.click("#remember").await;
    browser.click("#sign-in").await;
    browser.see("#summary", "Enter a customer number, such as 7").await;
    assert_eq!(browser.focused().await, "summary");
    assert_eq!(browser.value("#user").await, "seven");
    assert!(browser.find("#remember").await.is_selected().await.unwrap());
    let told_by = browser.find("#user").await.attr("aria-describedby").await.unwrap();
    assert_eq!(told_by.as_deref(), Some("user-about user-error"));

    // Who loads the form's address anew gets the shop.
    browser.open(&shop.at("/sign-in")).await;
    browser.see("#who", "Not signed in").await;
    assert_eq!(browser.driver.current_url().await.unwrap().as_str(), shop.at("/"));
    browser.close(&["status of 422"]).await;
}

#[tokio::test]
async fn a_form_from_before_a_sign_in_elsewhere_is_refused_with_a_way_back() {
    let Some((shop, browser)) = visit().await else { return };
    let first = browser.driver.window().await.unwrap();
    let second = browser.driver.new_tab().await.unwrap();
    browser.driver.switch_to_window(second).await.unwrap();
    browser.open(&shop.at("/")).await;
    browser.fill("#user", "7").await;
    browser.click("#sign-in").await;
    browser.see("#who", "Customer 7").await;

    browser.driver.switch_to_window(first).await.unwrap();
    browser.click("#visit").await;
    browser.see("h1", "This form is out of date").await;
    browser.click("main a").await;
    browser.see("#who", "Customer 7").await;
    browser.see("#count", "0").await;
    browser.close(&["status of 403"]).await;
}
