use std::collections::BTreeMap;

use axum::http::StatusCode;

use super::{PASSWORD, Site};

fn cart(lines: &[(&str, u32)]) -> BTreeMap<String, u32> {
    lines
        .iter()
        .map(|(sku, quantity)| ((*sku).to_owned(), *quantity))
        .collect()
}

#[tokio::test]
async fn what_is_added_is_told_once_and_can_be_removed_and_ordered() {
    let site = Site::new().await;
    let mut ann = site.signed_in(&site.user("ann").await).await;
    ann.get("/").await.assert_shows("It is empty.");
    ann.post("/cart/add", &[("sku", "tea")]).await.assert_redirects("/");
    let page = ann.get("/").await;
    page.assert_shows("Green tea is in your cart.");
    page.assert_shows("€6.50");
    assert!(!ann.get("/").await.body.contains("is in your cart."));
    ann.post("/cart/remove", &[("sku", "tea")]).await.assert_redirects("/");
    ann.get("/").await.assert_shows("It is empty.");
    ann.post("/cart/add", &[("sku", "pot")]).await;
    ann.post("/order", &[]).await.assert_redirects("/");
    ann.get("/").await.assert_shows("Thank you for your order.");
    assert!(site.session(&ann).await.unwrap().cart.is_empty());
    assert_eq!(
        ann.post("/cart/add", &[("sku", "yacht")]).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn of_two_requests_at_once_both_count() {
    let site = Site::new().await;
    let mut one = site.browser();
    one.get("/").await;
    let (mut other, mut third) = (one.clone(), one.clone());
    let (tea, more_tea, cup) = ([("sku", "tea")], [("sku", "tea")], [("sku", "cup")]);
    tokio::join!(
        one.post("/cart/add", &tea),
        other.post("/cart/add", &more_tea),
        third.post("/cart/add", &cup)
    );
    let session = site.session(&one).await.unwrap();
    assert_eq!(
        (session.cart, session.notices.len()),
        (cart(&[("cup", 1), ("tea", 2)]), 3)
    );
}

#[tokio::test]
async fn the_cart_survives_a_sign_in_and_the_cookie_of_before_is_dead() {
    let site = Site::new().await;
    site.user("ann").await;
    let mut ann = site.browser();
    ann.get("/").await;
    ann.post("/cart/add", &[("sku", "tea")]).await;
    let before = ann.clone();
    ann.sign_in("ann", PASSWORD).await.assert_redirects("/");
    assert_eq!(site.session(&ann).await.unwrap().cart, cart(&[("tea", 1)]));
    assert!(site.session(&before).await.is_none());
}
