//! A name that goes to another Valkey and comes back to the first, which was neither stopped nor demoted meanwhile: nothing
//! tells what it has from what is current. That ends after `max_staleness`, as the documentation says.

use std::time::Duration;

use session_runtime::{CascadeStore, KeyRing, ManualClock, Valkey};
use session_tests::attack::{self, MAX_STALENESS};
use session_tests::memory::MemoryStore;
use session_tests::proxy::Proxy;
use session_tests::services::valkey::{ValkeyServer, url};

use super::staleness::{cookie_of, read, send, timing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_name_comes_back_to_is_stale_no_longer_than_max_staleness() {
    let (Some(first), Some(second)) = (ValkeyServer::start(), ValkeyServer::start()) else {
        return;
    };
    let (name, clock) = (Proxy::start(first.address()).await, ManualClock::default());
    let store = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap())
        .single_process()
        .memcache(Valkey::connect(url(name.address())).unwrap())
        .datastore(MemoryStore::default());
    let store = attack::with_bounds(store).clock(clock.clone()).build().await.unwrap();
    let node = attack::app(&store);
    let move_to = async |server: &ValkeyServer| {
        name.retarget(server.address());
        name.cut().await;
    };
    let cookie = cookie_of(&send(&node, "POST", "/create?number=1", "").await);
    let (view, by) = read(&node, &cookie).await;
    assert!(view.adds.is_empty() && by.contains("\"valkey\""), "{by}");

    // A write is acknowledged while the name leads to the other server.
    move_to(&second).await;
    assert!(read(&node, &cookie).await.0.adds.is_empty());
    let wrote = send(&node, "POST", "/add?number=2", &cookie).await;
    assert!(timing(&wrote).contains("\"coherent\""), "{}", timing(&wrote));
    assert!(read(&node, &cookie).await.0.adds.contains(&2));

    // Back: the first one still has the old value, and its own life.
    move_to(&first).await;
    let (view, by) = read(&node, &cookie).await;
    assert!(view.adds.is_empty() && by.contains("\"valkey\""), "{by}");
    clock.advance(MAX_STALENESS + Duration::from_millis(1));
    assert!(read(&node, &cookie).await.0.adds.contains(&2));
}
