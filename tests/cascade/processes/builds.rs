//! Two builds of a program side by side.

use super::{Browser, Servers};

#[tokio::test]
async fn two_builds_share_what_is_cached() {
    let Some(servers) = Servers::start(1) else { return };
    let (old, new) = (servers.node(&[0], &[]), servers.node(&[0], &[("BUILD", "starred")]));
    for (order, stars) in [([&old, &new], 3 + 3), ([&new, &old], 3 + 4)] {
        let mut browser = Browser::visitor(order[0]).await;
        for visits in [2, 4, 6] {
            for (at, node) in order.into_iter().enumerate() {
                browser.visit(node).await;
                for reader in [&old, &new] {
                    let answer = browser.send(reader, "GET", "/").await;
                    assert_eq!(
                        answer.load(),
                        Some("memcache"),
                        "either reads what the other has cached"
                    );
                    assert!(answer.body.starts_with(&(visits + at).to_string()), "{answer:?}");
                }
            }
        }
        // The old build, which does not know the stars, has kept them.
        assert_eq!(browser.read(&new).await, format!("7 visits, {stars} stars"));
    }
}

/// There is no order of steps for a higher version: whatever the new build has written, the old one refuses.
#[tokio::test]
async fn an_older_build_refuses_a_session_of_a_higher_version_and_leaves_it() {
    let Some(servers) = Servers::start(1) else { return };
    let (old, new) = (servers.node(&[0], &[]), servers.node(&[0], &[("BUILD", "raised")]));
    let mut browser = Browser::visitor(&old).await;
    browser.visit(&new).await;
    for is_cached in [true, false] {
        if !is_cached {
            servers.caches[0].flush();
        }
        for (method, path) in [("GET", "/"), ("POST", "/visit")] {
            let answer = browser.send(&old, method, path).await;
            assert_eq!((answer.status, answer.cookie), (503, None), "{path}");
        }
        assert_eq!(browser.read(&new).await, "2");
    }
}
