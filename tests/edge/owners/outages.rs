use axum::http::StatusCode;
use session_runtime::tier::TierErrorKind;
use session_runtime::{Commit, OwnerError};

use super::{accounts, devices, node, owner, signed_in, who};
use crate::site::Browser;

#[tokio::test]
async fn an_end_that_was_stopped_half_way_is_finished_by_the_next_sign_in() {
    let site = accounts().await;
    let (first, second) = (signed_in(&site, 7).await, signed_in(&site, 7).await);
    site.durable.fail("delete", TierErrorKind::Unavailable);
    let error = owner(&site, 7).end_all().await.unwrap_err();
    assert!(matches!(error, OwnerError::Unfinished { left: 2, .. }), "{error:?}");
    assert!(error.is_outage());
    site.durable.up();
    assert_eq!(who(&site, &first).await, "7", "it was not acknowledged");
    let third = signed_in(&node(&site).await, 7).await;
    assert_eq!(who(&site, &first).await, "");
    assert_eq!(who(&site, &second).await, "");
    assert_eq!(who(&site, &third).await, "7");
    assert_eq!(devices(&site, 7).await.len(), 1);
}

#[tokio::test]
async fn an_end_that_was_stopped_half_way_is_finished_by_who_reads_the_list() {
    let site = accounts().await;
    let first = signed_in(&site, 7).await;
    site.durable.fail("delete", TierErrorKind::Unavailable);
    owner(&site, 7).end_all().await.unwrap_err();
    site.durable.up();
    assert_eq!(devices(&site, 7).await, []);
    assert_eq!(who(&site, &first).await, "");
}

#[tokio::test]
async fn a_session_whose_end_has_begun_cannot_be_signed_in_to() {
    let site = accounts().await;
    let mut first = signed_in(&site, 7).await;
    site.durable.fail("delete", TierErrorKind::Unavailable);
    owner(&site, 7).end_all().await.unwrap_err();
    site.durable.up();
    assert_eq!(site.post(&mut first, "/in/7").await.status, StatusCode::CONFLICT);
    site.settle().await;
    assert_eq!(who(&site, &first).await, "");
    assert_eq!(site.post(&mut first, "/in/7").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_the_owners_record_nobody_signs_in_and_nothing_is_written() {
    let site = accounts().await;
    let mut visitor = Browser::default();
    site.post(&mut visitor, "/note/visitor").await;
    site.durable.down();
    let reply = site.post(&mut visitor, "/in/7").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    reply.assert_no_cookie();
    assert!(matches!(
        owner(&site, 7).end_all().await,
        Err(OwnerError::Unavailable { .. })
    ));
    assert!(matches!(
        owner(&site, 7).sessions().await,
        Err(OwnerError::Unavailable { .. })
    ));
    site.durable.up();
    assert_eq!(who(&site, &visitor).await, "");
    assert_eq!(site.post(&mut visitor, "/in/7").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_that_is_not_committed_is_taken_out_again() {
    let site = accounts().await;
    let mut kept = signed_in(&site, 7).await;
    let mut visitor = Browser::default();
    site.post(&mut visitor, "/note/visitor").await;
    // The owner's record is read and updated; then the session's update fails.
    for browser in [&mut visitor, &mut kept] {
        let entering = site.durable.block("update");
        let sign_in = site.spawn_post(browser, "/in/7");
        entering.reached().await;
        site.durable.fail_once("update", TierErrorKind::Unavailable, false);
        entering.release();
        assert_eq!(sign_in.await.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
        site.settle().await;
    }
    assert_eq!(who(&site, &kept).await, "7");
    assert_eq!(
        devices(&site, 7).await.len(),
        1,
        "who was signed in before stays listed"
    );
    assert_eq!(
        owner(&site, 7).end_all().await.unwrap().count,
        1,
        "and the visitor was taken out"
    );
}

#[tokio::test]
async fn a_new_session_that_cannot_be_looked_for_is_not_given_out() {
    let site = accounts().await;
    let inserting = site.durable.block_after("insert");
    let sign_in = site.spawn_post(&Browser::default(), "/in/7");
    // The owner's record is inserted first.
    inserting.reached().await;
    let creating = site.durable.block_after("insert");
    inserting.release();
    creating.reached().await;
    site.durable.fail("read", TierErrorKind::Unavailable);
    creating.release();
    let reply = sign_in.await.unwrap();
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    reply.assert_no_cookie();
    site.durable.up();
    site.settle().await;
    assert_eq!(devices(&site, 7).await, []);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_cache_does_not_hear_of_says_so_and_goes_on_trying() {
    let site = accounts().await;
    let browser = signed_in(&site, 7).await;
    site.cache.down();
    let ended = owner(&site, 7).end_all().await.unwrap();
    assert!(matches!(ended.commit, Commit::Unfenced { .. }), "{ended:?}");
    site.cache.up();
    assert_eq!(site.store.pending_invalidations(), 1);
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(site.store.pending_invalidations(), 0);
    assert_eq!(who(&site, &browser).await, "");
}

#[tokio::test]
async fn a_write_of_the_owners_record_without_an_answer_is_made_once() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    for is_applied in [true, false] {
        site.durable.fail_once("update", TierErrorKind::Unknown, is_applied);
        let browser = signed_in(&site, 7).await;
        assert_eq!(who(&site, &browser).await, "7");
    }
    assert_eq!(devices(&site, 7).await.len(), 3);
    for is_applied in [true, false] {
        signed_in(&site, 7).await;
        site.durable.fail_once("update", TierErrorKind::Unknown, is_applied);
        owner(&site, 7).end_all().await.unwrap();
        assert_eq!(devices(&site, 7).await, []);
    }
}

#[tokio::test]
async fn a_list_that_could_not_be_looked_up_is_an_error_and_not_shorter() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    let reading = site.durable.block_after("read");
    let owner = owner(&site, 7);
    let list = tokio::spawn(async move { owner.sessions().await });
    reading.reached().await;
    site.durable.fail("read", TierErrorKind::Unavailable);
    reading.release();
    assert!(matches!(list.await.unwrap(), Err(OwnerError::Unavailable { .. })));
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_ended_too() {
    let site = accounts().await;
    let (first, second) = (signed_in(&site, 7).await, signed_in(&site, 7).await);
    let sessions = site.records.keys();
    let key = sessions.iter().find(|key| !key.contains("owner.")).unwrap();
    site.records.overwrite(key, "no record");
    assert_eq!(owner(&site, 7).end_all().await.unwrap().count, 2);
    assert_eq!(site.records.keys().len(), 1);
    for browser in [&first, &second] {
        assert_eq!(who(&site, browser).await, "");
    }
}

/// A logout that the cache has not heard of may be shown a while longer. Who then ends all is told that none is.
#[tokio::test(start_paused = true)]
async fn an_end_hides_what_a_logout_could_not() {
    let site = accounts().await;
    let mut browser = signed_in(&site, 7).await;
    let before = browser.clone();
    site.cache.down();
    site.post(&mut browser, "/out").await;
    site.cache.up();
    assert_eq!(who(&site, &before).await, "7", "as was reported");
    for _ in 0..10 {
        // What is done beside the request.
        tokio::task::yield_now().await;
    }
    let ended = owner(&site, 7).end_all().await.unwrap();
    assert_eq!((ended.count, ended.commit), (1, Commit::Clean));
    assert_eq!(who(&site, &before).await, "");
}
