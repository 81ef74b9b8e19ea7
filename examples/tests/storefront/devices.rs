//! "Your devices": by the API, by forms, and with two browsers.

use reqwest::header::{LOCATION, USER_AGENT};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Shop;
use super::client::{Client, Reply};
use crate::browser::{Browser, Script};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A script that signs in by the API, and says so when it has.
const LOG_IN: &str = "
    const body = JSON.stringify({ user: 7 });
    fetch('/api/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body }).then(() => {
        document.body.prepend('logged in');
    });";

async fn signed_in(shop: &Shop, user: u64) -> Client<'_> {
    let mut client = Client::of(shop);
    let request = client.request(Method::POST, "/api/login").header(USER_AGENT, FIREFOX);
    let reply = client.send(request.json(&json!({ "user": user }))).await;
    assert_eq!(reply.status, StatusCode::OK);
    client
}

async fn devices(client: &mut Client<'_>) -> Vec<Value> {
    let reply = client.get("/api/devices").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.json()["devices"].as_array().unwrap().clone()
}

/// The identifier of the device that a client uses.
async fn id_of(client: &mut Client<'_>) -> String {
    let devices = devices(client).await;
    let this = devices.iter().find(|device| device["is_this"] == true).unwrap();
    this["id"].as_str().unwrap().to_owned()
}

async fn who(client: &mut Client<'_>) -> Value {
    client.get("/api/session").await.json()["user"].clone()
}

/// Whether the session's cookie was taken back.
fn takes_cookie_back(reply: &Reply) -> bool {
    reply.cookie().is_some_and(|line| line.contains("Max-Age=0"))
}

#[tokio::test]
async fn devices_are_listed_with_what_the_browser_says_and_this_one_is_marked() {
    let shop = Shop::open().await;
    let (mut one, mut two, mut other) = (
        signed_in(&shop, 7).await,
        signed_in(&shop, 7).await,
        signed_in(&shop, 8).await,
    );
    let listed = devices(&mut one).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(devices(&mut other).await.len(), 1);
    for device in &listed {
        assert_eq!(device["label"], "Firefox on Linux");
        for moment in ["created", "signed_in", "last_used", "expires_at"] {
            let moment = device[moment].as_str().unwrap();
            assert!(moment.starts_with("20") && moment.ends_with('Z'), "{moment}");
        }
    }
    let marked = |devices: &[Value]| devices.iter().filter(|device| device["is_this"] == true).count();
    assert_eq!((marked(&listed), marked(&devices(&mut two).await)), (1, 1));
    assert_ne!(id_of(&mut one).await, id_of(&mut two).await);
}

#[tokio::test]
async fn one_device_ends_and_it_is_a_customers_own() {
    let shop = Shop::open().await;
    let (mut one, mut two, mut other) = (
        signed_in(&shop, 7).await,
        signed_in(&shop, 7).await,
        signed_in(&shop, 8).await,
    );
    let strangers = json!({ "id": id_of(&mut other).await });
    let reply = one.post_json("/api/devices/end", &strangers).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(who(&mut other).await, 8);

    let second = json!({ "id": id_of(&mut two).await });
    let reply = one.post_json("/api/devices/end", &second).await;
    assert_eq!((reply.json(), reply.cookie()), (json!({ "ended": 1 }), None));
    assert_eq!((who(&mut one).await, who(&mut two).await), (json!(7), Value::Null));
    assert_eq!(
        one.post_json("/api/devices/end", &second).await.status,
        StatusCode::NOT_FOUND
    );

    let this = json!({ "id": id_of(&mut one).await });
    let reply = one.post_json("/api/devices/end", &this).await;
    assert_eq!(reply.json(), json!({ "ended": 1 }));
    assert!(takes_cookie_back(&reply));
    for path in ["/api/devices/end", "/api/devices/end-others", "/api/devices/end-all"] {
        assert_eq!(one.post_json(path, &this).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(one.get("/api/devices").await.status, StatusCode::FORBIDDEN);
    let reply = other.post_json("/api/devices/end", &json!({ "id": "x" })).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn all_others_end_and_then_all() {
    let shop = Shop::open().await;
    let (mut one, mut two, mut three) = (
        signed_in(&shop, 7).await,
        signed_in(&shop, 7).await,
        signed_in(&shop, 7).await,
    );
    let reply = one.post("/api/devices/end-others").await;
    assert_eq!((reply.json(), reply.cookie()), (json!({ "ended": 2 }), None));
    assert_eq!((who(&mut one).await, who(&mut two).await), (json!(7), Value::Null));
    assert_eq!(who(&mut three).await, Value::Null);

    let (mut two, mut other) = (signed_in(&shop, 7).await, signed_in(&shop, 8).await);
    let kept = one.cookie.clone();
    let reply = one.post("/api/devices/end-all").await;
    assert_eq!(reply.json(), json!({ "ended": 2 }));
    assert!(takes_cookie_back(&reply));
    one.cookie = kept;
    assert_eq!((who(&mut one).await, who(&mut two).await), (Value::Null, Value::Null));
    assert_eq!(who(&mut other).await, 8);
}

#[tokio::test]
async fn the_forms_answer_with_a_redirect_to_the_list_or_to_the_shop() {
    let shop = Shop::open().await;
    let (mut one, mut two) = (signed_in(&shop, 7).await, signed_in(&shop, 7).await);
    let device = id_of(&mut two).await;
    let token = one.get("/devices").await.token();
    let gone = "That device is not signed in any more";
    for (device, notice) in [(&*device, "Signed out that device"), (&*device, gone), ("x", gone)] {
        let fields = format!("csrf_token={token}&device={device}");
        let reply = one.post_form("/devices/end", &fields).await;
        assert_eq!(
            (reply.status, &reply.headers[LOCATION]),
            (StatusCode::SEE_OTHER, &"/devices".parse().unwrap())
        );
        assert!(one.get("/devices").await.body.contains(notice));
    }
    for path in ["/devices/end", "/devices/end-others", "/devices/end-all"] {
        assert_eq!(
            one.get(path).await.headers[LOCATION],
            "/devices",
            "who loads it anew gets the list"
        );
    }
    let reply = one.post_form("/devices/end-all", &format!("csrf_token={token}")).await;
    assert_eq!(
        (reply.status, &reply.headers[LOCATION]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
    assert!(one.get("/").await.body.contains("You are signed out everywhere"));
}

/// A browser of its own profile, signed in as customer 7.
async fn browser(shop: &Shop, script: Script) -> Option<Browser> {
    let browser = Browser::start(script).await?;
    browser.open(&shop.at("/")).await;
    browser.fill("#user", "7").await;
    browser.click("#sign-in").await;
    browser.see("#who", "Customer 7").await;
    Some(browser)
}

/// The page that a form or a link has led to.
async fn path(browser: &Browser) -> String {
    browser.driver.current_url().await.unwrap().path().to_owned()
}

/// Shows that a browser's session has ended: it is a visitor at once, on both pages.
async fn assert_visitor(shop: &Shop, browser: &Browser) {
    browser.open(&shop.at("/devices")).await;
    browser.see("#devices", "You are not signed in").await;
    assert!(browser.lacks("#devices form, #end-all").await);
    browser.click("#devices a").await;
    browser.see("#who", "Not signed in").await;
    assert_eq!(path(browser).await, "/");
}

async fn sign_in_again(browser: &Browser) {
    browser.fill("#user", "7").await;
    browser.click("#sign-in").await;
    browser.see("#who", "Customer 7").await;
}

async fn two_browsers(script: Script) {
    let shop = Shop::open().await;
    let Some(one) = browser(&shop, script).await else {
        return;
    };
    let Some(two) = browser(&shop, script).await else {
        return;
    };

    one.click("#who a").await;
    one.see("#this-device", "Chrome on").await;
    assert!(one.lacks("#this-device + li + li").await, "two are listed");
    one.click("#devices li:not(#this-device) button").await;
    one.see("#notices", "Signed out that device").await;
    assert!(one.lacks("#devices li:not(#this-device), #end-others").await);
    assert_eq!(path(&one).await, "/devices");
    assert_visitor(&shop, &two).await;

    sign_in_again(&two).await;
    one.driver.refresh().await.unwrap();
    one.click("#end-others").await;
    one.see("#notices", "Signed out 1 other device").await;
    assert_visitor(&shop, &two).await;

    sign_in_again(&two).await;
    two.click("#who a").await;
    two.click("#end-all").await;
    two.see("#notices", "You are signed out everywhere").await;
    two.see("#who", "Not signed in").await;
    assert_eq!(path(&two).await, "/");
    assert_visitor(&shop, &one).await;

    sign_in_again(&one).await;
    one.click("#who a").await;
    one.click("#this-device button").await;
    one.see("#notices", "You are signed out").await;
    one.see("#who", "Not signed in").await;
    assert_eq!(path(&one).await, "/");
    one.close(&[]).await;
    two.close(&[]).await;
}

#[tokio::test]
async fn what_one_browser_ends_is_a_visitor_at_once_in_the_other() {
    two_browsers(Script::On).await;
}

#[tokio::test]
async fn what_one_browser_ends_is_a_visitor_at_once_in_the_other_without_scripts() {
    two_browsers(Script::Off).await;
}

#[tokio::test]
async fn a_list_that_is_open_is_a_visitors_with_its_next_form() {
    let shop = Shop::open().await;
    let Some(one) = browser(&shop, Script::On).await else {
        return;
    };
    let mut two = signed_in(&shop, 7).await;
    one.click("#who a").await;
    one.see("#devices", "Firefox on Linux").await;
    two.post("/api/devices/end-others").await;
    one.click("#end-others").await;
    one.see("#devices", "You are not signed in").await;
    one.see("#who", "Not signed in").await;
    assert_eq!(who(&mut two).await, 7, "what was posted ended nothing");
    one.close(&[]).await;
}

#[tokio::test]
async fn a_list_from_before_a_sign_in_elsewhere_ends_nothing_and_is_loaded_anew() {
    let shop = Shop::open().await;
    let Some(one) = browser(&shop, Script::On).await else {
        return;
    };
    let mut two = signed_in(&shop, 7).await;
    one.click("#who a").await;
    one.see("#devices", "Firefox on Linux").await;
    // In another tab: the session gets a new secret.
    let first = one.driver.window().await.unwrap();
    let second = one.driver.new_tab().await.unwrap();
    one.driver.switch_to_window(second).await.unwrap();
    one.open(&shop.at("/")).await;
    one.ask(LOG_IN).await;
    one.see("body", "logged in").await;
    one.driver.switch_to_window(first).await.unwrap();
    one.click("#end-others").await;
    one.see("#trouble", "This form is out of date").await;
    one.see("#devices", "Firefox on Linux").await;
    assert_eq!(who(&mut two).await, 7);
    one.click("#end-others").await;
    one.see("#notices", "Signed out 1 other device").await;
    assert_eq!(who(&mut two).await, Value::Null);
    one.close(&["status of 403"]).await;
}

#[tokio::test]
async fn the_focus_stays_and_what_happened_is_told() {
    let shop = Shop::open().await;
    let Some(one) = browser(&shop, Script::On).await else {
        return;
    };
    signed_in(&shop, 7).await;
    one.click("#who a").await;
    one.click("#devices li:not(#this-device) button").await;
    one.see("#notices", "Signed out that device").await;
    assert_eq!(one.text("#told").await, "Signed out that device");
    assert_eq!(one.focused().await, "devices-title", "the button is gone");
    assert_eq!(
        one.driver.title().await.unwrap(),
        "Signed out that device – Your devices – Storefront"
    );
    one.close(&[]).await;
}
