//! Logout tokens, made here as an identity provider makes them, and what they end.

#[path = "../backchannel_logout.rs"]
#[allow(dead_code, reason = "the test runs the application, not `main`")]
mod program;

use std::net::SocketAddr;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use session_runtime::testing::{MemoryTier, TestStore};
use session_runtime::{CascadeStore, KeyRing, LocalCache};

use program::{Account, Provider};

const ISSUER: &str = "https://id.example.com";
const CLIENT: &str = "shop";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The Ed25519 key that this number is the seed of, as PKCS #8 (RFC 8410, section 7).
fn key(seed: u8) -> EncodingKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    EncodingKey::from_ed_der(&der)
}

/// What the provider publishes of a key.
fn published(seed: u8, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(&key(seed), Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

fn header(algorithm: Algorithm, kid: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.typ = Some("logout+jwt".to_owned());
    header.kid = Some(kid.to_owned());
    header
}

/// The claims of a token that ends the sessions of this subject.
fn claims(subject: &str) -> Value {
    let now = get_current_timestamp();
    json!({
        "iss": ISSUER, "aud": CLIENT, "sub": subject, "iat": now, "exp": now + 120, "jti": "one",
        "events": { EVENT: {} },
    })
}

/// The same with other claims; `null` takes one away.
fn claims_with(other: Value) -> Value {
    let mut claims = claims("ada");
    let Value::Object(other) = other else { panic!("{other}") };
    for (name, value) in other {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(&name)),
            value => claims[name] = value,
        }
    }
    claims
}

fn signed(claims: &Value) -> String {
    encode(&header(Algorithm::EdDSA, "new"), claims, &key(2)).unwrap()
}

struct Client {
    sessions: TestStore,
    records: MemoryTier,
    address: SocketAddr,
    /// Two sessions of one subject, and one of another.
    cookies: [String; 3],
}

impl Client {
    async fn new() -> Self {
        Self::of_provider(vec![published(1, "old"), published(2, "new")]).await
    }

    /// Of a provider that has published these keys.
    async fn of_provider(keys: Vec<Jwk>) -> Self {
        let records = MemoryTier::new();
        let builder = CascadeStore::builder(KeyRing::random().unwrap());
        let builder = builder.memcache(LocalCache::new()).datastore(records.clone());
        let sessions = TestStore::on(builder).await.unwrap();
        let provider = Provider {
            issuer: ISSUER.to_owned(),
            client_id: CLIENT.to_owned(),
            keys: JwkSet { keys },
        };
        let address = crate::serve(program::app(sessions.store(), provider)).await;
        let sign_in = async |subject: &str| {
            let subject = Some(subject.to_owned());
            let cookie = sessions.cookie::<Account>(|account| account.set_subject(subject));
            cookie.await.unwrap()
        };
        let cookies = [sign_in("ada").await, sign_in("ada").await, sign_in("bob").await];
        Self {
            sessions,
            records,
            address,
            cookies,
        }
    }

    async fn post(&self, form: String) -> Response {
        let address = format!("http://{}/backchannel-logout", self.address);
        let request = reqwest::Client::new().post(address).body(form);
        let response = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").send();
        response.await.unwrap()
    }

    /// The status, and the description of the error.
    async fn log_out(&self, token: &str) -> (StatusCode, String) {
        let response = self.post(format!("logout_token={token}&other=1")).await;
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let (status, body) = (response.status(), response.text().await.unwrap());
        let error = serde_json::from_str::<Value>(&body).unwrap_or_default();
        (
            status,
            error["error_description"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Which of the sessions are there.
    async fn alive(&self) -> [bool; 3] {
        let mut alive = [false; 3];
        for (alive, cookie) in alive.iter_mut().zip(&self.cookies) {
            *alive = self.sessions.read::<Account>(cookie).await.unwrap().is_some();
        }
        alive
    }

    async fn assert_refused(&self, token: &str, reason: &str) {
        let (status, description) = self.log_out(token).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{reason}");
        assert!(description.contains(reason), "{description}, not {reason}");
        assert_eq!(self.alive().await, [true; 3], "{reason}");
    }
}

#[tokio::test]
async fn a_token_ends_all_sessions_of_its_subject_and_nobody_elses() {
    let client = Client::new().await;
    assert_eq!(client.alive().await, [true; 3]);
    let token = signed(&claims("ada"));
    assert_eq!(client.log_out(&token).await.0, StatusCode::OK);
    assert_eq!(client.alive().await, [false, false, true]);
    assert_eq!(client.log_out(&token).await.0, StatusCode::OK, "once more is as good");
    let nobody = signed(&claims("nobody"));
    assert_eq!(
        client.log_out(&nobody).await.0,
        StatusCode::OK,
        "who has logged out has"
    );
    assert_eq!(client.alive().await, [false, false, true]);
}

#[tokio::test]
async fn each_of_the_providers_keys_counts_and_an_audience_of_many_and_a_clock_that_is_off() {
    let now = get_current_timestamp();
    let many = claims_with(json!({ "aud": ["other", CLIENT], "sid": "known to nobody" }));
    let ahead = claims_with(json!({ "iat": now + 30, "exp": now + 150 }));
    let old_key = encode(&header(Algorithm::EdDSA, "old"), &claims("ada"), &key(1)).unwrap();
    for token in [signed(&many), signed(&ahead), old_key] {
        let client = Client::new().await;
        assert_eq!(client.log_out(&token).await, (StatusCode::OK, String::new()));
        assert_eq!(client.alive().await, [false, false, true]);
    }
}

/// As most providers do it: one key, which says neither what it is called nor what it is for.
#[tokio::test]
async fn an_rsa_key_counts_that_says_nothing_but_what_it_is() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    // PKCS #8 around what RSA keys are known by (PKCS #1): so many bytes are before it.
    let key = EncodingKey::from_rsa_der(&pair.as_der().unwrap().as_ref()[26..]);
    let mut published = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    published.common.key_algorithm = None;
    let client = Client::of_provider(vec![published]).await;
    let sign = |algorithm| encode(&Header::new(algorithm), &claims("ada"), &key).unwrap();
    for algorithm in [Algorithm::RS512, Algorithm::PS256] {
        client.assert_refused(&sign(algorithm), "InvalidAlgorithm").await;
    }
    let token = sign(Algorithm::RS256);
    assert_eq!(client.log_out(&token).await, (StatusCode::OK, String::new()));
    assert_eq!(client.alive().await, [false, false, true]);
}

#[tokio::test]
async fn a_token_whose_claims_are_wrong_is_refused() {
    let client = Client::new().await;
    let now = get_current_timestamp();
    for (other, reason) in [
        (json!({ "iss": "https://evil.example.com" }), "InvalidIssuer"),
        (json!({ "iss": null }), "iss"),
        (json!({ "aud": "another" }), "InvalidAudience"),
        (json!({ "aud": null }), "aud"),
        (json!({ "exp": now - 61 }), "ExpiredSignature"),
        (json!({ "exp": null }), "exp"),
        (json!({ "iat": now - 361, "exp": now + 3600 }), "`iat` is too long ago"),
        (json!({ "iat": now + 120, "exp": now + 240 }), "in the future"),
        (json!({ "iat": null }), "iat"),
        (json!({ "jti": null }), "jti"),
        (json!({ "events": null }), "events"),
        (json!({ "events": {} }), "`events` does not say"),
        (
            json!({ "events": { "http://example.com/other": {} } }),
            "`events` does not say",
        ),
        (json!({ "events": { EVENT: true } }), "`events` does not say"),
        (json!({ "nonce": "n" }), "no `nonce`"),
        (json!({ "sub": null, "sid": "s" }), "there is no `sub`"),
        (json!({ "sub": "" }), "there is no `sub`"),
    ] {
        client.assert_refused(&signed(&claims_with(other)), reason).await;
    }
    let mut claims = claims("ada");
    claims["nonce"] = Value::Null;
    client.assert_refused(&signed(&claims), "no `nonce`").await;
}

#[tokio::test]
async fn a_token_that_the_provider_has_not_signed_is_refused() {
    let client = Client::new().await;
    let claims = claims("ada");
    let sign = |algorithm, kid: &str, key: &EncodingKey| encode(&header(algorithm, kid), &claims, key).unwrap();
    client
        .assert_refused(&sign(Algorithm::EdDSA, "new", &key(3)), "InvalidSignature")
        .await;
    client
        .assert_refused(&sign(Algorithm::EdDSA, "another", &key(3)), "names no key")
        .await;
    let mut without_kid = header(Algorithm::EdDSA, "");
    without_kid.kid = None;
    let token = encode(&without_kid, &claims, &key(2)).unwrap();
    client.assert_refused(&token, "names no key").await;

    // The public key, which everybody knows, as a shared secret.
    let public = serde_json::to_value(published(2, "new")).unwrap();
    let public = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let token = sign(Algorithm::HS256, "new", &EncodingKey::from_secret(&public));
    client.assert_refused(&token, "InvalidAlgorithm").await;

    let [_, payload, signature] = signed(&claims)
        .split('.')
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    for algorithm in ["none", "None", "RS256", "ES256"] {
        let header = json!({ "alg": algorithm, "kid": "new" }).to_string();
        let header = URL_SAFE_NO_PAD.encode(header);
        for signature in ["", &*signature] {
            client
                .assert_refused(&format!("{header}.{payload}.{signature}"), "not valid")
                .await;
        }
    }
    for token in ["", "x", "a.b.c", "...", "e30.e30."] {
        client.assert_refused(token, "not valid").await;
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_refused() {
    let client = Client::new().await;
    let forms = ["", "token=x", "logout_token=x&logout_token=y"];
    for form in forms {
        let response = client.post(form.to_owned()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{form}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    }
    assert_eq!(client.alive().await, [true; 3]);
}

#[tokio::test]
async fn in_an_outage_the_provider_is_told_to_try_again() {
    let client = Client::new().await;
    let token = signed(&claims("ada"));
    client.records.set_down(true);
    let response = client.post(format!("logout_token={token}")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER));
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    client.records.set_down(false);
    assert_eq!(client.log_out(&token).await.0, StatusCode::OK);
    assert_eq!(client.alive().await, [false, false, true]);
}
