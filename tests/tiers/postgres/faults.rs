//! Servers that do not answer, connections that break, a pool that is exhausted.

use std::error::Error;
use std::time::{Duration, Instant};

use session_runtime::tier::postgres::Postgres;
use session_runtime::tier::{DurableTier, TierErrorKind, Write};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::postgres::{self, PostgresServer};
use tokio::task::{JoinSet, block_in_place};

use super::{PATIENT, builder, bytes, done, soon, stored};

/// Enough for a connection to be made, on a machine that is busy compiling.
const CALL: Duration = Duration::from_secs(2);
/// How late a deadline may be noticed on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// A tier whose connections lead through a proxy, and one whose do not.
async fn behind_proxy(connections: usize, call: Duration) -> Option<(Postgres, Postgres, Proxy)> {
    let server = postgres::shared()?;
    let proxy = Proxy::start(server.address()).await;
    let table = postgres::fresh_table();
    let direct = builder(server).table(&table).connect().await.unwrap();
    let tier = Postgres::builder(postgres::url(proxy.address())).table(&table);
    let tier = tier.connections(connections).call_timeout(call);
    Some((tier.connect().await.unwrap(), direct, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_leaves_writes_unknown_and_reads_unavailable() {
    let Some(server) = PostgresServer::start() else { return };
    let tier = builder(&server).call_timeout(CALL).connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    // So that each of the calls has a connection on which everything is prepared.
    let mut warm = JoinSet::new();
    for number in 0..4 {
        let tier = tier.clone();
        warm.spawn(async move {
            let key = format!("warm {number}");
            let version = done(tier.insert(&key, bytes("one"), soon()).await);
            let version = done(tier.update(&key, version, bytes("two"), soon()).await);
            done(tier.delete(&key, version).await);
        });
    }
    warm.join_all().await;

    block_in_place(|| server.freeze());
    let started = Instant::now();
    let (read, insert, update, delete) = tokio::join!(
        tier.read("k"),
        tier.insert("other", bytes("one"), soon()),
        tier.update("k", version, bytes("two"), soon()),
        tier.delete("k", version),
    );
    assert!(started.elapsed() < CALL + SLACK);
    assert_eq!(read.unwrap_err().kind(), TierErrorKind::Unavailable);
    let errors = [insert.unwrap_err(), update.unwrap_err(), delete.unwrap_err()];
    let unknown = errors.iter().filter(|error| error.kind() == TierErrorKind::Unknown);
    // One of which only the text of its statement was sent is not applied.
    assert!(unknown.count() >= 1, "{errors:?}");
    assert!(
        errors.iter().all(|error| error.kind() != TierErrorKind::Refused),
        "{errors:?}"
    );
    // No connection can be made either.
    let error = tier.insert("another", bytes("one"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");

    block_in_place(|| server.thaw());
    // The tier works again, and at most one of the two writes based on `version` was applied.
    match tier.read("k").await.unwrap() {
        Some(found) if found.version == version => assert_eq!(found, stored("one", version)),
        Some(found) => {
            assert_eq!(&found.value[..], b"two");
            assert_eq!(tier.delete("k", version).await.unwrap(), Write::Conflict);
        }
        None => assert_eq!(
            tier.update("k", version, bytes("two"), soon()).await.unwrap(),
            Write::Missing
        ),
    }
    assert_eq!(tier.read("another").await.unwrap(), None);
}

/// A connection is cut within each of the first bytes of a request and of an answer, one after the other; what a call
/// says of its write is true.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_one_by_one_never_make_a_call_lie() {
    let Some((tier, direct, proxy)) = behind_proxy(1, PATIENT).await else {
        return;
    };
    let mut version = done(tier.insert("k", bytes("0"), soon()).await);
    version = done(tier.update("k", version, bytes("start"), soon()).await);
    let (mut applied, mut not_applied, mut number) = (0, 0, 0);
    for (to_server, most) in [(true, 200), (false, 60)] {
        for at in (0..most).step_by(3) {
            number += 1;
            let direction = if to_server {
                proxy.to_server()
            } else {
                proxy.to_client()
            };
            // So that there is a connection to be cut, with everything prepared on it.
            let current = done(tier.update("k", version, bytes("warm"), soon()).await);
            direction.once(Fault::CutAfter(at));
            let value = number.to_string();
            let outcome = tier.update("k", current, bytes(&value), soon()).await;
            direction.always(Fault::Pass);
            let found = direct.read("k").await.unwrap().unwrap();
            let is_applied = found.value == value.as_bytes();
            match outcome {
                Ok(Write::Done(written)) => assert_eq!(found, stored(&value, written)),
                Err(error) if error.kind() == TierErrorKind::Unknown => {
                    // Where the request may have arrived.
                    *(if is_applied { &mut applied } else { &mut not_applied }) += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
                    assert!(!is_applied, "{error:?}");
                }
                Ok(write) => panic!("{write:?}"),
            }
            version = direct.read("k").await.unwrap().unwrap().version;
        }
    }
    assert!(
        applied > 0 && not_applied > 0,
        "unknown: {applied} applied, {not_applied} not"
    );
}

/// The answer to a call that was cancelled is not taken for that of the next, and its connection is used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_nobody_elses() {
    let Some((tier, direct, proxy)) = behind_proxy(1, PATIENT).await else {
        return;
    };
    for key in ["mine", "yours"] {
        done(direct.insert(key, bytes(key), soon()).await);
    }
    assert_eq!(&tier.read("mine").await.unwrap().unwrap().value[..], b"mine");
    let connections = proxy.connections();
    for _ in 0..20 {
        proxy.to_client().always(Fault::FreezeAfter(0));
        let frozen = proxy.to_client().frozen();
        tokio::select! {
            biased;
            read = tier.read("mine") => panic!("{read:?}"),
            () = proxy.to_client().wait_frozen(frozen + 1) => {}
        }
        // Nothing is sent behind what the server has not answered: it would wait there, for longer than it may.
        let sent = proxy.to_server().counts();
        let yours = tier.read("yours");
        tokio::pin!(yours);
        for _ in 0..100 {
            tokio::select! {
                biased;
                read = &mut yours => panic!("{read:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(proxy.to_server().counts(), sent);
        proxy.to_client().always(Fault::Pass);
        assert_eq!(&yours.await.unwrap().unwrap().value[..], b"yours");
    }
    assert_eq!(proxy.connections(), connections);
}

/// A write that its server could still apply must not be followed by others on its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_call_was_given_up_is_closed() {
    let Some((tier, direct, proxy)) = behind_proxy(1, CALL).await else {
        return;
    };
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    let version = done(tier.update("k", version, bytes("two"), soon()).await);
    let connections = proxy.connections();
    proxy.to_client().always(Fault::FreezeAfter(0));
    let error = tier.update("k", version, bytes("three"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unknown, "{error:?}");
    proxy.to_client().always(Fault::Pass);
    assert_eq!(&tier.read("k").await.unwrap().unwrap().value[..], b"three");
    assert_eq!(proxy.connections(), connections + 1);
    assert_eq!(&direct.read("k").await.unwrap().unwrap().value[..], b"three");
}

/// The connection is lost, and no new one is made by the end of the call's time.
#[tokio::test]
async fn a_write_that_times_out_before_it_was_sent_is_unavailable() {
    let Some((tier, direct, mut proxy)) = behind_proxy(1, CALL).await else {
        return;
    };
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    let hanging = proxy.hang().await;
    proxy.cut().await;
    // The end of the connection may be seen only when it is used.
    let error = tier.read("k").await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    for _ in 0..2 {
        let errors = [
            tier.insert("other", bytes("one"), soon()).await.unwrap_err(),
            tier.update("k", version, bytes("two"), soon()).await.unwrap_err(),
            tier.delete("k", version).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
        }
    }
    drop(hanging);
    proxy.accept().await;
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    assert_eq!(direct.read("other").await.unwrap(), None);
}

/// The server ends a statement that waits for a lock, and nothing of it is applied, then or later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_a_statement_whose_time_is_up() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    let tier = builder(server).table(&table).call_timeout(CALL);
    let tier = tier.connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    let holder = tokio::task::spawn_blocking({
        let table = table.clone();
        move || {
            postgres::shared().unwrap().sql(&format!(
                "BEGIN; SELECT 1 FROM {table} FOR UPDATE; SELECT pg_sleep(8); COMMIT"
            ))
        }
    });
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{table} FOR UPDATE%' AND wait_event = 'PgSleep'"
    );
    while server.sql(&waits) != "1" {
        tokio::task::yield_now().await;
    }
    let error = tier.update("k", version, bytes("two"), soon()).await.unwrap_err();
    // Whose timeout comes first: the server's, and it was not applied, or the client's.
    assert_ne!(error.kind(), TierErrorKind::Refused, "{error:?}");
    let waits =
        format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE {table}%' AND state = 'active'");
    let started = Instant::now();
    while server.sql(&waits) != "0" {
        assert!(started.elapsed() < SLACK, "the statement goes on");
    }
    holder.await.unwrap();
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_limit_fail_at_once_and_the_others_go_on() {
    const LIMIT: usize = 200;
    const BEYOND: usize = 20;
    let Some((tier, _, proxy)) = behind_proxy(2, PATIENT).await else {
        return;
    };
    done(tier.insert("k", bytes("one"), soon()).await);
    proxy.to_client().always(Fault::FreezeAfter(0));
    let mut reads = JoinSet::new();
    for _ in 0..LIMIT + BEYOND {
        let tier = tier.clone();
        reads.spawn(async move { tier.read("k").await });
    }
    for _ in 0..BEYOND {
        let error = reads.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("200 calls wait"), "{cause}");
    }
    let error = tier.insert("other", bytes("one"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    proxy.to_client().always(Fault::Pass);
    for read in reads.join_all().await {
        assert_eq!(&read.unwrap().unwrap().value[..], b"one");
    }
    done(tier.insert("other", bytes("one"), soon()).await);
}

/// The server has no place for another connection: others have taken them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_place_for_another_connection_is_unavailable() {
    let settings = ["max_connections=5", "superuser_reserved_connections=1"];
    let Some(server) = PostgresServer::start_with(&settings) else {
        return;
    };
    server.sql("CREATE ROLE guest LOGIN; GRANT ALL ON SCHEMA public TO guest");
    let url = server.url().replace("postgres@", "guest@");
    let builder = Postgres::builder(url).create_table().call_timeout(PATIENT);
    let greedy = builder.clone().connections(4).connect().await.unwrap();
    let modest = builder.connections(1).connect().await;
    let modest = modest.unwrap();
    // It has the one connection with which it checked the table; the other takes the rest.
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let greedy = greedy.clone();
        reads.spawn(async move { greedy.read("k").await.map_err(|error| error.kind()) });
    }
    let reads = reads.join_all().await;
    assert!(
        reads
            .iter()
            .all(|read| matches!(read, Ok(None) | Err(TierErrorKind::Unavailable))),
        "{reads:?}"
    );
    assert!(reads.contains(&Ok(None)), "{reads:?}");
    assert_eq!(modest.read("k").await.unwrap(), None);
}

/// After a migration the server refuses the statements that it prepared before (0A000): they are prepared anew over a
/// new connection, and no call fails.
#[tokio::test]
async fn a_connection_that_has_become_useless_is_replaced_within_the_call() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    let tier = builder(server).table(&table).connections(1).connect().await.unwrap();
    let first = done(tier.insert("k", bytes("one"), soon()).await);
    let second = done(tier.update("k", first, bytes("two"), soon()).await);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("two", second)));
    server.sql(&format!(
        "CREATE DOMAIN {table}_version AS bigint; ALTER TABLE {table} ALTER COLUMN version TYPE {table}_version"
    ));
    let third = done(tier.update("k", second, bytes("three"), soon()).await);
    server.sql(&format!(
        "CREATE DOMAIN {table}_value AS bytea; ALTER TABLE {table} ALTER COLUMN value TYPE {table}_value"
    ));
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("three", third)));
}

/// The server tells of the row that breaks a constraint, in the details of its error.
#[tokio::test]
async fn an_error_of_the_server_shows_neither_key_nor_record() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    let tier = builder(server).table(&table).connect().await.unwrap();
    server.sql(&format!("ALTER TABLE {table} ADD CHECK (length(value) < 5)"));
    let error = tier.insert("the-key", bytes("the-record"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Refused, "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("23514"), "{cause}");
    for shown in [cause, format!("{error:?}")] {
        // "the-record" in hexadecimal digits.
        for secret in ["the-key", "the-record", "7468652d7265636f7264"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
