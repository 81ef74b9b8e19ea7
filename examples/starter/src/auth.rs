//! Sign-up, sign-in, sign-out, and the guard.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, OriginalUri, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use session_runtime::{Persistence, SessionRef, TypedSession};

use crate::app::App;
use crate::error::Error;
use crate::form::{Checked, NoFields};
use crate::pages::{self, Visit};
use crate::session::Visitor;
use crate::users::User;

/// The user who is signed in. A handler that takes it is for users only; anyone else is sent to sign in, and returns.
pub struct SignedIn(pub User);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let session = SessionRef::<Visitor>::from_request_parts(parts, app).await;
        // An outage is no sign-out.
        let user = *session.map_err(IntoResponse::into_response)?.user();
        if let Some(id) = user
            && let Some(user) = app.users.by_id(id).await
        {
            return Ok(Self(user));
        }
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, app)
            .await
            .unwrap_or_else(|never| match never {});
        // Where a form was sent there may be no page to return to.
        let next = uri.path_and_query().filter(|_| parts.method.is_safe());
        let query = serde_urlencoded::to_string([("next", next.map_or("/", |next| next.as_str()))]);
        Err(Redirect::to(&format!("/sign-in?{}", query.unwrap_or_default())).into_response())
    }
}

/// `next` where it is a page of this site, else the first page. `//host` and `/\host` are other sites.
fn local(next: &str) -> &str {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_plain && next.starts_with('/') && !next.starts_with("//") {
        next
    } else {
        "/"
    }
}

/// Signs a user in: the session gets a new secret and keeps its cart, unless that was another user's.
fn begin(session: &mut TypedSession<Visitor>, user: &User, remember: bool) {
    if session.user().is_some_and(|before| before != user.id) {
        session.destroy();
    }
    session.set_user(Some(user.id));
    session.set_persistence(if remember {
        Persistence::Remembered
    } else {
        Persistence::BrowserSession
    });
    session.notify(format!("Welcome, {}.", user.name));
    tracing::info!(user = ?user.id, "signed in");
}

#[derive(Deserialize)]
pub struct SignUp {
    name: String,
    password: String,
}

impl SignUp {
    fn name_error(&self) -> Option<&'static str> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_valid = (3..=32).contains(&self.name.len()) && self.name.bytes().all(is_letter);
        (!is_valid).then_some("Use 3 to 32 letters, digits, - and _.")
    }

    fn password_error(&self) -> Option<&'static str> {
        let is_valid = (12..=128).contains(&self.password.chars().count());
        (!is_valid).then_some("Use 12 to 128 characters: a few words will do.")
    }
}

pub async fn sign_up_form(mut visit: Visit) -> Result<Response, Error> {
    let frame = visit.frame().await;
    pages::render(&pages::SignUp {
        frame,
        name: String::new(),
        name_error: None,
        password_error: None,
    })
}

pub async fn sign_up(mut visit: Visit, Checked(form): Checked<SignUp>) -> Result<Response, Error> {
    let (mut name_error, password_error) = (form.name_error(), form.password_error());
    if name_error.is_none() && password_error.is_none() {
        let hash = visit.app.passwords.hash(form.password).await?;
        if let Some(user) = visit.app.users.add(&form.name, hash).await.map_err(Error::internal)? {
            begin(&mut visit.session, &user, false);
            return Ok(Redirect::to("/account").into_response());
        }
        name_error = Some("That name is taken.");
    }
    let frame = visit.frame().await;
    let page = pages::SignUp {
        frame,
        name: form.name,
        name_error,
        password_error,
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, pages::render(&page)?).into_response())
}

#[derive(Default, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

pub async fn sign_in_form(next: Result<Query<Next>, QueryRejection>, mut visit: Visit) -> Result<Response, Error> {
    let Query(Next { next }) = next.unwrap_or_default();
    let frame = visit.frame().await;
    pages::render(&pages::SignIn {
        frame,
        name: String::new(),
        remember: false,
        next,
        has_failed: false,
    })
}

#[derive(Deserialize)]
pub struct SignIn {
    name: String,
    password: String,
    /// A box that is not ticked is not sent.
    remember: Option<String>,
    #[serde(default)]
    next: String,
}

pub async fn sign_in(mut visit: Visit, Checked(form): Checked<SignIn>) -> Result<Response, Error> {
    let remember = form.remember.is_some();
    let user = visit.app.users.by_name(&form.name).await;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = visit.app.passwords.verify(form.password, hash).await?;
    if let Some(user) = user.filter(|_| is_right) {
        begin(&mut visit.session, &user, remember);
        return Ok(Redirect::to(local(&form.next)).into_response());
    }
    tracing::info!("a sign-in was refused");
    let frame = visit.frame().await;
    let page = pages::SignIn {
        frame,
        name: form.name,
        remember,
        next: form.next,
        has_failed: true,
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, pages::render(&page)?).into_response())
}

/// Ends the session everywhere, and begins one that holds the notice.
pub async fn sign_out(mut session: TypedSession<Visitor>, _: Checked<NoFields>) -> Redirect {
    session.destroy();
    session.notify("You are signed out.");
    Redirect::to("/")
}

pub async fn account(SignedIn(user): SignedIn, mut visit: Visit) -> Result<Response, Error> {
    let frame = visit.frame().await;
    pages::render(&pages::Account { frame, user })
}
