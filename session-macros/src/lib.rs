//! The derive of `session-runtime`. Depend on that crate; it re-exports this one.
