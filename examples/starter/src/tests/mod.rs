//! The application's tests: the whole router, sessions in memory, and a browser that keeps its cookie.

mod auth;
mod cart;
mod errors;

use std::io::Write;
use std::sync::{Mutex, Once};

use argon2::Params;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{HeaderMap, Request, StatusCode};
use session_runtime::testing::{TestStore, response_cookies};
use tower::ServiceExt;

use crate::app::{self, App};
use crate::passwords::Passwords;
use crate::session::Visitor;
use crate::users::{User, Users};

const PASSWORD: &str = "correct horse battery";

struct Site {
    sessions: TestStore,
    app: App,
}

impl Site {
    async fn new() -> Self {
        Self::with(TestStore::new().await.unwrap(), 2)
    }

    /// Passwords are hashed as cheaply as can be, so many at once.
    fn with(sessions: TestStore, hashes_at_once: usize) -> Self {
        keep_log();
        let passwords = Passwords::new(Params::new(8, 1, 1, None).unwrap(), hashes_at_once);
        let app = App {
            users: Users::default(),
            passwords: passwords.unwrap(),
        };
        Self { sessions, app }
    }

    fn browser(&self) -> Browser {
        Browser {
            router: app::router(self.app.clone(), &self.sessions.store()),
            cookie: String::new(),
            token: String::new(),
        }
    }

    async fn user(&self, name: &str) -> User {
        let hash = self.app.passwords.hash(PASSWORD.to_owned()).await.unwrap();
        self.app.users.add(name, hash).await.unwrap().unwrap()
    }

    /// A browser that is signed in, without going through the form.
    async fn signed_in(&self, user: &User) -> Browser {
        let id = user.id;
        let cookie = self
            .sessions
            .cookie::<Visitor>(move |session| session.set_user(Some(id)));
        Browser {
            cookie: cookie.await.unwrap(),
            ..self.browser()
        }
    }

    /// What the session of a browser holds.
    async fn session(&self, browser: &Browser) -> Option<Visitor> {
        self.sessions.read::<Visitor>(&browser.cookie).await.unwrap()
    }
}

#[derive(Clone)]
struct Browser {
    router: Router,
    cookie: String,
    /// The CSRF token of the page that was opened last.
    token: String,
}

impl Browser {
    async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path), Body::empty()).await
    }

    /// Sends a form of the page that was opened last.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.token.clone();
        let fields = [fields, &[("csrf_token", &token)]].concat();
        let form = serde_urlencoded::to_string(fields).unwrap();
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, form.into()).await
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Page {
        self.get("/sign-in").await;
        self.post("/sign-in", &[("name", name), ("password", password)]).await
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: Body) -> Page {
        let request = request.header(COOKIE, &self.cookie).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        if let Some(cookie) = response_cookies(&response) {
            self.cookie = cookie;
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let page = Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        if let Some((_, token)) = page.body.split_once("name=\"csrf_token\" value=\"") {
            self.token = token.split('"').next().unwrap().to_owned();
        }
        page
    }
}

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Page {
    fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn assert_shows(&self, text: &str) {
        assert!(
            self.body.contains(text),
            "{text:?} is not in {} {}",
            self.status,
            self.body
        );
    }

    #[track_caller]
    fn assert_redirects(&self, to: &str) {
        let was = (self.status, self.header(LOCATION));
        assert_eq!(was, (StatusCode::SEE_OTHER, to), "{}", self.body);
    }
}

/// Everything that all tests have logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn keep_log() {
    static ONCE: Once = Once::new();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    ONCE.call_once(|| log.with_ansi(false).with_writer(|| ToLog).init());
}
