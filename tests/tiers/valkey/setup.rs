//! What is checked when a store is built: logins, certificates, and whether the server can be used.

use std::net::{Ipv4Addr, SocketAddr};

use session_runtime::tier::valkey::{ConfigError, Valkey};
use session_runtime::tier::{CacheTier, TierErrorKind};
use session_tests::services::valkey::{ValkeyServer, url};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::block_in_place;

use super::{TTL, full_report, kind, patient, tier, value};

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let Some(server) = ValkeyServer::start_with(&["--requirepass", "right"]) else {
        return;
    };
    let at = server.address();
    for login in [":hunter2@", "ada:hunter2@"] {
        let tier = patient(&format!("redis://{login}{at}"));
        let checked = tier.check().await.unwrap_err();
        let called = tier.set("k", "v".into(), TTL).await.unwrap_err();
        for error in [checked, called] {
            assert_eq!(error.kind(), TierErrorKind::Refused, "{error:?}");
            let report = full_report(&error);
            assert!(report.contains("user and password"), "{report}");
            for shown in [report, format!("{error:?}"), format!("{tier:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
    }
    assert_eq!(
        kind(patient(&url(at)).check().await),
        TierErrorKind::Refused,
        "no password"
    );
    let tier = patient(&format!("redis://:right@{at}"));
    tier.check().await.unwrap();
    tier.set("k", "v".into(), TTL).await.unwrap();
    assert!(!format!("{tier:?}").contains("right"), "{tier:?}");
}

/// With what the documentation names, and no more.
#[tokio::test]
async fn a_user_needs_few_commands_and_its_keys() {
    let Some(server) = ValkeyServer::start() else { return };
    let user = "ACL SETUSER shop on >secret ~* +get +set +del +getrange +eval +evalsha +script|load +info";
    let user: Vec<_> = user.split(' ').collect();
    assert_eq!(server.send(&user), "OK");
    let tier = patient(&format!("redis://shop:secret@{}", server.address()));
    tier.check().await.unwrap();
    tier.set("k", "v".into(), TTL).await.unwrap();
    let found = tier.get("k").await.unwrap().unwrap();
    tier.swap("k", found.token, "w".into(), TTL).await.unwrap();
    server.send(&["SCRIPT", "FLUSH"]);
    assert!(tier.add("k2", "v".into(), TTL).await.unwrap());
    server.send(&["ACL", "SETUSER", "shop", "-set"]);
    assert_eq!(kind(tier.set("k", "v".into(), TTL).await), TierErrorKind::Refused);
}

#[tokio::test]
async fn another_database_has_other_values() {
    let Some(server) = ValkeyServer::start() else { return };
    let one = patient(&format!("{}/1", server.url()));
    one.set("k", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&one, "k").await.unwrap(), "v");
    assert_eq!(value(&tier(server.address()), "k").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_refused() {
    let (Some(primary), Some(replica)) = (ValkeyServer::start(), ValkeyServer::start()) else {
        return;
    };
    block_in_place(|| replica.replicate(&primary));
    tier(primary.address()).check().await.unwrap();
    let error = tier(replica.address()).check().await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Refused);
    assert!(
        full_report(&error).contains("name the primary"),
        "{}",
        full_report(&error)
    );
    // It may be promoted any moment, so that calls may be tried again.
    assert_eq!(kind(tier(replica.address()).get("k").await), TierErrorKind::Unavailable);
    replica.promote();
    tier(replica.address()).check().await.unwrap();
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused() {
    let Some(server) = ValkeyServer::start_with(&["--cluster-enabled", "yes"]) else {
        return;
    };
    let error = tier(server.address()).check().await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Refused);
    assert!(full_report(&error).contains("cluster"), "{}", full_report(&error));
    assert_eq!(kind(tier(server.address()).get("k").await), TierErrorKind::Refused);
}

/// A store starts without its cache.
#[tokio::test]
async fn a_server_that_is_down_is_no_error() {
    Valkey::connect("redis://127.0.0.1:1").unwrap().check().await.unwrap();
}

/// Hands connections to these servers in turn.
async fn balancer(servers: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for server in servers.into_iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                let _either_end_closes = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_name_that_leads_to_several_servers_is_refused() {
    let (Some(one), Some(two)) = (ValkeyServer::start(), ValkeyServer::start()) else {
        return;
    };
    tier(balancer(vec![one.address()]).await).check().await.unwrap();
    let several = balancer(vec![one.address(), two.address()]).await;
    let error = tier(several).check().await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Refused);
    assert!(
        full_report(&error).contains("leads to several"),
        "{}",
        full_report(&error)
    );
}

#[tokio::test]
async fn tls_is_verified() {
    let Some(server) = ValkeyServer::start() else { return };
    let Some((url, authority)) = server.use_tls() else {
        return;
    };
    let tier = patient(&url).with_root_certificates(&authority).unwrap();
    tier.check().await.unwrap();
    tier.set("k", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    // Not an authority that the system trusts.
    let error = patient(&url).get("k").await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    assert!(full_report(&error).contains("UnknownIssuer"), "{}", full_report(&error));
    // The certificate is not for this name.
    let other_name = url.replace("127.0.0.1", "localhost");
    let tier = patient(&other_name).with_root_certificates(&authority).unwrap();
    let error = tier.get("k").await.unwrap_err();
    assert!(full_report(&error).contains("certificate"), "{}", full_report(&error));

    let plain = patient(&server.url()).with_root_certificates(&authority);
    assert!(matches!(plain.unwrap_err(), ConfigError::NoTls));
    let none = patient(&url).with_root_certificates("/none");
    assert!(matches!(none.unwrap_err(), ConfigError::Certificates { .. }));
}
