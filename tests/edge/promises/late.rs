//! What is done with a session after its response has been made.

use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use session_runtime::{Commit, CommitError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Level;

use super::log::Log;
use crate::site::{Browser, ShopSession, Site};

/// Where the handler leaves the task that it has spawned, and what lets that task go on.
type Spawned<T> = Arc<Mutex<Option<(JoinHandle<T>, oneshot::Sender<()>)>>>;

/// Sends a request whose handler does `first`, and moves its session into a task which does `then` once the response
/// is out; what that came to.
async fn after_the_response<T, W>(
    site: &Site,
    browser: &mut Browser,
    first: fn(&mut ShopSession),
    then: impl Fn(ShopSession) -> W + Clone + Send + Sync + 'static,
) -> T
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let spawned: Spawned<T> = Arc::default();
    let handler = {
        let spawned = spawned.clone();
        move |mut shop: ShopSession| async move {
            first(&mut shop);
            let (go, gone) = oneshot::channel();
            let task = tokio::spawn(async move {
                gone.await.unwrap();
                then(shop).await
            });
            *spawned.lock().unwrap() = Some((task, go));
        }
    };
    let spawning = site.serving(Router::new().route("/", post(handler)));
    spawning.post(browser, "/").await.assert_no_cookie();
    let (task, go) = spawned.lock().unwrap().take().unwrap();
    go.send(()).unwrap();
    task.await.unwrap()
}

#[track_caller]
fn assert_told(outcome: &Result<Commit, CommitError>) {
    assert!(
        outcome.is_err(),
        "a commit that came too late says {outcome:?} of changes that were lost"
    );
}

#[tokio::test]
async fn a_commit_that_comes_after_the_responses_says_so() {
    let thens: [fn(&mut ShopSession); 4] = [
        |shop| *shop.visits_mut() += 1,
        |shop| shop.set_user(Some(7)),
        |shop| shop.rotate(),
        |shop| shop.destroy(),
    ];
    for then in thens {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let outcome = after_the_response(
            &site,
            &mut browser,
            |_| {},
            move |mut shop| async move {
                then(&mut shop);
                shop.commit().await
            },
        )
        .await;
        assert_told(&outcome);
        let reply = site.get(&mut browser, "/read").await;
        assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (1, None));
    }
}

#[tokio::test]
async fn so_does_one_of_changes_that_were_made_before_the_response_and_not_let_go_of() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let outcome = after_the_response(
        &site,
        &mut browser,
        |shop| *shop.visits_mut() += 1,
        |mut shop| async move { shop.commit().await },
    )
    .await;
    assert_told(&outcome);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

/// And goes on saying so: a second try is no cleaner.
#[tokio::test]
async fn a_second_late_commit_is_not_clean_either() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let outcomes = after_the_response(
        &site,
        &mut browser,
        |_| {},
        |mut shop| async move {
            *shop.visits_mut() += 1;
            let first = shop.commit().await;
            *shop.visits_mut() += 1;
            [first, shop.commit().await]
        },
    )
    .await;
    outcomes.iter().for_each(assert_told);
}

#[tokio::test]
async fn writes_that_are_dropped_after_the_response_are_an_error_in_the_log() {
    let firsts: [fn(&mut ShopSession); 2] = [|_| {}, |shop| *shop.visits_mut() += 1];
    for first in firsts {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let log = Log::capture();
        after_the_response(&site, &mut browser, first, |mut shop| async move {
            shop.set_note(Some("hush-hush".into()));
        })
        .await;
        let errors = log.of(Level::ERROR);
        assert!(
            errors.contains("shop"),
            "lost writes are no error in the log:\n{}",
            log.text()
        );
        assert!(!log.text().contains("hush-hush"), "{}", log.text());
    }
}

/// A task that is aborted, or never ends, loses them as well.
#[tokio::test]
async fn so_are_those_of_a_task_that_is_aborted() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let log = Log::capture();
    let aborted = after_the_response(
        &site,
        &mut browser,
        |shop| *shop.visits_mut() += 1,
        |shop| async move {
            let task = tokio::spawn(async move {
                pending::<()>().await;
                drop(shop);
            });
            task.abort();
            task.await.is_err()
        },
    )
    .await;
    assert!(aborted);
    assert!(
        log.of(Level::ERROR).contains("shop"),
        "lost writes are no error in the log:\n{}",
        log.text()
    );
}
