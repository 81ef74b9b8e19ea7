//! Nodes with different key rings, as while a key is rolled out.

use super::{Browser, NEW_KEY, Node, OLD_KEY, Servers};

fn node(servers: &Servers, keys: &[&str]) -> Node {
    servers.node(&[0], &[("SESSION_KEYS", &keys.join(","))])
}

#[tokio::test]
async fn a_key_is_rolled_in_two_steps_and_every_session_is_readable_all_the_while() {
    let Some(servers) = Servers::start(1) else { return };
    let (old, behind) = ([OLD_KEY].as_slice(), [OLD_KEY, NEW_KEY].as_slice());
    let (before, new) = ([NEW_KEY, OLD_KEY].as_slice(), [NEW_KEY].as_slice());
    let mut eldest = Browser::visitor(&node(&servers, old)).await;
    let mut visits = 1;
    for rings in [[old, behind], [behind, before]] {
        let [one, two] = rings.map(|keys| node(&servers, keys));
        for (writer, reader) in [(&one, &two), (&two, &one)] {
            let mut browser = Browser::visitor(writer).await;
            assert_eq!(browser.read(reader).await, "1");
            browser.visit(reader).await;
            assert_eq!(browser.read(writer).await, "2");
            eldest.visit(writer).await;
            visits += 1;
            assert_eq!(eldest.read(reader).await, visits.to_string());
        }
    }
    // The old key can go once `old_key_uses` stands still: until then its cookies count for nothing.
    let last = node(&servers, new);
    assert_eq!(eldest.read(&last).await, "new");
    let mut browser = Browser::visitor(&node(&servers, before)).await;
    assert_eq!(browser.read(&last).await, "1");
}

/// In one step instead of two, as it should not be done.
#[tokio::test]
async fn a_node_that_lacks_a_key_reads_past_what_that_has_signed_and_leaves_it() {
    let Some(servers) = Servers::start(1) else { return };
    let (old, new) = (node(&servers, &[OLD_KEY]), node(&servers, &[NEW_KEY, OLD_KEY]));
    let mut browser = Browser::visitor(&old).await;
    servers.caches[0].flush();
    browser.fill(&new).await;
    for _ in 0..3 {
        let answer = browser.send(&old, "GET", "/").await;
        assert_eq!((answer.load(), answer.body.as_str()), (Some("records"), "1"));
        let answer = browser.send(&new, "GET", "/").await;
        assert_eq!((answer.load(), answer.body.as_str()), (Some("memcache"), "1"));
    }
    // It hides it all the same where it writes.
    browser.visit(&old).await;
    assert_eq!(browser.read(&new).await, "2");
}
