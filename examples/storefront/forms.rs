//! What the page's forms are posted to. Each answers with a redirect to the page, or with the page and what was typed,
//! beside what is wrong with it.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::handler::Handler;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use session_runtime::{CascadeStore, Csrf, CsrfError, SessionRejection, TypedSession};

use super::actions;
use super::input::{self, Input};
use super::page::Page;
use super::session::Shop;
use super::user_agent;

pub(crate) fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/cart/add", form("/", add))
        .route("/cart/change", form("/", change))
        .route("/cart/remove", form("/", remove))
        .route("/note", form("/", write_note))
        .route("/visit", form("/", visit))
        .route("/fail", form("/", fail))
        .route("/sign-in", form("/", sign_in))
        .route("/sign-out", form("/", sign_out))
}

/// A page that a form has answered with has the form's address: who loads it anew gets the page that has the form.
pub(crate) fn form<H: Handler<T, CascadeStore>, T: 'static>(page: &'static str, post: H) -> MethodRouter<CascadeStore> {
    get(move || async move { Redirect::to(page) }).post(post)
}

/// 303: the browser gets the page, and a reload posts nothing again.
pub(crate) fn home() -> Redirect {
    Redirect::to("/")
}

/// A form that was posted with a CSRF token of the session.
pub(crate) struct Posted<F> {
    pub(crate) form: F,
    csrf: Csrf<Shop>,
}

#[derive(Deserialize)]
struct WithToken<F> {
    #[serde(default)]
    csrf_token: String,
    #[serde(flatten)]
    form: F,
}

impl<F: DeserializeOwned> FromRequest<CascadeStore> for Posted<F> {
    type Rejection = Refused;

    async fn from_request(request: Request, store: &CascadeStore) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let csrf = Csrf::from_request_parts(&mut parts, store).await?;
        let request = Request::from_parts(parts, body);
        let Form(WithToken { csrf_token, form }) = Form::from_request(request, store).await?;
        csrf.verify(&csrf_token)?;
        Ok(Self { form, csrf })
    }
}

/// Why a form was not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Session(#[from] SessionRejection),
    #[error(transparent)]
    Form(#[from] FormRejection),
    #[error(transparent)]
    Csrf(#[from] CsrfError),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Session(rejection) => rejection.into_response(),
            Self::Form(rejection) => rejection.into_response(),
            Self::Csrf(error) => error.into_response(),
        }
    }
}

/// A form without fields of its own.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    sku: String,
    #[serde(default)]
    qty: String,
}

async fn add(mut shop: TypedSession<Shop>, Posted { form, csrf }: Posted<Line>) -> Result<Redirect, Page> {
    let (mut sku, mut qty) = (Input::new(form.sku), Input::new(form.qty));
    if let Some((sku, more)) = sku.check(input::article).zip(qty.check(input::quantity)) {
        match actions::add(&mut shop, sku, more) {
            Ok(()) => return Ok(home()),
            Err(error) => qty.error = Some(error.to_string()),
        }
    }
    Err(Page {
        sku,
        qty,
        ..Page::of(&shop, &csrf)
    })
}

async fn change(mut shop: TypedSession<Shop>, Posted { form, csrf }: Posted<Line>) -> Result<Redirect, Page> {
    let mut qty = Input::new(form.qty);
    if let Some(qty) = qty.check(input::quantity) {
        let Some(there) = shop.lines_mut().get_mut(&form.sku) else {
            actions::notify(&mut shop, format!("There is no {} any more", form.sku));
            return Ok(home());
        };
        *there = qty;
        actions::notify(&mut shop, format!("Changed {} to {qty}", form.sku));
        return Ok(home());
    }
    let mut page = Page::of(&shop, &csrf);
    for line in page.lines.iter_mut().filter(|line| line.sku == form.sku) {
        line.qty = qty.clone();
    }
    Err(page)
}

async fn remove(mut shop: TypedSession<Shop>, Posted { form, .. }: Posted<Line>) -> Redirect {
    if shop.lines_mut().remove(&form.sku).is_some() {
        actions::notify(&mut shop, format!("Removed {}", form.sku));
    }
    home()
}

#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    text: String,
}

async fn write_note(mut shop: TypedSession<Shop>, Posted { form, csrf }: Posted<Note>) -> Result<Redirect, Page> {
    let mut note = Input::new(form.text);
    let Some(text) = note.check(input::note) else {
        return Err(Page {
            note,
            ..Page::of(&shop, &csrf)
        });
    };
    let notice = if text.is_some() {
        "Saved the note"
    } else {
        "Removed the note"
    };
    actions::notify(&mut shop, notice.to_owned());
    shop.set_note(text);
    Ok(home())
}

async fn visit(mut shop: TypedSession<Shop>, _: Posted<Nothing>) -> Redirect {
    *shop.visits_mut() += 1;
    let notice = format!("Counted visit {}", shop.visits());
    actions::notify(&mut shop, notice);
    home()
}

/// What a handler that fails has changed is not kept.
async fn fail(mut shop: TypedSession<Shop>, _: Posted<Nothing>) -> StatusCode {
    *shop.visits_mut() += 100;
    StatusCode::INTERNAL_SERVER_ERROR
}

#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    user: String,
    /// What a box sends that is ticked.
    remember: Option<String>,
}

async fn sign_in(
    mut shop: TypedSession<Shop>,
    headers: HeaderMap,
    Posted { form, csrf }: Posted<SignIn>,
) -> Result<Redirect, Page> {
    let (mut customer, remember) = (Input::new(form.user), form.remember.is_some());
    let Some(user) = customer.check(input::customer) else {
        return Err(Page {
            customer,
            remember,
            ..Page::of(&shop, &csrf)
        });
    };
    actions::sign_in(&mut shop, user, remember, user_agent::label(&headers));
    Ok(home())
}

/// What is written after a destroy is in a session of its own, which begins empty.
async fn sign_out(mut shop: TypedSession<Shop>, _: Posted<Nothing>) -> Redirect {
    shop.destroy();
    actions::notify(&mut shop, "You are signed out".to_owned());
    home()
}
