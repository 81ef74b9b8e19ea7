//! The page that people use. It works without its script, which only saves the reload.

use askama::Template;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_runtime::{CascadeStore, Csrf, TypedSession};

use super::input::Input;
use super::session::Shop;
use super::steps::{self, Steps};

/// Nothing but the shop's own script, style, forms and answers; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/", get(show))
        .route(
            "/page.css",
            get(file("text/css; charset=utf-8", include_str!("page.css"))),
        )
        .route(
            "/page.js",
            get(file("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
}

type File = ([(HeaderName, &'static str); 2], &'static str);

fn file(kind: &'static str, content: &'static str) -> File {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], content)
}

async fn show(headers: HeaderMap, csrf: Csrf<Shop>, mut shop: TypedSession<Shop>) -> Response {
    let page = Page {
        notices: shop.take_notices(),
        before: steps::before(&headers),
        ..Page::of(&shop, &csrf)
    };
    let mut response = html(StatusCode::OK, &page);
    steps::forget(&headers, response.headers_mut());
    response
}

/// A line of the cart.
pub(crate) struct Line {
    /// Fit for an `id` in HTML, whatever the article is called.
    id: String,
    pub(crate) sku: String,
    pub(crate) qty: Input,
}

#[derive(Template)]
#[template(path = "storefront/page.html")]
pub(crate) struct Page {
    pub(crate) csrf_field: String,
    pub(crate) user: Option<u64>,
    pub(crate) visits: u64,
    pub(crate) notices: Vec<String>,
    pub(crate) lines: Vec<Line>,
    pub(crate) sku: Input,
    pub(crate) qty: Input,
    pub(crate) note: Input,
    pub(crate) customer: Input,
    pub(crate) remember: bool,
    /// The request that has led to this page by a redirect.
    pub(crate) before: Option<Steps>,
    /// The request that is answered with this page.
    pub(crate) this: Steps,
}

impl Page {
    pub(crate) fn of(shop: &TypedSession<Shop>, csrf: &Csrf<Shop>) -> Self {
        let lines = shop.lines().iter().map(|(sku, qty)| Line {
            id: URL_SAFE_NO_PAD.encode(sku),
            sku: sku.clone(),
            qty: Input::new(qty),
        });
        Self {
            csrf_field: csrf.field(),
            user: *shop.user(),
            visits: *shop.visits(),
            notices: Vec::new(),
            lines: lines.collect(),
            sku: Input::default(),
            qty: Input::new(1),
            note: Input::new(shop.note().as_deref().unwrap_or_default()),
            customer: Input::default(),
            remember: false,
            before: None,
            this: Steps::of_load(&shop.load_report()),
        }
    }

    /// The `id` of each field that was refused, and why.
    fn errors(&self) -> Vec<(String, &str)> {
        let fields = [
            ("sku", &self.sku),
            ("qty", &self.qty),
            ("note", &self.note),
            ("user", &self.customer),
        ];
        let lines = self.lines.iter().map(|line| (format!("qty-{}", line.id), &line.qty));
        let all = lines.chain(fields.map(|(id, input)| (id.to_owned(), input)));
        all.filter_map(|(id, input)| Some((id, input.error.as_deref()?)))
            .collect()
    }

    /// Screen readers read it first: it begins with what is new.
    fn title(&self) -> String {
        let news = match self.notices.first() {
            _ if !self.errors().is_empty() => "Please check what you entered",
            Some(notice) => notice,
            None => return "Storefront".to_owned(),
        };
        format!("{news} – Storefront")
    }
}

/// The page as an answer to a form that was refused.
impl IntoResponse for Page {
    fn into_response(self) -> Response {
        html(StatusCode::UNPROCESSABLE_ENTITY, &self)
    }
}

/// It is not kept anywhere: neither a cache nor the way back shows what was there before a sign-out.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    let Ok(body) = page.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (status, headers, body).into_response()
}
