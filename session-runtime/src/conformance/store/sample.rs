//! One session for each set of tiers.

use std::collections::BTreeSet;

use crate::Session;
use crate::session::owner::OwnedSession;

/// What the rules do with a session of any set of tiers.
pub(super) trait Sample: Session {
    fn visits(fields: &Self::Fields) -> u64;
    fn visit(fields: &mut Self::Fields);
    fn note(fields: &Self::Fields) -> &str;
    fn set_note(fields: &mut Self::Fields, note: &str);
    fn tags(fields: &Self::Fields) -> &BTreeSet<u64>;
    fn tag(fields: &mut Self::Fields, tag: u64);
    fn set_user(fields: &mut Self::Fields, user: u64);
    /// Borrows a field mutably, and leaves it as it was.
    fn touch(fields: &mut Self::Fields);
}

/// What the rules do with a session that outlives its request.
pub(super) trait OwnedSample: Sample + OwnedSession<OwnerId = u64> {}

impl<S: Sample + OwnedSession<OwnerId = u64>> OwnedSample for S {}

macro_rules! samples {
    ($($name:ident($user:ident): $($tier:ident),+;)+) => { $(
        #[derive(Session)]
        #[session(name = "conformance", version = 1, crate = crate)]
        #[cascade($($tier),+)]
        pub(super) struct $name {
            #[session(merge = add)]
            visits: u64,
            note: String,
            #[session(merge = union)]
            tags: BTreeSet<u64>,
            #[session($user)]
            user: Option<u64>,
        }

        impl Sample for $name {
            fn visits(fields: &Self::Fields) -> u64 {
                *fields.visits()
            }

            fn visit(fields: &mut Self::Fields) {
                *fields.visits_mut() += 1;
            }

            fn note(fields: &Self::Fields) -> &str {
                fields.note()
            }

            fn set_note(fields: &mut Self::Fields, note: &str) {
                fields.set_note(note.to_owned());
            }

            fn tags(fields: &Self::Fields) -> &BTreeSet<u64> {
                fields.tags()
            }

            fn tag(fields: &mut Self::Fields, tag: u64) {
                fields.tags_mut().insert(tag);
            }

            fn set_user(fields: &mut Self::Fields, user: u64) {
                fields.set_user(Some(user));
            }

            fn touch(fields: &mut Self::Fields) {
                fields.note_mut().push('x');
                fields.note_mut().pop();
            }
        }
    )+ };
}

samples! {
    InRequest(privileged): request;
    InMemcache(owner): memcache;
    InDatastore(owner): datastore;
    InRequestMemcache(owner): request, memcache;
    InRequestDatastore(owner): request, datastore;
    InMemcacheDatastore(owner): memcache, datastore;
    InAll(owner): request, memcache, datastore;
}
