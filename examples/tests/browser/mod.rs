//! A headless Chromium of one's own, driven through chromedriver.

pub(crate) mod axe;
mod program;

use std::time::Duration;

use serde_json::json;
use session_tests::services;
use tempfile::TempDir;
use thirtyfour::extensions::query::ElementPollerWithTimeout;
use thirtyfour::prelude::*;
use thirtyfour::stringmatch::StringMatch;

use program::Program;

/// Longer than any answer takes; what hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What the browser is called: by Debian, by Google, by Ubuntu.
const NAMES: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];

/// Whether pages may run scripts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Script {
    On,
    Off,
}

/// Chromium and its driver. Both end with it, also where a test fails.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    _chromedriver: Program,
    _chromium: Program,
    _profile: TempDir,
}

impl Browser {
    /// `None` where there is no browser, which is said.
    pub(crate) async fn start(script: Script) -> Option<Self> {
        let Some(chromium) = NAMES.into_iter().find(|name| Program::is_installed(name)) else {
            services::skip("chromium", "apt-get install chromium");
            return None;
        };
        if !Program::is_installed("chromedriver") {
            services::skip("chromedriver", "apt-get install chromium-driver");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            "--window-size=1100,800".to_owned(),
            "--remote-debugging-port=0".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if script == Script::Off {
            args.push("--blink-settings=scriptEnabled=false".to_owned());
        }
        let chromium = Program::start(chromium, &args, profile.path(), "DevTools listening on ws://127.0.0.1:");
        let chromedriver = Program::start(
            "chromedriver",
            &["--port=0".to_owned()],
            profile.path(),
            "successfully on port ",
        );
        let mut wanted = DesiredCapabilities::chrome();
        wanted
            .set_debugger_address(&format!("127.0.0.1:{}", chromium.port))
            .unwrap();
        wanted.set("goog:loggingPrefs", json!({ "browser": "ALL" })).unwrap();
        let driver = WebDriver::builder(format!("http://127.0.0.1:{}", chromedriver.port), wanted)
            .request_timeout(PATIENCE * 2)
            .poller(std::sync::Arc::new(ElementPollerWithTimeout::new(
                PATIENCE,
                LOOK_AGAIN_AFTER,
            )))
            .await
            .unwrap();
        Some(Self {
            driver,
            _chromedriver: chromedriver,
            _chromium: chromium,
            _profile: profile,
        })
    }

    pub(crate) async fn open(&self, address: &str) {
        self.driver.goto(address).await.unwrap();
    }

    /// The first element of this selector, which may be on its way.
    pub(crate) async fn find(&self, css: &str) -> WebElement {
        self.driver.query(By::Css(css)).first().await.unwrap()
    }

    /// Whether there is none now.
    pub(crate) async fn lacks(&self, css: &str) -> bool {
        self.driver.find_all(By::Css(css)).await.unwrap().is_empty()
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Types into a field, in place of what was there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    pub(crate) async fn value(&self, css: &str) -> String {
        self.find(css).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Waits for an element of this selector with this text in it.
    pub(crate) async fn see(&self, css: &str, text: &str) {
        // What the script replaces meanwhile is looked for again.
        let found = self.driver.query(By::Css(css)).ignore_errors(true);
        let found = found.with_text(StringMatch::new(text).partial());
        if found.first().await.is_err() {
            let source = self.driver.source().await.unwrap();
            panic!("there is no `{css}` with `{text}` in\n{source}");
        }
    }

    /// What a script of the page's says.
    pub(crate) async fn ask(&self, script: &str) -> serde_json::Value {
        self.driver.execute(script, []).await.unwrap().json().clone()
    }

    /// The `id` of the element that has the focus.
    pub(crate) async fn focused(&self) -> String {
        self.driver
            .active_element()
            .await
            .unwrap()
            .id()
            .await
            .unwrap()
            .unwrap_or_default()
    }

    /// Shows the page on a screen of this size in CSS pixels, to one who prefers this colour scheme.
    pub(crate) async fn show_on(&self, width: u32, height: u32, scheme: &str) {
        let chrome = self.driver.cdp();
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        chrome
            .send_raw("Emulation.setDeviceMetricsOverride", screen)
            .await
            .unwrap();
        chrome.send_raw("Emulation.setEmulatedMedia", features).await.unwrap();
    }

    pub(crate) async fn hide_scrollbars(&self) {
        let hidden = json!({ "hidden": true });
        let chrome = self.driver.cdp();
        chrome.send_raw("Emulation.setScrollbarsHidden", hidden).await.unwrap();
    }

    /// What the console holds that is worse than a note, but for what was `expected` to be there.
    pub(crate) async fn assert_console_is_clean(&self, expected: &[&str]) {
        let entries = self.driver.browser_log().await.unwrap();
        let bad = |entry: &&thirtyfour::BrowserLogEntry| {
            !expected.iter().any(|text| entry.message.contains(text))
                && !matches!(entry.level.as_str(), "DEBUG" | "INFO" | "FINE")
        };
        let bad: Vec<_> = entries.iter().filter(bad).map(|entry| &entry.message).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    /// Ends both programs, having looked at the console.
    pub(crate) async fn close(self, expected: &[&str]) {
        self.assert_console_is_clean(expected).await;
        self.driver.clone().quit().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The programs are killed. To end the session first, the driver would wait for a connection that nobody serves
        // while this thread waits for it.
        let _has_quit = self.driver.clone().leak();
    }
}
