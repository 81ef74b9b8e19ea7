//! The shop: its products, the cart, and the order.

use std::fmt;

use axum::response::{Redirect, Response};
use serde::Deserialize;
use session_runtime::TypedSession;

use crate::error::Error;
use crate::form::{Checked, NoFields};
use crate::pages::{self, Visit};
use crate::session::Visitor;

#[derive(Clone, Copy)]
pub struct Cents(u64);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "€{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

pub struct Product {
    pub sku: &'static str,
    pub name: &'static str,
    pub price: Cents,
}

const fn product(sku: &'static str, name: &'static str, cents: u64) -> Product {
    let price = Cents(cents);
    Product { sku, name, price }
}

static PRODUCTS: [Product; 3] = [
    product("tea", "Green tea", 650),
    product("cup", "Cup", 1200),
    product("pot", "Teapot", 3900),
];

/// The most of one product in a cart.
const MOST: u32 = 99;

pub async fn shop(mut visit: Visit) -> Result<Response, Error> {
    let frame = visit.frame().await;
    let lines = PRODUCTS
        .iter()
        .map(|product| (product, visit.session.cart().get(product.sku)));
    let cart: Vec<_> = lines
        .filter_map(|(product, quantity)| Some((product, *quantity?)))
        .collect();
    let total = Cents(
        cart.iter()
            .map(|(product, quantity)| product.price.0 * u64::from(*quantity))
            .sum(),
    );
    let products = &PRODUCTS;
    pages::render(&pages::Shop {
        frame,
        products,
        cart,
        total,
    })
}

#[derive(Deserialize)]
pub struct Item {
    sku: String,
}

pub async fn add(mut session: TypedSession<Visitor>, Checked(item): Checked<Item>) -> Result<Redirect, Error> {
    let product = PRODUCTS
        .iter()
        .find(|product| product.sku == item.sku)
        .ok_or(Error::NotFound)?;
    let quantity = session.cart_mut().entry(item.sku).or_default();
    *quantity = quantity.saturating_add(1).min(MOST);
    session.notify(format!("{} is in your cart.", product.name));
    Ok(Redirect::to("/"))
}

pub async fn remove(mut session: TypedSession<Visitor>, Checked(item): Checked<Item>) -> Redirect {
    session.cart_mut().remove(&item.sku);
    Redirect::to("/")
}

/// Here an order goes into your database.
pub async fn order(mut session: TypedSession<Visitor>, _: Checked<NoFields>) -> Redirect {
    session.cart_mut().clear();
    session.notify("Thank you for your order.");
    Redirect::to("/")
}
