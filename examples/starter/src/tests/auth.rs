use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use tokio::time::Instant;

use super::{LOG, PASSWORD, Site};
use crate::session::Visitor;
use crate::{app, passwords};

#[tokio::test]
async fn one_who_signs_up_is_signed_in_and_welcomed_once() {
    let site = Site::new().await;
    let mut ann = site.browser();
    ann.get("/sign-up").await;
    let answer = ann.post("/sign-up", &[("name", "ann"), ("password", PASSWORD)]).await;
    answer.assert_redirects("/account");
    let page = ann.get("/account").await;
    page.assert_shows("Welcome, ann.");
    page.assert_shows("signed in as <strong>ann</strong>");
    assert_eq!(page.header(CACHE_CONTROL), "no-store");
    assert!(!ann.get("/account").await.body.contains("Welcome"));
}

#[tokio::test]
async fn a_refused_sign_up_says_why_beside_the_field_and_keeps_what_was_typed() {
    let site = Site::new().await;
    site.user("ann").await;
    let mut visitor = site.browser();
    visitor.get("/sign-up").await;
    for (name, password, field, reason) in [
        ("<b>", PASSWORD, "name", "Use 3 to 32 letters"),
        ("bo", PASSWORD, "name", "Use 3 to 32 letters"),
        ("bob", "short", "password", "Use 12 to 128 characters"),
        ("ANN", PASSWORD, "name", "That name is taken."),
    ] {
        let page = visitor
            .post("/sign-up", &[("name", name), ("password", password)])
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        page.assert_shows(&format!("aria-describedby=\"{field}-error\""));
        page.assert_shows(&format!("id=\"{field}-error\">{reason}"));
        page.assert_shows(&format!(
            "value=\"{}\"",
            name.replace('<', "&#60;").replace('>', "&#62;")
        ));
        assert!(!page.body.contains(password));
    }
    assert!(site.app.users.by_name("bob").await.is_none());
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let site = Site::new().await;
    site.user("ann").await;
    let mut visitor = site.browser();
    let wrong = visitor.sign_in("ann", "another password").await;
    let unknown = visitor.sign_in("eve", "another password").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    wrong.assert_shows("Name or password is wrong.");
    assert_eq!(wrong.body.replace("\"ann\"", "\"eve\""), unknown.body);
    let dummy = passwords::DUMMY.to_owned();
    assert!(!site.app.passwords.verify(dummy, None).await.unwrap());
}

/// The password of a user who does not exist is checked all the same: here there is no room for any check.
#[tokio::test(start_paused = true)]
async fn a_flood_of_sign_ins_is_told_to_come_again_whether_or_not_there_is_such_a_user() {
    let site = Site::with(super::TestStore::new().await.unwrap(), 0);
    site.app.users.add("ann", "a hash".to_owned()).await.unwrap();
    for name in ["ann", "eve"] {
        let start = Instant::now();
        let page = site.browser().sign_in(name, PASSWORD).await;
        assert_eq!(
            (page.status, page.header("retry-after")),
            (StatusCode::SERVICE_UNAVAILABLE, "2")
        );
        page.assert_shows("We are busy");
        assert!(start.elapsed() < app::LONGEST_REQUEST);
    }
}

#[tokio::test]
async fn a_guard_sends_to_the_sign_in_and_that_returns_to_the_page() {
    let site = Site::new().await;
    site.user("ann").await;
    for page in ["/account", "/account?tab=1&b=2"] {
        let mut ann = site.browser();
        let answer = ann.get(page).await;
        let query = serde_urlencoded::to_string([("next", page)]).unwrap();
        answer.assert_redirects(&format!("/sign-in?{query}"));
        let form = ann.get(&format!("/sign-in?{query}")).await;
        form.assert_shows(&format!("name=\"next\" value=\"{}\"", page.replace('&', "&#38;")));
        let fields = [("name", "ann"), ("password", PASSWORD), ("next", page)];
        ann.post("/sign-in", &fields).await.assert_redirects(page);
        assert_eq!(ann.get(page).await.status, StatusCode::OK);
    }
    let mut visitor = site.browser();
    visitor.post("/order", &[]).await.assert_redirects("/sign-in?next=%2F");
}

#[tokio::test]
async fn a_sign_in_leads_to_no_other_site() {
    let site = Site::new().await;
    site.user("ann").await;
    for next in [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
    ] {
        let mut ann = site.browser();
        ann.get("/sign-in").await;
        let fields = [("name", "ann"), ("password", PASSWORD), ("next", next)];
        ann.post("/sign-in", &fields).await.assert_redirects("/");
    }
}

#[tokio::test]
async fn only_one_who_asks_to_be_remembered_keeps_the_cookie_when_the_browser_is_closed() {
    let site = Site::new().await;
    site.user("ann").await;
    for (remember, is_kept) in [(&[("remember", "on")][..], true), (&[], false)] {
        let mut ann = site.browser();
        ann.get("/sign-in").await;
        let fields = [&[("name", "ann"), ("password", PASSWORD)], remember].concat();
        let answer = ann.post("/sign-in", &fields).await;
        assert_eq!(answer.header(SET_COOKIE).contains("Max-Age"), is_kept);
    }
}

/// The browser drops the answer to the first click, and with it the new cookie.
#[tokio::test]
async fn a_second_and_a_third_click_on_sign_in_sign_in() {
    let site = Site::new().await;
    site.user("ann").await;
    let mut first = site.browser();
    first.get("/sign-in").await;
    let (mut second, mut third) = (first.clone(), first.clone());
    let fields = [("name", "ann"), ("password", PASSWORD)];
    first.post("/sign-in", &fields).await.assert_redirects("/");
    let (at_once, as_well) = tokio::join!(second.post("/sign-in", &fields), third.post("/sign-in", &fields));
    at_once.assert_redirects("/");
    as_well.assert_redirects("/");
    for browser in [&mut second, &mut third] {
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_sign_out_ends_the_session_wherever_its_cookie_is() {
    let site = Site::new().await;
    let mut ann = site.signed_in(&site.user("ann").await).await;
    ann.get("/").await;
    ann.post("/cart/add", &[("sku", "tea")]).await.assert_redirects("/");
    let mut thief = ann.clone();
    ann.post("/sign-out", &[]).await.assert_redirects("/");
    ann.get("/").await.assert_shows("You are signed out.");
    for browser in [&mut ann, &mut thief] {
        browser
            .get("/account")
            .await
            .assert_redirects("/sign-in?next=%2Faccount");
    }
    assert!(site.session(&thief).await.is_none());
    assert!(site.session(&ann).await.unwrap().cart.is_empty());
}

#[tokio::test]
async fn a_user_who_is_no_more_is_not_signed_in() {
    let site = Site::new().await;
    let gone = Site::new().await.user("ann").await;
    let mut ann = site.signed_in(&gone).await;
    ann.get("/account").await.assert_redirects("/sign-in?next=%2Faccount");
}

#[tokio::test]
async fn another_user_in_the_same_browser_does_not_get_the_cart() {
    let site = Site::new().await;
    site.user("bob").await;
    let mut browser = site.signed_in(&site.user("ann").await).await;
    browser.get("/").await;
    browser.post("/cart/add", &[("sku", "tea")]).await;
    browser.sign_in("bob", PASSWORD).await.assert_redirects("/");
    assert!(site.session(&browser).await.unwrap().cart.is_empty());
}

#[tokio::test]
async fn a_password_is_in_no_session_and_no_log() {
    const SECRET: &str = "a password of this test";
    let site = Site::new().await;
    let mut ann = site.browser();
    ann.get("/sign-up").await;
    ann.post("/sign-up", &[("name", "ann"), ("password", SECRET)])
        .await
        .assert_redirects("/account");
    ann.sign_in("ann", SECRET).await.assert_redirects("/");
    ann.sign_in("eve", SECRET).await;
    let hash = site.app.users.by_name("ann").await.unwrap().password_hash;
    let session: Visitor = site.session(&ann).await.unwrap();
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains("signed in") && log.contains("a sign-in was refused"));
    for told in [log, format!("{session:?}"), hash.clone()] {
        assert!(!told.contains(SECRET));
    }
    assert!(hash.starts_with("$argon2id$"));
}
