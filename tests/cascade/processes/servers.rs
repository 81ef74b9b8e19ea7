//! Nodes whose lists of memcached servers differ, as while a change of the list is rolled out.

use std::time::Duration;

use super::{Browser, MAX_STALENESS, Servers};

/// The new node serves half of the sessions from the new server.
const MAX_SESSIONS: usize = 64;

#[tokio::test]
async fn nodes_that_disagree_about_the_servers_lose_nothing_and_agree_after_max_staleness() {
    let Some(servers) = Servers::start(2) else { return };
    let (old, new) = (servers.node(&[0], &[]), servers.node(&[1, 0], &[]));
    let (mut together, mut apart) = (Vec::new(), Vec::new());
    while together.is_empty() || apart.len() < 3 {
        assert!(together.len() + apart.len() < MAX_SESSIONS);
        let mut browser = Browser::visitor(&old).await;
        browser.fill(&new).await;
        browser.visit(&old).await;
        // Only where both use the same server, the write has hidden what the new node reads.
        match browser.read(&new).await.as_str() {
            "1" => apart.push(browser),
            "2" => together.push(browser),
            other => panic!("{other}"),
        }
    }
    // A write that begins with the old value is made in the newest record.
    apart[0].visit(&new).await;
    // What was destroyed is served for so long, but stays dead.
    for ended in &mut apart[1..] {
        ended.send(&old, "POST", "/leave").await;
        assert_eq!(ended.read(&new).await, "1");
    }
    assert_eq!(apart[2].send(&new, "POST", "/visit").await.status, 409);
    for node in [&old, &new] {
        node.advance(MAX_STALENESS + Duration::from_secs(1)).await;
        assert_eq!(apart[0].read(node).await, "3");
        assert_eq!(apart[1].read(node).await, "new");
        assert_eq!(apart[2].read(node).await, "new");
        assert_eq!(together[0].read(node).await, "2");
    }
}
