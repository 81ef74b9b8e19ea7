//! A request's use of the codec on a session of ten fields, compared with other libraries on the same cart:
//! `cargo bench -p session-tests --bench hot`. Compare within one run only.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

mod cart;
mod tower;

use std::hint::black_box;

use cart::{Cart, Eager, Lazy, cart, changed, commit, stored, stored_lazy};
use divan::Bencher;
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

fn main() {
    divan::main();
}

/// Opens the stored cart, changes one field, and writes the cart back.
#[divan::bench_group(sample_count = 500, sample_size = 64)]
mod open_change_one_write {
    use super::{Bencher, Cart, Eager, Lazy, Record, Session, black_box, cart, commit, stored, stored_lazy, tower};

    #[divan::bench]
    fn ours_lazy(bencher: Bencher<'_, '_>) {
        let bytes = stored_lazy();
        bencher.bench(|| {
            let record = Record::decode(black_box(&bytes)).unwrap();
            let mut fields = Lazy::open(&record).unwrap();
            *fields.visits_mut().unwrap() += 1;
            commit::<Lazy>(&record, &fields)
        });
    }

    #[divan::bench]
    fn ours_eager(bencher: Bencher<'_, '_>) {
        let bytes = stored();
        bencher.bench(|| {
            let record = Record::decode(black_box(&bytes)).unwrap();
            let mut fields = Eager::open(&record).unwrap();
            *fields.visits_mut() += 1;
            commit::<Eager>(&record, &fields)
        });
    }

    #[divan::bench]
    fn tower_sessions_ten_keys(bencher: Bencher<'_, '_>) {
        let bytes = tower::ten_keys(&cart());
        bencher.bench(|| tower::change_one::<u32>(black_box(&bytes), "visits", |visits| *visits += 1));
    }

    #[divan::bench]
    fn tower_sessions_one_key(bencher: Bencher<'_, '_>) {
        let bytes = tower::one_key(&cart());
        bencher.bench(|| tower::change_one::<Cart>(black_box(&bytes), "cart", |cart| cart.visits += 1));
    }

    #[divan::bench]
    fn ciborium_whole(bencher: Bencher<'_, '_>) {
        let mut bytes = Vec::new();
        ciborium::into_writer(&cart(), &mut bytes).unwrap();
        bencher.bench(|| {
            let mut cart: Cart = ciborium::from_reader(black_box(&bytes[..])).unwrap();
            cart.visits += 1;
            let mut out = Vec::new();
            ciborium::into_writer(&cart, &mut out).unwrap();
            out
        });
    }

    #[divan::bench]
    fn minicbor_derive(bencher: Bencher<'_, '_>) {
        let bytes = minicbor::to_vec(cart()).unwrap();
        bencher.bench(|| {
            let mut cart: Cart = minicbor::decode(black_box(&bytes)).unwrap();
            cart.visits += 1;
            minicbor::to_vec(&cart).unwrap()
        });
    }
}

/// Decodes every field of the stored bytes.
#[divan::bench_group(sample_count = 500, sample_size = 64)]
mod decode_all {
    use super::{Bencher, Cart, Eager, Record, Session, black_box, cart, stored, tower};

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let bytes = stored();
        bencher.bench(|| Eager::open(&Record::decode(black_box(&bytes)).unwrap()).unwrap());
    }

    #[divan::bench]
    fn ciborium_whole(bencher: Bencher<'_, '_>) {
        let mut bytes = Vec::new();
        ciborium::into_writer(&cart(), &mut bytes).unwrap();
        bencher.bench(|| ciborium::from_reader::<Cart, _>(black_box(&bytes[..])).unwrap());
    }

    #[divan::bench]
    fn minicbor_derive(bencher: Bencher<'_, '_>) {
        let bytes = minicbor::to_vec(cart()).unwrap();
        bencher.bench(|| minicbor::decode::<Cart>(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn tower_sessions_one_key(bencher: Bencher<'_, '_>) {
        let bytes = tower::one_key(&cart());
        bencher.bench(|| tower::read::<Cart>(black_box(&bytes), "cart"));
    }
}

/// Encodes the changes to every field, applies them to the record, and writes the record.
#[divan::bench_group(sample_count = 500, sample_size = 64)]
mod encode_all {
    use super::{Bencher, Changes, Eager, black_box, cart, changed, commit, tower};

    /// Encodes the values, and compares them with those that were loaded.
    #[divan::bench]
    fn ours_values(bencher: Bencher<'_, '_>) {
        let (_, fields) = changed();
        bencher.bench(|| Changes::collect::<Eager>(black_box(&fields)).unwrap());
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let (record, fields) = changed();
        bencher.bench(|| commit::<Eager>(black_box(&record), black_box(&fields)));
    }

    #[divan::bench]
    fn ciborium_whole(bencher: Bencher<'_, '_>) {
        let cart = cart();
        bencher.bench(|| {
            let mut out = Vec::new();
            ciborium::into_writer(black_box(&cart), &mut out).unwrap();
            out
        });
    }

    #[divan::bench]
    fn minicbor_derive(bencher: Bencher<'_, '_>) {
        let cart = cart();
        bencher.bench(|| minicbor::to_vec(black_box(&cart)).unwrap());
    }

    #[divan::bench]
    fn tower_sessions_one_key(bencher: Bencher<'_, '_>) {
        let cart = cart();
        bencher.bench(|| tower::one_key(black_box(&cart)));
    }
}

/// The commit of a session that was read and not changed.
#[divan::bench(sample_count = 500, sample_size = 64)]
fn nothing_changed(bencher: Bencher<'_, '_>) {
    let fields = Eager::open(&Record::decode(&stored()).unwrap()).unwrap();
    bencher.bench(|| Changes::collect::<Eager>(black_box(&fields)).unwrap().is_empty());
}

/// The steps of `open_change_one_write::ours_lazy`.
#[divan::bench_group(sample_count = 500, sample_size = 64)]
mod parts {
    use super::{Bencher, Changes, Lazy, Record, Session, black_box, stored_lazy};
    use crate::cart::patch;

    #[divan::bench]
    fn decode_record(bencher: Bencher<'_, '_>) {
        let bytes = stored_lazy();
        bencher.bench(|| Record::decode(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn open_fields(bencher: Bencher<'_, '_>) {
        let record = Record::decode(&stored_lazy()).unwrap();
        bencher.bench(|| Lazy::open(black_box(&record)).unwrap());
    }

    #[divan::bench]
    fn collect(bencher: Bencher<'_, '_>) {
        let mut fields = Lazy::open(&Record::decode(&stored_lazy()).unwrap()).unwrap();
        *fields.visits_mut().unwrap() += 1;
        bencher.bench(|| Changes::collect::<Lazy>(black_box(&fields)).unwrap());
    }

    #[divan::bench]
    fn apply(bencher: Bencher<'_, '_>) {
        let record = Record::decode(&stored_lazy()).unwrap();
        let mut fields = Lazy::open(&record).unwrap();
        *fields.visits_mut().unwrap() += 1;
        let patch = patch::<Lazy>(Changes::collect::<Lazy>(&fields).unwrap());
        bencher.bench(|| black_box(&patch).make(black_box(&record), Some(patch.nonce)).unwrap());
    }
}

/// Whole requests to a session that is in the durable tier alone, in memory, where it is authenticated or sealed.
#[divan::bench_group(sample_count = 200, sample_size = 16)]
mod stored_as {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::header::{COOKIE, SET_COOKIE};
    use axum::routing::get;
    use session_runtime::{Builder, CascadeStore, KeyRing, NoMemcache, RouterExt, TypedSession, WithDatastore};
    use session_tests::memory::MemoryStore;
    use tower::ServiceExt;

    use super::{Bencher, Session, black_box};

    #[derive(Session)]
    #[session(name = "stored")]
    #[cascade(datastore)]
    struct Stored {
        #[session(merge = add)]
        visits: u64,
        cart: String,
    }

    async fn read(stored: TypedSession<Stored>) -> String {
        stored.visits().to_string()
    }

    async fn write(mut stored: TypedSession<Stored>) {
        *stored.visits_mut() += 1;
        if stored.cart().is_empty() {
            stored.set_cart("x".repeat(438));
        }
    }

    fn bench(
        bencher: Bencher<'_, '_>,
        path: &str,
        seal: fn(Builder<NoMemcache, WithDatastore>) -> Builder<NoMemcache, WithDatastore>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let app = runtime.block_on(async {
            let builder = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap()).datastore(MemoryStore::default());
            let store = seal(builder).build().await.unwrap();
            let routes = Router::new().route("/read", get(read)).route("/write", get(write));
            let app: Router = routes.sessions(store);
            app
        });
        let send = |path: &str, cookie: Option<&str>| {
            let mut request = Request::get(path);
            if let Some(cookie) = cookie {
                request = request.header(COOKIE, cookie);
            }
            let request = request.body(Body::empty()).unwrap();
            runtime.block_on(app.clone().oneshot(request)).unwrap()
        };
        let response = send("/write", None);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        bencher.bench_local(|| black_box(send(path, Some(&cookie))));
    }

    #[divan::bench]
    fn authenticated_read(bencher: Bencher<'_, '_>) {
        bench(bencher, "/read", |builder| builder);
    }

    #[divan::bench]
    fn sealed_read(bencher: Bencher<'_, '_>) {
        bench(bencher, "/read", Builder::seal);
    }

    #[divan::bench]
    fn authenticated_write(bencher: Bencher<'_, '_>) {
        bench(bencher, "/write", |builder| builder);
    }

    #[divan::bench]
    fn sealed_write(bencher: Bencher<'_, '_>) {
        bench(bencher, "/write", Builder::seal);
    }
}
