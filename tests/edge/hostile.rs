//! Bytes that the store has not written: in cookies, in the cache, in the durable tier.

use axum::http::{HeaderValue, StatusCode, header::COOKIE};
use axum::{body::Body, http::Request};
use bytes::Bytes;
use proptest::prelude::*;
use session_runtime::__private::cascade::envelope;
use session_runtime::__private::session::record::Record;
use session_runtime::tier::CacheTier;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::site::{Browser, Reply, Site};

const TTL: std::time::Duration = std::time::Duration::from_secs(600);

/// Stores `value` in the cache under `key`.
async fn poison(site: &Site, key: &str, value: impl Into<Bytes>) {
    site.tiers.0.set(key, value.into(), TTL).await.unwrap();
    site.reset_calls();
}

async fn cached(site: &Site, key: &str) -> Option<Bytes> {
    site.tiers.0.get(key).await.unwrap().map(|cached| cached.value)
}

#[tokio::test]
async fn a_poisoned_item_counts_as_a_miss_and_is_replaced() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let key = site.records.keys().remove(0);
    let good = cached(&site, &key).await.unwrap();
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [
        b"".to_vec(),
        b"hello".to_vec(),
        vec![0xff; 2000],
        good[..good.len() - 1].to_vec(),
        flipped,
    ] {
        poison(&site, &key, bad).await;
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
        site.settle().await;
        assert_eq!(site.durable.take_calls(), [("read", 1)]);
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
        assert_eq!(site.durable.take_calls(), [], "the cache has it again");
    }
    // A write finds one.
    poison(&site, &key, "hello").await;
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn a_record_copied_to_another_key_is_never_served() {
    let site = Site::new().await;
    let mut mine = site.visitor().await;
    let my_key = site.records.keys().remove(0);
    let mut theirs = site.visitor().await;
    site.post(&mut theirs, "/login/7").await;
    let their_key = site.records.keys().into_iter().find(|key| *key != my_key).unwrap();
    let stolen = cached(&site, &their_key).await.unwrap();
    poison(&site, &my_key, stolen).await;
    let reply = site.get(&mut mine, "/read").await;
    assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (1, None));
    // In the durable tier it is an error, never an empty session.
    let stolen = site.records.value(&their_key).unwrap();
    site.records.overwrite(&my_key, stolen.clone());
    poison(&site, &my_key, "").await;
    for path in ["/visit", "/logout"] {
        let reply = site.post(&mut mine, path).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        reply.assert_no_cookie();
    }
    assert_eq!(site.records.value(&my_key), Some(stolen), "it is not overwritten");
    assert_eq!(site.get(&mut theirs, "/read").await.json()["user"], 7);
}

#[tokio::test]
async fn cache_items_and_durable_records_are_not_interchangeable() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let key = site.records.keys().remove(0);
    // Both are authentic under this key.
    let record = site.records.value(&key).unwrap();
    let item = cached(&site, &key).await.unwrap();
    poison(&site, &key, record).await;
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    site.settle().await;
    site.records.overwrite(&key, item);
    poison(&site, &key, "").await;
    assert_eq!(
        site.get(&mut browser, "/read").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn cookie_header() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"__Host-shop=".to_vec()),
        Just(b"; ".to_vec()),
        Just(b";".to_vec()),
        Just(b"=".to_vec()),
        "[A-Za-z0-9_-]{0,70}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_cookie_header_breaks_the_edge(headers in proptest::collection::vec(cookie_header(), 1..4)) {
        runtime().block_on(async {
            let site = Site::new().await;
            let mut request = Request::post("/visit");
            for header in &headers {
                if let Ok(value) = HeaderValue::from_bytes(header) {
                    request = request.header(COOKIE, value);
                }
            }
            let request = request.body(Body::empty()).unwrap();
            let reply = Reply::of(site.app.clone().oneshot(request).await.unwrap()).await;
            assert_eq!((reply.status, reply.visits()), (StatusCode::OK, 1));
        });
    }

    #[test]
    fn no_bytes_in_a_tier_break_the_edge(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<proptest::sample::Index>(),
    ) {
        runtime().block_on(async {
            let site = Site::new().await;
            let mut browser = site.visitor().await;
            let key = site.records.keys().remove(0);
            let mut damaged = cached(&site, &key).await.unwrap().to_vec();
            let whole = site.records.value(&key).unwrap();
            let mut record = whole.to_vec();
            for bytes in [&mut damaged, &mut record] {
                for (at, by) in &flips {
                    let at = at.index(bytes.len());
                    bytes[at] ^= by;
                }
            }
            damaged.truncate(cut.index(damaged.len()) + 1);
            for bad in [noise.clone(), damaged] {
                poison(&site, &key, bad).await;
                assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
                site.settle().await;
            }
            for bad in [noise, record] {
                poison(&site, &key, "").await;
                let is_whole = whole == bad;
                site.records.overwrite(&key, bad);
                let status = site.get(&mut browser, "/read").await.status;
                assert_eq!(status == StatusCode::OK, is_whole, "{status}");
                assert!(status == StatusCode::OK || status == StatusCode::INTERNAL_SERVER_ERROR);
            }
        });
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        _ = envelope::payload(&bytes);
        _ = Record::decode(&bytes.clone().into());
        // After a valid tag and head, which random bytes rarely have.
        let head = [&[0xd9, 0xd9, 0xf7, 0x86, 0x01, 0x64][..], b"shop", &[0x01, 0x00], &bytes].concat();
        _ = Record::decode(&head.into());
        _ = envelope::payload(&[&[0xd1, 0x84, 0x43, 0xa1, 0x01, 0x05, 0xa1, 0x04][..], &bytes].concat());
    }
}

#[tokio::test]
async fn no_damaged_byte_of_a_record_makes_the_decoder_panic() {
    let site = Site::new().await;
    site.post(&mut Browser::default(), "/note/hello").await;
    let stored = site.records.value(&site.records.keys()[0]).unwrap();
    let record = stored.slice_ref(envelope::payload(&stored).unwrap());
    for at in 0..record.len() {
        for by in [0x01, 0x20, 0x80, 0xff] {
            let mut bytes = record.to_vec();
            bytes[at] ^= by;
            _ = Record::decode(&bytes.into());
        }
        assert!(Record::decode(&record.slice(..at)).is_err());
    }
}
