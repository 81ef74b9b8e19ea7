use axum::http::StatusCode;

use super::{accounts, devices, node, owner, signed_in, signing_in_within, who};
use crate::site::Browser;

/// An end between the two writes of a sign-in: there is no session yet that could be destroyed.
#[tokio::test]
async fn a_new_session_that_was_ended_before_it_was_created_is_not_given_out() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    let gate = site.durable.block("insert");
    let sign_in = site.spawn_post(&Browser::default(), "/in/7");
    gate.reached().await;
    assert_eq!(owner(&site, 7).end_all().await.unwrap().count, 2);
    gate.release();
    let reply = sign_in.await.unwrap();
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    site.settle().await;
    assert_eq!(devices(&site, 7).await, []);
    assert_eq!(site.records.keys().len(), 1, "the owner's record, and no session");
}

#[tokio::test]
async fn a_sign_in_to_a_session_that_was_ended_before_it_was_written_fails() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    let mut visitor = Browser::default();
    site.post(&mut visitor, "/note/visitor").await;
    // The owner's record, then the session.
    let entering = site.durable.block("update");
    let sign_in = site.spawn_post(&visitor, "/in/7");
    entering.reached().await;
    let writing = site.durable.block("update");
    entering.release();
    writing.reached().await;
    // On this node the end would wait for the writer, whose turn it is.
    let other = node(&site).await;
    assert_eq!(owner(&other, 7).end_all().await.unwrap().count, 2);
    writing.release();
    assert_eq!(sign_in.await.unwrap().status, StatusCode::CONFLICT);
    assert_eq!(who(&site, &visitor).await, "");
    assert_eq!(devices(&site, 7).await, []);
}

#[tokio::test]
async fn a_sign_in_whose_password_was_looked_at_before_the_end_is_refused() {
    let site = accounts().await;
    let before = owner(&site, 7).epoch().await.unwrap();
    owner(&site, 7).end_all().await.unwrap();
    let mut browser = Browser::default();
    let reply = signing_in_within(&site, before).post(&mut browser, "/in/7").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    let now = owner(&site, 7).epoch().await.unwrap();
    assert_ne!(now, before);
    assert_eq!(
        signing_in_within(&site, now).post(&mut browser, "/in/7").await.status,
        StatusCode::OK
    );
    assert_eq!(who(&site, &browser).await, "7");
}

#[tokio::test]
async fn an_epoch_is_that_of_one_owner_and_holds_for_23_hours() {
    let site = accounts().await;
    let epoch = owner(&site, 7).epoch().await.unwrap();
    let kept: session_runtime::OwnerEpoch = serde_json::from_str(&serde_json::to_string(&epoch).unwrap()).unwrap();
    assert_eq!(kept, epoch);
    let within = signing_in_within(&site, kept);
    assert_eq!(
        within.post(&mut Browser::default(), "/in/8").await.status,
        StatusCode::CONFLICT
    );
    site.clock.advance(std::time::Duration::from_secs(23 * 3600 - 1));
    assert_eq!(
        within.post(&mut Browser::default(), "/in/7").await.status,
        StatusCode::OK
    );
    site.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(
        within.post(&mut Browser::default(), "/in/7").await.status,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn an_end_that_keeps_this_session_refuses_other_sign_ins_that_are_under_way() {
    let site = accounts().await;
    let mut this = signed_in(&site, 7).await;
    let gate = site.durable.block("insert");
    let sign_in = site.spawn_post(&Browser::default(), "/in/7");
    gate.reached().await;
    assert_eq!(site.post(&mut this, "/others/7").await.body, "1");
    gate.release();
    assert_eq!(sign_in.await.unwrap().status, StatusCode::CONFLICT);
    assert_eq!(who(&site, &this).await, "7");
}

/// Two tabs of one visitor sign in as different people: the session is one's, and the other gets a new one.
#[tokio::test]
async fn a_session_that_two_owners_sign_in_to_belongs_to_one() {
    let site = accounts().await;
    let mut visitor = Browser::default();
    site.post(&mut visitor, "/note/visitor").await;
    let (one, other) = (site.spawn_post(&visitor, "/in/7"), site.spawn_post(&visitor, "/in/8"));
    let mut browsers = Vec::new();
    for sign_in in [one, other] {
        let reply = sign_in.await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        let mut browser = visitor.clone();
        browser.take(&reply);
        browsers.push(browser);
    }
    site.settle().await;
    assert_eq!(who(&site, &browsers[0]).await, "7");
    assert_eq!(who(&site, &browsers[1]).await, "8");
    owner(&site, 8).end_all().await.unwrap();
    assert_eq!(
        who(&site, &browsers[0]).await,
        "7",
        "it is not theirs, though they were about to get it"
    );
    assert_eq!(who(&site, &browsers[1]).await, "");
}

/// By a clock that is fast, or after a commit that takes long, a sign-in that is under way looks like one that came to nothing.
#[tokio::test]
async fn a_session_that_is_created_after_the_list_was_tidied_up_is_not_given_out() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    let gate = site.durable.block("insert");
    let sign_in = site.spawn_post(&Browser::default(), "/in/7");
    gate.reached().await;
    site.clock.advance(std::time::Duration::from_secs(121));
    assert_eq!(devices(&site, 7).await.len(), 1);
    let other = node(&site).await;
    assert_eq!(devices(&other, 7).await.len(), 1);
    other.settle().await;
    gate.release();
    let reply = sign_in.await.unwrap();
    assert_eq!(reply.status, StatusCode::CONFLICT);
    site.settle().await;
    assert_eq!(site.records.keys().len(), 2, "the owner's record and the first session");
}

/// The epoch is that of the sign-in, whatever was committed before it.
#[tokio::test]
async fn an_epoch_outlasts_an_earlier_commit_of_the_request() {
    let site = accounts().await;
    let before = owner(&site, 7).epoch().await.unwrap();
    owner(&site, 7).end_all().await.unwrap();
    let sign_in = move |mut account: super::AccountSession| async move {
        account.sign_in_within(before);
        account.set_note(Some("before".to_owned()));
        account.commit().await.unwrap();
        account.set_user(Some(7));
    };
    let signing_in = site.serving(axum::Router::new().route("/", axum::routing::post(sign_in)));
    let reply = signing_in.post(&mut Browser::default(), "/").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    assert_eq!(devices(&site, 7).await, []);
}

/// The list is tidied up by a node that has looked before the session was created, and after it was given out.
#[tokio::test]
async fn a_session_that_is_taken_off_the_list_ends_too() {
    let site = accounts().await;
    signed_in(&site, 7).await;
    let gate = site.durable.block("insert");
    let sign_in = site.spawn_post(&Browser::default(), "/in/7");
    gate.reached().await;
    site.clock.advance(std::time::Duration::from_secs(121));
    let tidying = site.durable.block("update");
    let other = node(&site).await;
    assert_eq!(devices(&other, 7).await.len(), 1);
    tidying.reached().await;
    gate.release();
    let reply = sign_in.await.unwrap();
    assert_eq!(reply.status, StatusCode::OK, "its entry stands yet");
    tidying.release();
    let mut browser = Browser::default();
    browser.take(&reply);
    other.settle().await;
    assert_eq!(who(&site, &browser).await, "");
}
