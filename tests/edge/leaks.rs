//! `Debug` output and error responses contain no keys, no secrets and no field values.

use std::error::Error;

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use session_runtime::{KeyRing, RouterExt, SessionRejection};

use crate::site::{Browser, ShopSession, Site, keys};

struct HexBytes<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexBytes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `text` does not contain the bytes `secret` in any common notation.
#[track_caller]
pub(crate) fn assert_hides(text: &str, secret: &[u8]) {
    let hex = format!("{:x}", HexBytes(secret));
    let list = format!("{secret:?}");
    let list = list.trim_matches(['[', ']']);
    let escaped = secret.escape_ascii().to_string();
    // But the last letter, which depends on what follows.
    let base64 = STANDARD.encode(secret);
    let base64 = base64.trim_end_matches('=').split_at(secret.len() * 4 / 3).0;
    let url_safe = base64.replace('+', "-").replace('/', "_");
    for shown in [hex.as_str(), list, &escaped, base64, &url_safe] {
        assert!(
            !text.to_lowercase().contains(&shown.to_lowercase()),
            "{shown} is in {text}"
        );
    }
}

#[tokio::test]
async fn nothing_secret_is_in_debug() {
    let site = Site::new().await;
    let layer = site.store.layer();
    let key = [1_u8; 32];
    for text in [
        format!("{:?}", keys(&[1])),
        format!("{:?}", site.store),
        format!("{layer:?}"),
        format!("{:#?}", site.app),
    ] {
        assert_hides(&text, &key[..8]);
    }
    assert_eq!(format!("{:?}", keys(&[1, 2])), "KeyRing(2 keys)");

    let mut browser = site.visitor().await;
    site.post(&mut browser, "/note/hush-hush").await;
    let handler = |mut shop: ShopSession, request: axum::extract::Request| async move {
        let debug = format!("{shop:?} {:?}", request.extensions());
        shop.set_note(Some("hush-hush too".into()));
        let detached = shop.into_detached();
        format!("{debug} {detached:?}")
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    let body = app.post(&mut browser, "/").await.body;
    assert!(body.contains("TypedSession") && body.contains("Detached"), "{body}");
    assert_hides(&body, b"hush-hush");
    assert!(!body.contains(browser.value()), "{body}");
}

#[tokio::test]
async fn a_stored_record_holds_no_secret_and_shows_no_field_in_debug() {
    use session_runtime::__private::cascade::envelope::payload;
    use session_runtime::__private::session::record::Record;

    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/note/hush-hush").await;
    let key = site.records.keys().remove(0);
    assert!(key.starts_with("session."), "{key}");
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(browser.value())
        .unwrap();
    let stored = site.records.value(&key).unwrap();
    let has = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    assert!(has(b"hush-hush"), "the record contains the note");
    assert!(!has(&token[16..32]), "the record does not contain the secret");
    let record = Record::decode(&stored.slice_ref(payload(&stored).unwrap())).unwrap();
    let debug = format!("{record:?}");
    assert!(debug.contains("note"), "{debug}");
    assert_hides(&debug, b"hush-hush");
    assert_hides(&debug, &record.meta().secret.0);
}

/// The error with all its sources.
fn whole(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error} {error:?}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn nothing_secret_is_in_errors_nor_in_their_bodies() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let secrets = [
        b"hush-hush".to_vec(),
        browser.value().as_bytes().to_vec(),
        browser.value().as_bytes()[..22].to_vec(),
    ];
    let handler = |mut shop: ShopSession| async move {
        shop.set_note(Some(format!("hush-hush{}", "x".repeat(5000))));
        whole(&shop.commit().await.unwrap_err())
    };
    let reading = |shop: Result<ShopSession, SessionRejection>| async move { whole(&shop.unwrap_err()) };
    let app = site.serving(
        Router::new()
            .route("/write", post(handler))
            .route("/read", get(reading)),
    );
    let mut texts = vec![app.post(&mut browser, "/write").await.body];
    site.durable.down();
    texts.push(app.post(&mut browser, "/write").await.body);
    let mut bodies = vec![site.post(&mut browser, "/visit").await.body];
    site.cache.down();
    texts.push(app.get(&mut browser, "/read").await.body);
    bodies.push(site.get(&mut browser, "/read").await.body);
    assert_eq!(bodies, ["Service Unavailable"; 2]);
    for text in texts {
        assert!(text.contains("shop"), "{text}");
        for secret in &secrets {
            assert_hides(&text, secret);
        }
    }
    for wrong in ["hush-hush!", "aHVzaC1odXNo"] {
        assert_hides(&whole(&KeyRing::from_base64(wrong).unwrap_err()), wrong.as_bytes());
    }
}

#[tokio::test]
async fn server_timing_is_off_unless_it_is_asked_for() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let reply = site.get(&mut browser, "/read").await;
    assert!(!reply.headers.contains_key("server-timing"));
    let app: Router = Router::new()
        .route("/read", get(crate::site::read))
        .route("/nothing", get(|| async {}))
        .sessions(site.store.layer().with_server_timing(true));
    let reply = browser.send(&app, Method::GET, "/read").await;
    let timing = reply.headers["server-timing"].to_str().unwrap().to_owned();
    assert!(timing.starts_with("load;desc=\"local-cache\";dur="), "{timing}");
    assert!(timing.contains(", commit;desc=\"clean\";dur=0.000"), "{timing}");
    let reply = browser.send(&app, Method::GET, "/nothing").await;
    assert!(!reply.headers.contains_key("server-timing"));
    let reply = Browser::default().send(&app, Method::GET, "/read").await;
    assert!(
        reply.headers["server-timing"]
            .to_str()
            .unwrap()
            .contains("load;desc=\"none\"")
    );
}
