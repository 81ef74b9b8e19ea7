//! The session of the shop.

use std::collections::BTreeMap;

use session_runtime::Session;

/// What the shop remembers of a visitor.
#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(request, memcache, datastore)]
pub(crate) struct Shop {
    /// How many of what. Two requests that add to it at once both count, line by line.
    #[session(merge = entries(add))]
    pub(crate) lines: BTreeMap<String, u32>,
    #[session(merge = add)]
    pub(crate) visits: u64,
    pub(crate) note: Option<String>,
    /// Who is signed in. Writing it gives the session a new secret, and lists it with the customer's other sessions; logs
    /// and people who look at records do not see it.
    #[session(owner, secret)]
    pub(crate) user: Option<u64>,
    /// Told once, and then forgotten.
    #[session(flash)]
    pub(crate) notices: Vec<String>,
}
