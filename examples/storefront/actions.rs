//! What a visitor can do, by a form or by the API.

use session_runtime::{CascadeStore, DeviceId, OwnerError, Persistence, TypedSession};

use super::session::Shop;

/// How many notices wait for one who never reads them.
const MOST_NOTICES: usize = 50;

/// More of an article than can be counted.
#[derive(Debug, thiserror::Error)]
#[error("{there} of {sku} and {qty} more are too many")]
pub(crate) struct TooMany {
    sku: String,
    there: u32,
    qty: u32,
}

/// Adds so many of an article.
pub(crate) fn add(shop: &mut TypedSession<Shop>, sku: String, qty: u32) -> Result<(), TooMany> {
    let there = shop.lines().get(&sku).copied().unwrap_or(0);
    let Some(sum) = there.checked_add(qty) else {
        return Err(TooMany { sku, there, qty });
    };
    notify(shop, format!("Added {qty} of {sku}"));
    shop.lines_mut().insert(sku, sum);
    Ok(())
}

/// Signs in, with a cookie that outlives the browser or one that ends with it, on a device that is called this.
pub(crate) fn sign_in(shop: &mut TypedSession<Shop>, user: u64, remember: bool, device: String) {
    shop.set_user(Some(user));
    shop.set_device_label(device);
    shop.set_persistence(if remember {
        Persistence::Remembered
    } else {
        Persistence::BrowserSession
    });
    notify(shop, format!("Welcome, customer {user}"));
}

/// Ends one session of a customer, or signs out where it is this one. Returns whether there was one.
pub(crate) async fn end_device(
    store: &CascadeStore,
    shop: &mut TypedSession<Shop>,
    user: u64,
    device: DeviceId,
) -> Result<bool, OwnerError> {
    if shop.device_id() == Some(device) {
        shop.destroy();
        return Ok(true);
    }
    store.owner::<Shop>(&user).end(device).await
}

/// Ends all sessions of a customer but this one. Returns how many.
pub(crate) async fn end_others(
    store: &CascadeStore,
    shop: &TypedSession<Shop>,
    user: u64,
) -> Result<usize, OwnerError> {
    Ok(store.owner::<Shop>(&user).end_all_except(shop).await?.count)
}

/// Ends all sessions of a customer, and takes this one's cookie back. Returns how many.
pub(crate) async fn end_all(
    store: &CascadeStore,
    shop: &mut TypedSession<Shop>,
    user: u64,
) -> Result<usize, OwnerError> {
    let ended = store.owner::<Shop>(&user).end_all().await?;
    shop.destroy();
    Ok(ended.count)
}

pub(crate) fn notify(shop: &mut TypedSession<Shop>, notice: String) {
    if shop.notices().len() < MOST_NOTICES {
        shop.push_notices(notice);
    }
}
