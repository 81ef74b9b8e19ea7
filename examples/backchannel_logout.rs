//! OpenID Connect Back-Channel Logout 1.0: the identity provider posts a signed token, and all sessions of its subject end.
//!
//! `OIDC_ISSUER`, `OIDC_CLIENT_ID` and `OIDC_KEYS` name the provider, this client, and a file with the document of the
//! provider's `jwks_uri`. A program that runs for long loads that document anew when a token names a key that is not in it.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::{JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use session_runtime::{CascadeStore, OwnerError, Session, SessionState, StatefulRouterExt, TypedSession};
use tokio::net::TcpListener;

#[derive(Session)]
#[session(name = "account", version = 1)]
#[cascade(memcache, datastore)]
pub(crate) struct Account {
    /// The provider's name of the user, `sub`. With several providers, a type that holds `iss` too.
    #[session(owner)]
    pub(crate) subject: Option<String>,
}

/// Who may say that a user has logged out.
pub(crate) struct Provider {
    /// Its `issuer`.
    pub(crate) issuer: String,
    /// What this program is called there.
    pub(crate) client_id: String,
    /// With which it signs its tokens.
    pub(crate) keys: JwkSet,
}

#[derive(Clone)]
struct AppState {
    store: CascadeStore,
    provider: Arc<Provider>,
}

impl SessionState for AppState {
    type Store = CascadeStore;
}

/// Other fields are ignored (section 2.5).
#[derive(Deserialize)]
struct LogoutRequest {
    logout_token: String,
}

/// Ends all sessions of the token's subject at this client. A token that comes a second time ends what has begun since,
/// and only while it counts, for a few minutes: its `jti` need not be kept.
async fn logout(
    State(app): State<AppState>,
    form: Result<Form<LogoutRequest>, FormRejection>,
) -> Result<StatusCode, LogoutError> {
    let Form(form) = form?;
    let subject = app.provider.subject_of(&form.logout_token)?;
    app.store.owner::<Account>(&subject).end_all().await?;
    Ok(StatusCode::OK)
}

#[derive(Debug, thiserror::Error)]
enum LogoutError {
    #[error(transparent)]
    Form(#[from] FormRejection),
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Section 2.8 has 400 for this too; 503 tells a provider that repeats its requests (section 2.5) that it may.
    #[error(transparent)]
    Owner(#[from] OwnerError),
}

impl IntoResponse for LogoutError {
    fn into_response(self) -> Response {
        let description = match self {
            Self::Owner(error) => return error.into_response(),
            Self::Form(error) => error.to_string(),
            Self::Token(error) => error.to_string(),
        };
        let body = json!({ "error": "invalid_request", "error_description": description });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

/// No cache keeps an answer, whatever it is (section 2.8).
async fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How long a token counts after it was issued, in seconds. Providers are to let theirs expire within two minutes (section
/// 4); one that they made longer does not count longer here.
const MAX_AGE: u64 = 5 * 60;
/// How far the provider's clock may be off, in seconds.
const LEEWAY: u64 = 60;
/// What a key is for that does not say so: what providers sign with where a client asks for nothing else (OpenID Connect
/// Dynamic Client Registration 1.0, section 2, `id_token_signed_response_alg`).
const UNNAMED: KeyAlgorithm = KeyAlgorithm::RS256;
/// What a logout token tells of.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[derive(Deserialize)]
struct Claims {
    iat: u64,
    /// Presence is all that is asked of it.
    #[serde(rename = "jti")]
    _jti: String,
    events: Map<String, Value>,
    sub: Option<String>,
    #[serde(default, deserialize_with = "is_present")]
    nonce: bool,
}

/// Whatever the value is, `null` too.
fn is_present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Why a logout token is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is not valid: {0}")]
    Jwt(#[from] jsonwebtoken::errors::Error),
    #[error("the token names no key that the provider has published")]
    UnknownKey,
    #[error("`iat` is too long ago, or in the future")]
    NotRecent,
    #[error("`events` does not say that this is a logout")]
    NoLogout,
    #[error("a logout token has no `nonce`")]
    Nonce,
    #[error("there is no `sub`: this client ends all sessions of a user, and knows no `sid`")]
    NoSubject,
}

impl Provider {
    /// Whose sessions a logout token ends (section 2.6).
    pub(crate) fn subject_of(&self, token: &str) -> Result<String, TokenError> {
        let (key, algorithm) = self.key_for(token)?;
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.client_id]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        let claims = decode::<Claims>(token, &key, &validation)?.claims;

        let now = get_current_timestamp();
        if now.saturating_sub(claims.iat) > MAX_AGE + LEEWAY || claims.iat > now + LEEWAY {
            return Err(TokenError::NotRecent);
        }
        if !claims.events.get(EVENT).is_some_and(Value::is_object) {
            return Err(TokenError::NoLogout);
        }
        if claims.nonce {
            return Err(TokenError::Nonce);
        }
        claims.sub.filter(|sub| !sub.is_empty()).ok_or(TokenError::NoSubject)
    }

    /// The key that a token names, and the algorithm that the key is for: never the one that the token asks for, so that
    /// neither `none` nor a public key that is taken for a shared secret counts.
    fn key_for(&self, token: &str) -> Result<(DecodingKey, Algorithm), TokenError> {
        let header = decode_header(token)?;
        let key = match (&header.kid, &*self.keys.keys) {
            (Some(kid), _) => self.keys.find(kid),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let key = key.ok_or(TokenError::UnknownKey)?;
        let algorithm = Algorithm::try_from(key.common.key_algorithm.unwrap_or(UNNAMED))?;
        if algorithm.family() == AlgorithmFamily::Hmac {
            return Err(TokenError::UnknownKey);
        }
        Ok((DecodingKey::from_jwk(key)?, algorithm))
    }
}

#[derive(Deserialize)]
struct SignIn {
    sub: String,
}

/// In place of this: the end of the code flow, with the `sub` of an ID token that was checked as carefully.
async fn sign_in(mut account: TypedSession<Account>, Form(form): Form<SignIn>) {
    account.set_subject(Some(form.sub));
}

async fn show(account: TypedSession<Account>) -> Json<Value> {
    Json(json!({ "subject": account.subject() }))
}

pub(crate) fn app(store: CascadeStore, provider: Provider) -> Router {
    let state = AppState {
        store: store.clone(),
        provider: Arc::new(provider),
    };
    let people = Router::new()
        .route("/", get(show))
        .route("/sign-in", post(sign_in))
        .session_layer(store);
    // The provider has no session.
    let logout = Router::new()
        .route("/backchannel-logout", post(logout))
        .layer(axum::middleware::map_response(no_store));
    people.merge(logout).with_state(state)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever started the program waits for this line")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = Provider {
        issuer: std::env::var("OIDC_ISSUER")?,
        client_id: std::env::var("OIDC_CLIENT_ID")?,
        keys: serde_json::from_slice(&std::fs::read(std::env::var("OIDC_KEYS")?)?)?,
    };
    let app = app(CascadeStore::from_env().await?, provider);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/backchannel-logout", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
