//! The outcome of each answer of the service, and of none.

use std::time::Duration;

use gcloud_sdk::tonic::Code;
use session_runtime::tier::datastore::{Datastore, SetupError};
use session_runtime::tier::{DurableTier, TierErrorKind, Version, Write};
use session_tests::services::datastore_proxy::{Fault, Method, Proxy};
use session_tests::services::emulator;

use super::{builder, bytes, done, soon, stored};

/// A tier behind a proxy, and the version of its record `k`, whose value is `one`.
async fn behind_proxy() -> Option<(Datastore, Proxy, Version)> {
    let emulator = emulator::datastore()?;
    let proxy = Proxy::start(&emulator.address()).await;
    let tier = builder(emulator).emulator(proxy.address()).connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    proxy.take_calls();
    Some((tier, proxy, version))
}

#[tokio::test]
async fn an_aborted_write_is_retried() {
    let Some((tier, proxy, version)) = behind_proxy().await else {
        return;
    };
    let aborted = [Fault::Before(Code::Aborted); 2];
    proxy.next(Method::Commit, aborted);
    done(tier.insert("other", bytes("one"), soon()).await);
    proxy.next(Method::Commit, aborted);
    let version = done(tier.update("k", version, bytes("two"), soon()).await);
    proxy.next(Method::Commit, aborted);
    done(tier.delete("k", version).await);
    assert_eq!(
        proxy
            .take_calls()
            .iter()
            .filter(|call| **call == Method::Commit)
            .count(),
        9
    );
}

#[tokio::test]
async fn an_aborted_write_whose_record_changed_is_a_conflict() {
    let Some((tier, proxy, version)) = behind_proxy().await else {
        return;
    };
    done(tier.update("k", version, bytes("two"), soon()).await);
    proxy.take_calls();
    proxy.next(Method::Commit, [Fault::Before(Code::Aborted)]);
    let write = tier.update("k", version, bytes("three"), soon()).await.unwrap();
    assert_eq!(write, Write::Conflict);
    assert_eq!(proxy.take_calls(), [Method::Commit, Method::Lookup]);
}

#[tokio::test]
async fn a_write_that_is_aborted_every_time_is_unavailable() {
    let Some((tier, proxy, version)) = behind_proxy().await else {
        return;
    };
    proxy.always(Method::Commit, Fault::Before(Code::Aborted));
    let error = tier.update("k", version, bytes("two"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
}

#[tokio::test]
async fn a_write_that_failed_before_or_after_it_was_applied_is_unknown_and_sent_once() {
    let Some((tier, proxy, mut version)) = behind_proxy().await else {
        return;
    };
    let codes = [
        Code::Unavailable,
        Code::DeadlineExceeded,
        Code::Internal,
        Code::Unknown,
        Code::Cancelled,
    ];
    for code in codes {
        let key = format!("new {code:?}");
        let value = format!("two {code:?}");

        proxy.next(Method::Commit, [Fault::Before(code); 2]);
        let insert = tier.insert(&key, bytes("one"), soon()).await.unwrap_err();
        let update = tier.update("k", version, bytes(&value), soon()).await.unwrap_err();
        assert_eq!([insert.kind(), update.kind()], [TierErrorKind::Unknown; 2], "{code:?}");
        assert_eq!(tier.read(&key).await.unwrap(), None);
        assert_eq!(tier.read("k").await.unwrap().unwrap().version, version);

        proxy.next(Method::Commit, [Fault::After(code); 2]);
        let insert = tier.insert(&key, bytes("one"), soon()).await.unwrap_err();
        let update = tier.update("k", version, bytes(&value), soon()).await.unwrap_err();
        assert_eq!([insert.kind(), update.kind()], [TierErrorKind::Unknown; 2], "{code:?}");
        assert_eq!(&tier.read(&key).await.unwrap().unwrap().value[..], b"one");
        let found = tier.read("k").await.unwrap().unwrap();
        assert_eq!(found.value, bytes(&value));
        version = found.version;

        let commits = proxy
            .take_calls()
            .iter()
            .filter(|call| **call == Method::Commit)
            .count();
        assert_eq!(commits, 4, "{code:?}");
    }
    proxy.next(Method::Commit, [Fault::After(Code::Unavailable)]);
    let delete = tier.delete("k", version).await.unwrap_err();
    assert_eq!(delete.kind(), TierErrorKind::Unknown);
    assert_eq!(tier.read("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_without_an_answer_is_unknown_applied_or_not() {
    let Some(emulator) = emulator::datastore() else { return };
    let proxy = Proxy::start(&emulator.address()).await;
    // The emulator is warm, so it answers within this time; two attempts wait for all of it.
    let tier = builder(emulator)
        .emulator(proxy.address())
        .attempt_timeout(Duration::from_secs(2))
        .connect()
        .await
        .unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    proxy.next(Method::Commit, [Fault::LostBefore, Fault::LostAfter]);
    let error = tier.update("k", version, bytes("two"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unknown);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    let error = tier.update("k", version, bytes("two"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unknown);
    assert_eq!(&tier.read("k").await.unwrap().unwrap().value[..], b"two");
}

#[tokio::test]
async fn a_lookup_tells_a_refusal_from_a_conflict() {
    let Some((tier, proxy, version)) = behind_proxy().await else {
        return;
    };
    for code in [
        Code::FailedPrecondition,
        Code::NotFound,
        Code::InvalidArgument,
        Code::PermissionDenied,
    ] {
        proxy.next(Method::Commit, [Fault::Before(code)]);
        let error = tier.update("k", version, bytes("two"), soon()).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Refused, "{code:?}");
    }
    // Not applied, and the reason is unknown: the error of the lookup is returned.
    proxy.next(Method::Lookup, [Fault::Before(Code::PermissionDenied)]);
    let stale = Version(version.0 - 1);
    let error = tier.update("k", stale, bytes("two"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Refused);
    proxy.always(Method::Lookup, Fault::Before(Code::Unavailable));
    let error = tier.update("k", stale, bytes("two"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
}

#[tokio::test]
async fn a_read_is_retried_and_finally_unavailable() {
    let Some((tier, proxy, version)) = behind_proxy().await else {
        return;
    };
    let transient = [Code::Unavailable, Code::Aborted, Code::DeadlineExceeded, Code::Internal];
    proxy.next(Method::Lookup, transient.map(Fault::Before));
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    assert_eq!(proxy.take_calls().len(), 5);

    proxy.next(Method::Lookup, [Fault::Before(Code::PermissionDenied)]);
    assert_eq!(tier.read("k").await.unwrap_err().kind(), TierErrorKind::Refused);
    assert_eq!(proxy.take_calls().len(), 1);

    proxy.always(Method::Lookup, Fault::Before(Code::Unavailable));
    assert_eq!(tier.read("k").await.unwrap_err().kind(), TierErrorKind::Unavailable);
    assert_eq!(proxy.take_calls().len(), 5);
}

#[tokio::test]
async fn a_record_renewed_between_query_and_delete_survives_a_purge() {
    let Some(emulator) = emulator::datastore() else { return };
    let proxy = Proxy::start(&emulator.address()).await;
    let builder = builder(emulator).emulator(proxy.address()).index_expires_at(true);
    let tier = builder.connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    proxy.take_calls();
    let now = soon() + Duration::from_hours(1);
    // The delete of the purge is refused as if the record had been renewed.
    proxy.next(Method::Commit, [Fault::Before(Code::FailedPrecondition)]);
    assert_eq!(tier.purge_expired(now, 10).await.unwrap(), 0);
    assert_eq!(proxy.take_calls(), [Method::RunQuery, Method::Lookup, Method::Commit]);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    assert_eq!(tier.purge_expired(now, 10).await.unwrap(), 1);
}

#[tokio::test]
async fn a_backend_that_ignores_base_version_is_refused() {
    let Some(emulator) = emulator::datastore() else { return };
    let proxy = Proxy::start(&emulator.address()).await;
    proxy.always(Method::Commit, Fault::WithoutBase);
    let error = builder(emulator).emulator(proxy.address()).connect().await.unwrap_err();
    assert!(matches!(error, SetupError::IgnoresBaseVersion), "{error:?}");
    assert!(error.to_string().contains("use the Datastore service"), "{error}");
}
