use axum::http::StatusCode;
use session_runtime::{Commit, DeviceId};

use super::{accounts, device_id, devices, ids, node, owner, signed_in, who};

#[tokio::test]
async fn all_sessions_of_an_owner_end_on_every_node_and_no_other() {
    let one = accounts().await;
    let two = node(&one).await;
    let (here, there, other) = (
        signed_in(&one, 7).await,
        signed_in(&two, 7).await,
        signed_in(&one, 8).await,
    );
    for site in [&one, &two] {
        assert_eq!(who(site, &here).await, "7");
        assert_eq!(who(site, &there).await, "7");
    }
    let ended = owner(&two, 7).end_all().await.unwrap();
    assert_eq!((ended.count, ended.commit), (2, Commit::Coherent));
    for site in [&one, &two] {
        assert_eq!(who(site, &here).await, "");
        assert_eq!(who(site, &there).await, "");
        assert_eq!(who(site, &other).await, "8");
    }
    assert_eq!(devices(&one, 7).await, []);
    assert_eq!(owner(&one, 7).end_all().await.unwrap().count, 0, "to ask again is safe");
    assert_eq!(
        who(&one, &signed_in(&one, 7).await).await,
        "7",
        "and they may sign in again"
    );
}

#[tokio::test]
async fn all_but_this_session_end() {
    let site = accounts().await;
    let (mut this, other) = (signed_in(&site, 7).await, signed_in(&site, 7).await);
    let reply = site.post(&mut this, "/others/7").await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "1"));
    assert_eq!(who(&site, &this).await, "7");
    assert_eq!(who(&site, &other).await, "");
    assert_eq!(ids(&site, 7).await, [device_id(&site, &this).await]);
}

#[tokio::test]
async fn one_session_ends_by_its_identifier() {
    let site = accounts().await;
    let (this, other, stranger) = (
        signed_in(&site, 7).await,
        signed_in(&site, 7).await,
        signed_in(&site, 8).await,
    );
    let id = device_id(&site, &other).await;
    let strangers = device_id(&site, &stranger).await;
    assert!(!owner(&site, 7).end(strangers).await.unwrap(), "it is not theirs");
    assert!(owner(&site, 7).end(id).await.unwrap());
    assert!(!owner(&site, 7).end(id).await.unwrap());
    assert_eq!(who(&site, &this).await, "7");
    assert_eq!(who(&site, &other).await, "");
    assert_eq!(who(&site, &stranger).await, "8");
}

#[tokio::test]
async fn an_identifier_is_text_that_is_checked() {
    let site = accounts().await;
    let id = device_id(&site, &signed_in(&site, 7).await).await;
    assert_eq!(
        serde_json::from_str::<DeviceId>(&serde_json::to_string(&id).unwrap()).unwrap(),
        id
    );
    for text in ["", "short", &format!("{id}="), &"!".repeat(22)] {
        let error = text.parse::<DeviceId>().unwrap_err();
        assert!(error.to_string().contains("22 letters"), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_end() {
    let site = accounts().await;
    let browser = signed_in(&site, 7).await;
    let gate = site.durable.block("delete");
    let owner = owner(&site, 7);
    {
        let mut ending = std::pin::pin!(owner.end_all());
        tokio::select! {
            ended = &mut ending => panic!("{ended:?}"),
            () = gate.reached() => {}
        }
    }
    gate.release();
    site.settle().await;
    assert_eq!(who(&site, &browser).await, "");
    assert_eq!(devices(&site, 7).await, []);
}

#[tokio::test]
async fn a_hot_session_ends_while_it_is_written() {
    let site = accounts().await;
    let browser = signed_in(&site, 7).await;
    let writers: Vec<_> = (0..32).map(|_| site.spawn_post(&browser, "/note/x")).collect();
    let ended = owner(&site, 7).end_all().await.unwrap();
    assert_eq!(ended.count, 1);
    assert_eq!(who(&site, &browser).await, "");
    for writer in writers {
        let status = writer.await.unwrap().status;
        assert!([StatusCode::OK, StatusCode::CONFLICT].contains(&status), "{status}");
    }
    assert_eq!(who(&site, &browser).await, "", "no write has brought it back");
}

/// The cookie names a session that somebody else may have by now.
#[tokio::test]
async fn who_presents_a_secret_that_was_replaced_keeps_no_session() {
    let site = accounts().await;
    let mut thief = signed_in(&site, 7).await;
    let mut victim = thief.clone();
    site.post(&mut thief, "/in/7").await;
    assert_eq!(site.get(&mut victim, "/device").await.body, "");
    let reply = site.post(&mut victim, "/others/7").await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "1"));
    assert_eq!(who(&site, &thief).await, "");
}
