//! A program that uses the shop over HTTP.

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::Shop;

/// A client with a session of its own.
pub(super) struct Client<'a> {
    shop: &'a Shop,
    http: reqwest::Client,
    pub(super) cookie: Option<String>,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    /// The `Set-Cookie` line of the session.
    pub(super) fn cookie(&self) -> Option<&str> {
        let mut lines = self
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|line| line.to_str().unwrap());
        lines.find(|line| line.starts_with("__Host-shop="))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// The CSRF token of the forms of this page.
    pub(super) fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }
}

impl<'a> Client<'a> {
    pub(super) fn of(shop: &'a Shop) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            shop,
            http: http.build().unwrap(),
            cookie: None,
        }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.shop.at(path));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    pub(super) async fn send(&mut self, request: RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let reply = Reply {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        };
        if let Some(line) = reply.cookie() {
            let value = line.split(';').next().unwrap();
            self.cookie = (!value.ends_with('=')).then(|| value.to_owned());
        }
        reply
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&mut self, path: &str) -> Reply {
        self.send(self.request(Method::POST, path)).await
    }

    pub(super) async fn post_json(&mut self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Posts these fields, percent-encoded already.
    pub(super) async fn post_form(&mut self, path: &str, fields: &str) -> Reply {
        let request = self.request(Method::POST, path);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(fields.to_owned())).await
    }

    pub(super) async fn visits(&mut self) -> Value {
        self.get("/api/session").await.json()["visits"].clone()
    }
}
