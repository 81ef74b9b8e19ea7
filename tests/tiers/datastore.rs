//! The Datastore tier, on Google's two emulators.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::clock::ManualClock;
use session_runtime::tier::datastore::{Datastore, DatastoreBuilder, SetupError};
use session_runtime::tier::{DurableTier, TierError, TierErrorKind, Version, Write};
use session_tests::services::emulator::{self, Emulator, Flavour, PROJECT};

const HOUR: Duration = Duration::from_hours(1);

fn builder(emulator: &Emulator) -> DatastoreBuilder {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Datastore::builder()
        .project(PROJECT)
        .namespace(format!("test-{}-{number}", std::process::id()))
        .emulator(emulator.address())
}

fn soon() -> SystemTime {
    SystemTime::now() + HOUR
}

#[track_caller]
fn done(write: Result<Write, TierError>) -> Version {
    match write.unwrap() {
        Write::Done(version) => version,
        other => panic!("{other:?}"),
    }
}

macro_rules! on_both_emulators {
    ($($name:ident)*) => {
        mod on_datastore { $(#[tokio::test] async fn $name() {
            let Some(emulator) = super::emulator::datastore() else { return };
            super::$name(super::builder(emulator)).await;
        })* }
        mod on_firestore { $(#[tokio::test] async fn $name() {
            let Some(emulator) = super::emulator::firestore() else { return };
            super::$name(super::builder(emulator)).await;
        })* }
    };
}

on_both_emulators! {
    a_record_is_created_read_replaced_and_deleted
    print_facts
}

async fn a_record_is_created_read_replaced_and_deleted(builder: DatastoreBuilder) {
    let tier = builder.connect().await.unwrap();
    assert_eq!(tier.read("k").await.unwrap(), None);
    let first = done(tier.insert("k", Bytes::from_static(b"one"), soon()).await);
    let stored = tier.read("k").await.unwrap().unwrap();
    assert_eq!((&stored.value[..], stored.version), (&b"one"[..], first));
    let second = done(tier.update("k", first, Bytes::from_static(b"two"), soon()).await);
    assert!(second > first);
    let stored = tier.read("k").await.unwrap().unwrap();
    assert_eq!((&stored.value[..], stored.version), (&b"two"[..], second));
    assert!(done(tier.delete("k", second).await) >= second);
    assert_eq!(tier.read("k").await.unwrap(), None);
}

async fn print_facts(builder: DatastoreBuilder) {
    let tier = builder.connect().await.unwrap();
    let at = soon();
    let v = |s: &'static [u8]| Bytes::from_static(s);
    eprintln!("update missing: {:?}", tier.update("m", Version(5), v(b"x"), at).await);
    eprintln!("delete missing: {:?}", tier.delete("m", Version(5)).await);
    eprintln!("update missing base 0: {:?}", tier.update("m", Version(0), v(b"x"), at).await);
    let i = tier.insert("k", v(b"a"), at).await;
    eprintln!("insert: {i:?}");
    let i = done(i);
    eprintln!("insert again: {:?}", tier.insert("k", v(b"a"), at).await);
    eprintln!("same content: {:?}", tier.update("k", i, v(b"a"), at).await);
    let u = tier.update("k", i, v(b"b"), at).await;
    eprintln!("update: {u:?}");
    eprintln!("stale update: {:?}", tier.update("k", i, v(b"c"), at).await);
    eprintln!("stale delete: {:?}", tier.delete("k", i).await);
    let r = tier.read("k").await.unwrap().unwrap();
    eprintln!("read: {r:?}");
    eprintln!("future base: {:?}", tier.update("k", Version(r.version.0 + 1), v(b"d"), at).await);
    eprintln!("delete: {:?}", tier.delete("k", r.version).await);
    eprintln!("reinsert: {:?}", tier.insert("k", v(b"a"), at).await);
    eprintln!("old delete: {:?}", tier.delete("k", r.version).await);
    let max = tier.max_value_len();
    let key = "k".repeat(1500);
    let started = std::time::Instant::now();
    eprintln!("max: {:?} {:?}", tier.insert(&key, Bytes::from(vec![7; max]), at).await, started.elapsed());
    eprintln!("max+1: {:?}", tier.insert("z", Bytes::from(vec![7; max + 1]), at).await);
    eprintln!("long key: {:?}", tier.insert(&"k".repeat(1501), v(b"a"), at).await);
    eprintln!("purge: {:?}", tier.purge_expired(SystemTime::now() + HOUR * 2, 10).await);
    eprintln!("purge: {:?}", tier.purge_expired(SystemTime::now() + HOUR * 2, 10).await);
}
