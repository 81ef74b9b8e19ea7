//! Forms of our own pages.

use axum::RequestExt;
use axum::extract::{FromRequest, RawForm, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use session_runtime::Csrf;

use crate::app::App;
use crate::error::Error;
use crate::session::Visitor;

/// A form whose CSRF token was checked: no handler can forget to.
pub struct Checked<T>(pub T);

/// A form that is nothing but a button.
#[derive(Deserialize)]
pub struct NoFields {}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf_token: String,
}

impl<T: DeserializeOwned> FromRequest<App> for Checked<T> {
    type Rejection = Error;

    async fn from_request(mut request: Request, app: &App) -> Result<Self, Error> {
        let csrf = request.extract_parts_with_state::<Csrf<Visitor>, App>(app).await?;
        let RawForm(body) = RawForm::from_request(request, app).await?;
        let token: Token = serde_urlencoded::from_bytes(&body)?;
        csrf.verify(&token.csrf_token)?;
        Ok(Self(serde_urlencoded::from_bytes(&body)?))
    }
}
