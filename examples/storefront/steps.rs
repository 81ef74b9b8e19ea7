//! The steps of a request: who answered the load of its session, how its commit ended, and how long either took.
//!
//! A page can tell of its own load, but is made before its own commit. What the request before it did, which had led to
//! it by a redirect, is known as a whole: [`remember`] hands the `Server-Timing` of that response to the page, in a cookie
//! that the page takes back. It is no part of the session, so it cannot change what it tells of.

use axum::extract::Request;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use cookie::{Cookie, SameSite, time::Duration};
use session_runtime::LoadReport;

pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The cookie of [`remember`].
const COOKIE_NAME: &str = "__Host-steps";
/// A redirect is followed at once.
const KEPT_FOR: Duration = Duration::minutes(1);

/// How a commit ends well, as `Server-Timing` has it.
const OUTCOMES: [(&str, &str); 4] = [
    ("clean", "Nothing to save; no tier was asked."),
    ("coherent", "Saved; every reader sees it from now on."),
    ("degraded", "Saved; at first, readers get it from the durable tier."),
    ("unfenced", "Saved; other nodes may show the old value for a while."),
];

/// One step, as `Server-Timing` has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The tier that answered, or the commit's outcome.
    pub(crate) label: String,
    /// How long it took, in milliseconds.
    pub(crate) ms: f64,
}

/// The steps of one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Steps {
    /// Method, path and status; empty for the request that is being answered.
    pub(crate) request: String,
    pub(crate) load: Step,
    /// `None` where it is yet to come.
    pub(crate) commit: Option<Step>,
    /// Whether the cache failed on the way.
    pub(crate) is_degraded: bool,
}

impl Steps {
    /// Of a request whose commit is yet to come.
    pub(crate) fn of_load(report: &LoadReport) -> Self {
        Self {
            request: String::new(),
            load: Step {
                label: report.tier.unwrap_or("none").to_owned(),
                ms: report.took.as_secs_f64() * 1e3,
            },
            commit: None,
            is_degraded: report.degraded,
        }
    }

    /// Of a response that is ready, where it depended on a session.
    pub(crate) fn of_response(headers: &HeaderMap) -> Option<Self> {
        Self::parse(String::new(), headers.get(SERVER_TIMING)?.to_str().ok()?)
    }

    fn parse(request: String, timing: &str) -> Option<Self> {
        let metrics = || timing.split(", ").filter_map(metric);
        let find = |name| metrics().find(|(found, _)| *found == name).map(|(_, step)| step);
        Some(Self {
            request,
            load: find("load")?,
            commit: Some(find("commit")?),
            is_degraded: find("cache").is_some(),
        })
    }

    /// How much of the time was the load's, in percent, for a picture.
    pub(crate) fn share_of_load(&self) -> f64 {
        match &self.commit {
            Some(commit) if commit.ms > 0.0 => (100.0 * self.load.ms / (self.load.ms + commit.ms)).round(),
            _ => 100.0,
        }
    }

    /// What the load's tier says.
    pub(crate) fn about_load(&self) -> &'static str {
        match self.load.label.as_str() {
            _ if self.is_degraded => "The cache failed; the durable tier answered.",
            "none" => "No tier was asked: there was no cookie.",
            "memcache" | "valkey" | "local-cache" => "The cache answered.",
            _ => "The durable tier answered; where there is a cache, it was filled.",
        }
    }

    /// What the commit's outcome says.
    pub(crate) fn about_commit(&self) -> &'static str {
        let Some(commit) = &self.commit else {
            return "The commit follows the page, in the Server-Timing header.";
        };
        let outcome = OUTCOMES.iter().find(|(label, _)| *label == commit.label);
        outcome.map_or("Not saved.", |(_, about)| about)
    }

    /// How a commit that is yet to come may end: for the script, which reads the header.
    pub(crate) fn outcomes(&self) -> &'static [(&'static str, &'static str)] {
        if self.commit.is_none() { &OUTCOMES } else { &[] }
    }
}

/// A metric as this shop's responses have it: its name, and `desc` and `dur` in this order.
fn metric(metric: &str) -> Option<(&str, Step)> {
    let (name, rest) = metric.split_once(";desc=\"")?;
    let (label, rest) = rest.split_once('"')?;
    let ms = rest.strip_prefix(";dur=").unwrap_or("0").parse().ok()?;
    let step = Step {
        label: label.to_owned(),
        ms,
    };
    (f64::is_finite(ms) && ms >= 0.0).then_some((name, step))
}

/// Hands what a redirect's session did to the page that it leads to.
pub(crate) async fn remember(request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let mut response = next.run(request).await;
    if response.status() == StatusCode::SEE_OTHER
        && let Some(timing) = response.headers().get(SERVER_TIMING)
        && let Ok(timing) = timing.to_str()
    {
        let value = format!("{line} {}|{timing}", response.status().as_u16());
        set(response.headers_mut(), value, KEPT_FOR);
    }
    response
}

/// The steps of the request that has led to this one.
pub(crate) fn before(headers: &HeaderMap) -> Option<Steps> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(Cookie::split_parse_encoded).filter_map(Result::ok);
    let cookie = cookies.into_iter().find(|cookie| cookie.name() == COOKIE_NAME)?;
    let (request, timing) = cookie.value().split_once('|')?;
    Steps::parse(request.to_owned(), timing)
}

/// Takes the cookie back, where there is one.
pub(crate) fn forget(request: &HeaderMap, response: &mut HeaderMap) {
    let mut lines = request.get_all(COOKIE).iter();
    if lines.any(|line| line.to_str().is_ok_and(|line| line.contains(COOKIE_NAME))) {
        set(response, String::new(), Duration::ZERO);
    }
}

fn set(headers: &mut HeaderMap, value: String, max_age: Duration) {
    let cookie = Cookie::build((COOKIE_NAME, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age);
    if let Ok(value) = HeaderValue::try_from(cookie.build().encoded().to_string()) {
        headers.append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(label: &str, ms: f64) -> Step {
        Step {
            label: label.to_owned(),
            ms,
        }
    }

    #[test]
    fn the_headers_metrics_become_steps() {
        let timing = "load;desc=\"memcache\";dur=0.250, cache;desc=\"degraded\", commit;desc=\"coherent\";dur=0.750";
        let steps = Steps::parse("POST /visit 303".to_owned(), timing).unwrap();
        assert_eq!(
            (&steps.load, steps.commit.as_ref(), steps.is_degraded),
            (&step("memcache", 0.25), Some(&step("coherent", 0.75)), true)
        );
        assert_eq!(steps.share_of_load().to_string(), "25");
    }

    #[test]
    fn what_a_stranger_put_into_the_cookie_shows_nothing() {
        for timing in [
            "",
            "load",
            "load;desc=\"x\";dur=NaN, commit;desc=\"y\";dur=1",
            "load;desc=\"x\";dur=-1",
        ] {
            assert_eq!(Steps::parse(String::new(), timing), None, "{timing}");
        }
    }
}
