//! What is stored is sealed where the store says so, and read in either form.

use axum::http::{Method, StatusCode};
use session_runtime::tier::CacheTier;
use session_runtime::{CascadeStore, RouterExt};
use session_tests::memory::MemoryStore;

use crate::site::{Browser, FullBuilder, Site, keys, routes};

const NOTE: &[u8] = b"hush-hush";

fn has_note(bytes: &[u8]) -> bool {
    bytes.windows(NOTE.len()).any(|window| window == NOTE)
}

/// The record of the only session.
fn stored(records: &MemoryStore) -> bytes::Bytes {
    let keys = records.keys();
    assert_eq!(keys.len(), 1, "{keys:?}");
    records.value(&keys[0]).unwrap()
}

/// The first byte of a record's form: of `COSE_Mac0`, or of `COSE_Encrypt0` (RFC 9052, section 2).
const AUTHENTICATED: u8 = 0xd1;
const SEALED: u8 = 0xd0;

/// The same tiers, with other keys.
async fn node(site: &Site, ring: &[u8], options: impl FnOnce(FullBuilder) -> FullBuilder) -> Site {
    let (cache, durable) = site.tiers.clone();
    let builder = CascadeStore::builder(keys(ring)).memcache(cache).datastore(durable);
    let store = options(builder.clock(site.clock.clone())).build().await.unwrap();
    Site {
        app: routes().sessions(store.clone()),
        store,
        ..site.clone()
    }
}

async fn note_of(site: &Site, browser: &Browser) -> String {
    let reply = site.send(Method::GET, "/read", browser.cookie.as_deref()).await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.json()["note"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn whoever_reads_a_tier_reads_no_session_that_is_sealed() {
    let plain = Site::new().await;
    let sealing = node(&plain, &[1], FullBuilder::seal).await;
    let mut browser = Browser::default();
    plain.post(&mut browser, "/note/hush-hush").await;
    assert!(has_note(&stored(&plain.records)));
    sealing.post(&mut browser, "/visit").await;
    let sealed = stored(&plain.records);
    assert!(!has_note(&sealed));
    assert_eq!(sealed[0], SEALED);
    assert_eq!(note_of(&sealing, &browser).await, "hush-hush");
    sealing.post(&mut browser, "/visit").await;
    assert_ne!(sealed[..60], stored(&plain.records)[..60], "each has a salt of its own");
}

#[tokio::test]
async fn it_is_switched_on_and_off_while_nodes_read_one_another() {
    let one = Site::new().await;
    let two = node(&one, &[1], FullBuilder::seal).await;
    let mut browser = Browser::default();
    one.post(&mut browser, "/note/hush-hush").await;
    for (writer, reader, form) in [(&two, &one, SEALED), (&one, &two, AUTHENTICATED), (&two, &one, SEALED)] {
        writer.post(&mut browser, "/visit").await;
        assert_eq!(stored(&one.records)[0], form);
        for node in [reader, writer] {
            assert_eq!(note_of(node, &browser).await, "hush-hush");
            node.settle().await;
        }
    }
}

#[tokio::test]
async fn keys_are_rolled_under_what_is_sealed() {
    let old = Site::with(FullBuilder::seal).await;
    let mut browser = Browser::default();
    old.post(&mut browser, "/note/hush-hush").await;
    let both = node(&old, &[2, 1], FullBuilder::seal).await;
    assert_eq!(note_of(&both, &browser).await, "hush-hush");
    assert!(both.store.old_key_uses() > 1, "the token's and the record's");
    both.post(&mut browser, "/rotate").await.cookie();
    let new = node(&old, &[2], FullBuilder::seal).await;
    assert_eq!(note_of(&new, &browser).await, "hush-hush");
    let reply = node(&old, &[3], FullBuilder::seal).await;
    assert_eq!(
        note_of(&reply, &browser).await,
        "",
        "a token of another key is no token"
    );
}

#[tokio::test]
async fn what_was_sealed_and_changed_or_moved_is_never_served() {
    let site = Site::with(FullBuilder::seal).await;
    let (mut browser, mut other) = (Browser::default(), Browser::default());
    site.post(&mut browser, "/note/hush-hush").await;
    let key = site.records.keys().remove(0);
    let sealed = stored(&site.records);
    site.tiers
        .0
        .set(&key, bytes::Bytes::new(), std::time::Duration::ZERO)
        .await
        .unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.to_vec();
        changed[at] ^= 1;
        site.records.overwrite(&key, changed);
        let reply = site.send(Method::GET, "/read", browser.cookie.as_deref()).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "byte {at}");
    }
    for len in 0..sealed.len() {
        site.records.overwrite(&key, sealed.slice(..len));
        let reply = site.send(Method::GET, "/read", browser.cookie.as_deref()).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{len} bytes");
    }
    site.records.overwrite(&key, sealed.clone());
    site.post(&mut other, "/note/mine").await;
    let others = site.records.keys().into_iter().find(|other| *other != key).unwrap();
    site.records.overwrite(&others, sealed);
    site.tiers
        .0
        .set(&others, bytes::Bytes::new(), std::time::Duration::ZERO)
        .await
        .unwrap();
    let reply = site.send(Method::GET, "/read", other.cookie.as_deref()).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "it was moved");
}

/// As any other program would do it from RFC 9052, section 5.3, and the key that it was given.
#[tokio::test]
async fn a_sealed_record_is_opened_by_the_standard() {
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::{Aead, KeyInit, Payload};
    use ciborium::Value;
    use hkdf::Hkdf;
    use hmac::{Hmac, Mac};
    use sha2::Sha256;

    let site = Site::with(FullBuilder::seal).await;
    site.post(&mut Browser::default(), "/note/hush-hush").await;
    let (key, sealed) = (site.records.keys().remove(0), stored(&site.records));
    let Value::Tag(16, message) = ciborium::from_reader(&*sealed).unwrap() else {
        panic!("no COSE_Encrypt0");
    };
    let [protected, Value::Map(unprotected), ciphertext] = &message.into_array().unwrap()[..] else {
        panic!("not of three parts");
    };
    let protected = protected.as_bytes().unwrap();
    let algorithm: Value = ciborium::from_reader(&protected[..]).unwrap();
    assert_eq!(algorithm, Value::Map(vec![(1.into(), 3.into())]), "A256GCM");
    let header = |label: i8| {
        let found = unprotected.iter().find(|(key, _)| *key == label.into());
        found.unwrap().1.as_bytes().unwrap().clone()
    };
    let mut base = [0; 32];
    let ring = Hkdf::<Sha256>::new(None, &[1; 32]);
    ring.expand(b"session-runtime seal", &mut base).unwrap();
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&base).unwrap();
    mac.update(&header(-20));
    let content_key: [u8; 32] = mac.finalize().into_bytes().into();
    let iv: [u8; 12] = header(5).try_into().unwrap();
    let mut aad = Vec::new();
    let structure = Value::Array(vec![
        "Encrypt0".into(),
        Value::Bytes(protected.clone()),
        Value::Bytes(key.into_bytes()),
    ]);
    ciborium::into_writer(&structure, &mut aad).unwrap();
    let payload = Payload {
        msg: ciphertext.as_bytes().unwrap(),
        aad: &aad,
    };
    let opened = Aes256Gcm::new(&content_key.into())
        .decrypt(&iv.into(), payload)
        .unwrap();
    assert!(has_note(&opened));
}
