//! The pictures of the README, taken anew with `SESSION_SCREENSHOTS=overwrite`.

use std::path::Path;

use super::Shop;
use crate::browser::{Browser, Script};

#[tokio::test]
async fn pictures_for_the_readme() {
    if std::env::var_os("SESSION_SCREENSHOTS").is_none_or(|value| value != "overwrite") {
        return;
    }
    let Some(browser) = Browser::start(Script::On).await else {
        return;
    };
    let shop = Shop::open().await;
    browser.open(&shop.at("/")).await;
    browser.fill("#user", "7").await;
    browser.click("#sign-in").await;
    browser.see("#who", "Customer 7").await;
    for (article, quantity) in [("green tea", "2"), ("teapot", "1"), ("honey", "3")] {
        browser.fill("#sku", article).await;
        browser.fill("#qty", quantity).await;
        browser.click("#add").await;
        browser.see("tbody th", article).await;
    }
    browser.ask("document.activeElement.blur()").await;
    browser.hide_scrollbars().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("storefront/screenshots");
    for scheme in ["light", "dark"] {
        browser.show_on(1100, 830, scheme).await;
        browser
            .driver
            .screenshot(&folder.join(format!("{scheme}.png")))
            .await
            .unwrap();
    }
    browser.close(&[]).await;
}
