//! Rolling deploys: two programs with different structs serve one session in turn, over the same tiers. The steps are
//! those of the crate's recipe.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use session_runtime::{CascadeStore, RouterExt, ServedBy, Session, TypedSession};

use crate::site::{Browser, Site, send};

/// How often each of two nodes writes in [`Nodes::roll`].
const WRITES: u64 = 4;

/// A program that knows the session as `T`: what a write does, and what a page shows.
fn program<T: ServedBy<CascadeStore>>(
    write: fn(&mut TypedSession<T>),
    show: fn(&TypedSession<T>) -> String,
) -> Router<CascadeStore> {
    let around = move |Extension(other): Extension<Router>, headers: HeaderMap, mut shop: TypedSession<T>| async move {
        write(&mut shop);
        // The other node loads, writes and commits before this one commits.
        let cookie = headers.get(COOKIE).and_then(|cookie| cookie.to_str().ok());
        send(&other, Method::POST, "/write", cookie).await.status
    };
    Router::new()
        .route("/show", get(move |shop: TypedSession<T>| async move { show(&shop) }))
        .route(
            "/write",
            post(move |mut shop: TypedSession<T>| async move { write(&mut shop) }),
        )
        .route("/write-around", post(around))
}

/// The old node and the new one, on the same tiers.
struct Nodes([Router; 2]);

impl Nodes {
    async fn new([old, new]: [Router<CascadeStore>; 2]) -> Self {
        let site = Site::new().await;
        let [one, two] = [site.clone(), site.node(|builder| builder).await].map(|site| site.store);
        let [of_old, of_new] = [old.clone().sessions(one.clone()), new.clone().sessions(two.clone())];
        Self([
            old.layer(Extension(of_new)).sessions(one),
            new.layer(Extension(of_old)).sessions(two),
        ])
    }

    /// Sends requests to both nodes in turn, to `first` first. Each is answered 200: what the old node shows in the
    /// end, and the new one.
    async fn roll(&self, first: usize) -> [String; 2] {
        let (browser, second) = (&mut Browser::default(), 1 - first);
        for (node, path) in [
            (first, "/write"),
            (second, "/show"),
            (second, "/write"),
            (first, "/show"),
            (first, "/write-around"),
            (second, "/write-around"),
            (first, "/write"),
            (second, "/write"),
        ] {
            let method = if path == "/show" { Method::GET } else { Method::POST };
            let reply = browser.send(&self.0[node], method, path).await;
            assert_eq!(reply.status, StatusCode::OK, "node {node} of {first} first, {path}");
        }
        let mut shown = Vec::new();
        for node in &self.0 {
            shown.push(browser.send(node, Method::GET, "/show").await.body);
        }
        shown.try_into().unwrap()
    }

    /// Both nodes answer, both count all writes, and show what else is `shown`, whoever begins.
    async fn assert_agree(programs: [Router<CascadeStore>; 2], shown: [&str; 2]) {
        let nodes = Self::new(programs).await;
        for first in [0, 1] {
            let expected = shown.map(|shown| format!("{} visits{shown}", 2 * WRITES));
            assert_eq!(nodes.roll(first).await, expected, "node {first} first");
        }
    }
}

/// The session of a program, in a module of its own: `visits`, and other fields.
macro_rules! shop {
    ($name:ident, ($($argument:tt)*), { $($fields:tt)* }) => {
        mod $name {
            #[allow(unused_imports, reason = "some have no fields of their own types")]
            use super::*;

            #[derive(Session)]
            #[session(name = "shop", $($argument)*)]
            #[cascade(memcache, datastore)]
            pub(super) struct Shop {
                #[session(merge = add)]
                pub(super) visits: u64,
                $($fields)*
            }
        }
    };
}

shop!(plain, (version = 1), {});
shop!(added, (version = 1), {
    #[session(default = 3, merge = add)]
    pub(super) stars: u8,
});
shop!(unused, (version = 1), {
    #[allow(dead_code, reason = "no code uses it any more")]
    pub(super) coupon: String,
});
shop!(removed, (version = 1, removed("coupon")), {});
shop!(commented, (version = 1), {
    #[session(merge = add)]
    pub(super) comments: u64,
});
shop!(accessor, (version = 1), {
    #[session(merge = add, accessor = "notes")]
    pub(super) comments: u64,
});
shop!(was, (version = 1), {
    #[session(merge = add, was = "comments")]
    pub(super) notes: u64,
});

#[tokio::test]
async fn a_field_is_added() {
    let old = program::<plain::Shop>(
        |shop| *shop.visits_mut() += 1,
        |shop| format!("{} visits", shop.visits()),
    );
    let new = program::<added::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            *shop.stars_mut() += 1;
        },
        |shop| format!("{} visits, {} stars", shop.visits(), shop.stars()),
    );
    Nodes::assert_agree([old, new], ["", ", 7 stars"]).await;
}

#[tokio::test]
async fn a_field_is_removed_once_nothing_uses_it() {
    let old = program::<unused::Shop>(
        |shop| *shop.visits_mut() += 1,
        |shop| format!("{} visits", shop.visits()),
    );
    let new = program::<removed::Shop>(
        |shop| *shop.visits_mut() += 1,
        |shop| format!("{} visits", shop.visits()),
    );
    Nodes::assert_agree([old, new], ["", ""]).await;
}

#[tokio::test]
async fn a_field_is_renamed_in_the_code_alone() {
    let old = program::<commented::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            *shop.comments_mut() += 1;
        },
        |shop| format!("{} visits, {} comments", shop.visits(), shop.comments()),
    );
    let new = program::<accessor::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            *shop.notes_mut() += 1;
        },
        |shop| format!("{} visits, {} comments", shop.visits(), shop.notes()),
    );
    Nodes::assert_agree([old, new], [", 8 comments", ", 8 comments"]).await;
}

/// Nobody answers an error, but each program goes on with the name that it knows.
#[tokio::test]
async fn a_field_renamed_in_the_records_is_two_fields_for_a_while() {
    let old = program::<commented::Shop>(|shop| *shop.comments_mut() += 1, |shop| shop.comments().to_string());
    let new = program::<was::Shop>(|shop| *shop.notes_mut() += 1, |shop| shop.notes().to_string());
    let nodes = Nodes::new([old, new]).await;
    // The first write of the old node is what the new one begins with.
    assert_eq!(nodes.roll(0).await, ["4", "5"]);
    assert_eq!(nodes.roll(1).await, ["4", "4"]);
}

/// A price: text in the first program, a number in the last.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Price {
    Text(String),
    Cents(u64),
}

impl Price {
    fn cents(&self) -> u64 {
        match self {
            Self::Text(text) => text.parse().unwrap(),
            Self::Cents(cents) => *cents,
        }
    }
}

shop!(text, (version = 1), {
    #[session(default = "100".to_owned())]
    pub(super) price: String,
});
shop!(either, (version = 1), {
    #[session(default = Price::Text("100".to_owned()))]
    pub(super) price: Price,
});
shop!(cents, (version = 1), {
    #[session(default = 100)]
    pub(super) price: u64,
});

#[tokio::test]
async fn a_type_is_changed_by_way_of_one_that_reads_both_forms() {
    let text = program::<text::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            let cents = shop.price().parse::<u64>().unwrap() + 1;
            shop.set_price(cents.to_string());
        },
        |shop| format!("{} visits, {} cents", shop.visits(), shop.price()),
    );
    let reads_both = program::<either::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            let cents = shop.price().cents() + 1;
            shop.set_price(Price::Text(cents.to_string()));
        },
        |shop| format!("{} visits, {} cents", shop.visits(), shop.price().cents()),
    );
    let writes_new = program::<either::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            let cents = shop.price().cents() + 1;
            shop.set_price(Price::Cents(cents));
        },
        |shop| format!("{} visits, {} cents", shop.visits(), shop.price().cents()),
    );
    let cents = program::<cents::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            *shop.price_mut() += 1;
        },
        |shop| format!("{} visits, {} cents", shop.visits(), shop.price()),
    );
    for programs in [
        [text, reads_both.clone()],
        [reads_both, writes_new.clone()],
        [writes_new, cents],
    ] {
        // Of two prices that are written at once, which happens twice, the last one counts.
        Nodes::assert_agree(programs, [", 106 cents"; 2]).await;
    }
}

#[derive(Default, Deserialize, Serialize)]
enum OldTheme {
    #[default]
    Light,
    Dark,
}

#[derive(Default, Deserialize, Serialize)]
enum Theme {
    #[default]
    Light,
    Dark,
    Sepia,
}

shop!(two_themes, (version = 1), {
    pub(super) theme: OldTheme,
});
shop!(three_themes, (version = 1), {
    pub(super) theme: Theme,
});

#[tokio::test]
async fn a_variant_is_read_everywhere_before_it_is_written_anywhere() {
    fn three(write: fn(&mut TypedSession<three_themes::Shop>)) -> Router<CascadeStore> {
        program::<three_themes::Shop>(write, |shop| format!("{} visits", shop.visits()))
    }
    let old = program::<two_themes::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            shop.set_theme(OldTheme::Dark);
        },
        |shop| match shop.theme() {
            OldTheme::Light | OldTheme::Dark => format!("{} visits", shop.visits()),
        },
    );
    let reads = three(|shop| {
        *shop.visits_mut() += 1;
        shop.set_theme(Theme::Dark);
    });
    let writes = three(|shop| {
        *shop.visits_mut() += 1;
        shop.set_theme(Theme::Sepia);
    });
    for programs in [[old, reads.clone()], [reads, writes]] {
        Nodes::assert_agree(programs, [""; 2]).await;
    }
}

shop!(apart, (version = 1), {
    pub(super) first: String,
    pub(super) last: String,
});
shop!(both, (version = 1), {
    pub(super) first: String,
    pub(super) last: String,
    pub(super) name: Option<String>,
});
shop!(together, (version = 1, removed("first", "last")), {
    pub(super) name: Option<String>,
});

#[tokio::test]
async fn a_field_takes_the_place_of_others() {
    fn name(shop: &both::ShopFields) -> String {
        let apart = || format!("{} {}", shop.first(), shop.last());
        shop.name().clone().unwrap_or_else(apart)
    }
    let apart = program::<apart::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            shop.set_first("Ada".to_owned());
            let last = format!("the {}.", shop.visits());
            shop.set_last(last);
        },
        |shop| format!("{} visits: {} {}", shop.visits(), shop.first(), shop.last()),
    );
    let writes_apart = program::<both::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            shop.set_first("Ada".to_owned());
            let last = format!("the {}.", shop.visits());
            shop.set_last(last);
            shop.set_name(None);
        },
        |shop| format!("{} visits: {}", shop.visits(), name(shop)),
    );
    let writes_name = program::<both::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            let name = format!("Ada the {}.", shop.visits());
            shop.set_name(Some(name));
        },
        |shop| format!("{} visits: {}", shop.visits(), name(shop)),
    );
    let together = program::<together::Shop>(
        |shop| {
            *shop.visits_mut() += 1;
            let name = format!("Ada the {}.", shop.visits());
            shop.set_name(Some(name));
        },
        |shop| format!("{} visits: {}", shop.visits(), shop.name().clone().unwrap_or_default()),
    );
    for programs in [
        [apart, writes_apart.clone()],
        [writes_apart, writes_name.clone()],
        [writes_name, together],
    ] {
        Nodes::assert_agree(programs, [": Ada the 8."; 2]).await;
    }
}

shop!(raised, (version = 2), {});

/// There is no order of steps for a higher version: whatever the new program has written, the old one refuses.
#[tokio::test]
async fn an_old_program_refuses_a_record_of_a_higher_version_and_leaves_it() {
    let old = program::<plain::Shop>(|shop| *shop.visits_mut() += 1, |shop| shop.visits().to_string());
    let new = program::<raised::Shop>(|shop| *shop.visits_mut() += 1, |shop| shop.visits().to_string());
    let Nodes([old, new]) = Nodes::new([old, new]).await;
    let browser = &mut Browser::default();
    browser.send(&old, Method::POST, "/write").await;
    browser.send(&new, Method::POST, "/write").await;
    for (method, path) in [
        (Method::GET, "/show"),
        (Method::POST, "/write"),
        (Method::POST, "/write-around"),
    ] {
        let reply = browser.send(&old, method, path).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        reply.assert_no_cookie();
    }
    // A load before the new program's write does not help: the commit meets it.
    let late = &mut Browser::default();
    late.send(&old, Method::POST, "/write").await;
    let reply = late.send(&old, Method::POST, "/write-around").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.send(&new, Method::GET, "/show").await.body, "2");
    assert_eq!(late.send(&new, Method::GET, "/show").await.body, "2");
}
