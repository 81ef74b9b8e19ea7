//! What the table and the chart show.

use super::calendar::SECOND;
use super::setting::{Fault, FaultKind, Setting};

/// The runs of the table.
pub(crate) fn all() -> Vec<Setting> {
    let usual = Setting::usual;
    let nodes = |nodes| Setting {
        name: count(nodes),
        nodes,
        ..usual()
    };
    let writes = |share| Setting {
        name: format!("{:.0} % writes", share * 100.0),
        writes: share,
        ..usual()
    };
    let busy = Setting {
        name: "Zipf 0.99".to_owned(),
        zipf: 0.99,
        ..usual()
    };
    let fault = |name: &str, kind, nodes| Setting {
        name: name.to_owned(),
        nodes,
        ..failing(kind)
    };
    let drawn = |name, kind| Setting {
        drawn: Some(name),
        ..fault(name, kind, 20)
    };
    let mut all = vec![
        nodes(1),
        nodes(5),
        nodes(20),
        nodes(50),
        writes(0.01),
        writes(0.5),
        busy,
    ];
    all.extend([(1, 100.0), (20, 100.0), (50, 100.0)].map(|(nodes, rate)| hot(nodes, rate)));
    all.extend([(1, 1000.0), (10, 1000.0), (20, 1000.0), (50, 1000.0)].map(|(nodes, rate)| hot(nodes, rate)));
    all.extend([
        drawn(
            "one of 8 memcacheds leaves, and is back empty",
            FaultKind::MemcachedRestarts,
        ),
        drawn("one of 8 memcacheds hangs", FaultKind::MemcachedHangs),
        fault(
            "half of the nodes cannot reach one of 8 memcacheds",
            FaultKind::MemcachedCutOff,
            20,
        ),
        drawn("Datastore stalls", FaultKind::DatastoreStalls),
        fault("Datastore stalls, 50 nodes", FaultKind::DatastoreStalls, 50),
    ]);
    all
}

fn count(nodes: u16) -> String {
    format!("{nodes} node{}", if nodes == 1 { "" } else { "s" })
}

/// A fault of ten seconds.
pub(crate) fn failing(kind: FaultKind) -> Setting {
    let fault = Fault {
        kind,
        from: 3 * SECOND,
        until: 13 * SECOND,
    };
    Setting {
        fault: Some(fault),
        length: 20 * SECOND,
        ..Setting::usual()
    }
}

/// A session that is written and read so many times a second, beside a few others.
pub(crate) fn hot(nodes: u16, rate: f64) -> Setting {
    Setting {
        name: format!("one session, {rate} writes and reads a second, {}", count(nodes)),
        nodes,
        hot: rate,
        sessions: 10_000,
        rate: 10.0,
        length: 60 * SECOND,
        ..Setting::usual()
    }
}
