//! The pages, which `templates/` lays out, and their style.

use askama::Template;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use session_runtime::{Csrf, TypedSession};

use crate::app::App;
use crate::cart::{Cents, Product};
use crate::error::Error;
use crate::session::Visitor;
use crate::users::User;

/// What the handler of a page takes.
#[derive(FromRequestParts)]
#[from_request(state(App))]
pub struct Visit {
    #[from_request(via(State))]
    pub app: App,
    pub session: TypedSession<Visitor>,
    csrf: Csrf<Visitor>,
}

/// What every page has around its content.
pub struct Frame {
    pub user: Option<User>,
    pub notices: Vec<String>,
    /// A hidden field, for every form.
    pub csrf: String,
}

impl Visit {
    /// Takes the notices, so ask for it where a page will be shown.
    pub async fn frame(&mut self) -> Frame {
        let user = match *self.session.user() {
            Some(id) => self.app.users.by_id(id).await,
            None => None,
        };
        let (notices, csrf) = (self.session.take_notices(), self.csrf.field());
        Frame { user, notices, csrf }
    }
}

#[derive(Template)]
#[template(path = "shop.html")]
pub struct Shop {
    pub frame: Frame,
    pub products: &'static [Product],
    pub cart: Vec<(&'static Product, u32)>,
    pub total: Cents,
}

#[derive(Template)]
#[template(path = "account.html")]
pub struct Account {
    pub frame: Frame,
    pub user: User,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
pub struct SignUp {
    pub frame: Frame,
    pub name: String,
    pub name_error: Option<&'static str>,
    pub password_error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    pub frame: Frame,
    pub name: String,
    pub remember: bool,
    pub next: String,
    pub has_failed: bool,
}

/// A page as a response. No browser keeps it: after a sign-out, the back button shows nothing.
pub fn render(page: &impl Template) -> Result<Response, Error> {
    let html = page.render().map_err(Error::internal)?;
    Ok(([(CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

pub async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "max-age=300"),
    ];
    (headers, include_str!("../templates/style.css"))
}
