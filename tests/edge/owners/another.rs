use super::{accounts, devices, ids, owner, signed_in, who};
use crate::site::Browser;

#[tokio::test]
async fn another_owner_gets_a_session_of_its_own() {
    let site = accounts().await;
    let mut browser = signed_in(&site, 7).await;
    site.post(&mut browser, "/note/secret").await;
    let before = browser.clone();
    let first = ids(&site, 7).await;
    site.post(&mut browser, "/in/8").await.cookie();
    assert_eq!(who(&site, &browser).await, "8");
    assert_eq!(who(&site, &before).await, "", "the first one's session has ended");
    site.settle().await;
    assert_eq!(devices(&site, 7).await, []);
    assert_ne!(ids(&site, 8).await, first);
}

#[tokio::test]
async fn a_session_that_somebody_has_signed_out_of_is_nobody_elses_either() {
    let site = accounts().await;
    let mut browser = signed_in(&site, 7).await;
    let id = ids(&site, 7).await;
    site.post(&mut browser, "/clear").await;
    site.settle().await;
    assert_eq!(who(&site, &browser).await, "");
    site.post(&mut browser, "/in/7").await;
    assert_eq!(ids(&site, 7).await, id, "who it was gets it again");
    site.post(&mut browser, "/clear").await;
    site.post(&mut browser, "/in/8").await;
    assert_ne!(ids(&site, 8).await, id);
    owner(&site, 8).end_all().await.unwrap();
    assert_eq!(who(&site, &browser).await, "");
}

/// What is tidied up beside the request comes later than a new sign-in to the same session.
#[tokio::test]
async fn who_signs_out_and_in_again_at_once_stays_listed() {
    let site = accounts().await;
    let mut browser = signed_in(&site, 7).await;
    // The session, then the owner's record.
    let clearing = site.durable.block("update");
    let cleared = site.spawn_post(&browser, "/clear");
    clearing.reached().await;
    let leaving = site.durable.block("update");
    clearing.release();
    leaving.reached().await;
    let reply = cleared.await.unwrap();
    browser.take(&reply);
    site.post(&mut browser, "/in/7").await;
    leaving.release();
    site.settle().await;
    assert_eq!(who(&site, &browser).await, "7");
    assert_eq!(devices(&site, 7).await.len(), 1);
    owner(&site, 7).end_all().await.unwrap();
    assert_eq!(who(&site, &browser).await, "");
}

#[tokio::test]
async fn visitors_are_listed_nowhere() {
    let site = accounts().await;
    let mut visitor = Browser::default();
    site.post(&mut visitor, "/note/visitor").await;
    assert_eq!(site.records.keys().len(), 1, "there is no owner's record");
    site.post(&mut visitor, "/clear").await;
    assert_eq!(site.records.keys().len(), 1);
}

/// What the request has set is the new session's, also where the old one had a value that is not to be overwritten.
#[tokio::test]
async fn a_session_that_is_begun_anew_has_what_the_request_set() {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use session_runtime::{Session, TypedSession};

    #[derive(Session)]
    #[session(name = "strict", version = 1)]
    #[cascade(memcache, datastore)]
    struct Strict {
        #[session(owner)]
        user: Option<u64>,
        #[session(merge = reject)]
        step: u64,
        #[session(merge = add)]
        visits: u64,
    }

    let sign_in = |user: u64| {
        move |mut strict: TypedSession<Strict>| async move {
            strict.set_user(Some(user));
            strict.set_step(user);
            *strict.visits_mut() += 1;
        }
    };
    let show = |strict: TypedSession<Strict>| async move { format!("{} {}", strict.step(), strict.visits()) };
    let routes = Router::new()
        .route("/in/7", post(sign_in(7)))
        .route("/in/8", post(sign_in(8)))
        .route("/show", post(show));
    let site = crate::site::Site::new().await.serving(routes);
    let mut browser = Browser::default();
    site.post(&mut browser, "/in/7").await;
    site.post(&mut browser, "/in/7").await;
    assert_eq!(site.post(&mut browser, "/show").await.body, "7 2");
    assert_eq!(site.post(&mut browser, "/in/8").await.status, StatusCode::OK);
    assert_eq!(site.post(&mut browser, "/show").await.body, "8 1");
}
