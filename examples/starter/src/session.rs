//! What is remembered of a visitor from request to request.

use std::collections::BTreeMap;

use session_runtime::Session;

use crate::users::UserId;

/// How many notices wait for one who opens no page.
const MOST_NOTICES: usize = 10;

#[derive(Debug, Session)]
#[session(name = "starter", version = 1, idle = "14d", max_age = "30d")]
#[cascade(request, memcache, datastore)]
pub struct Visitor {
    /// Who is signed in. Writing it gives the session a new secret, and so a new cookie.
    #[session(privileged, secret)]
    pub user: Option<UserId>,
    /// How many of what, by SKU. Of two requests that add to it at once, both count.
    #[session(merge = entries(add))]
    pub cart: BTreeMap<String, u32>,
    /// What the next page tells, once.
    #[session(flash)]
    pub notices: Vec<String>,
}

impl VisitorFields {
    pub fn notify(&mut self, notice: impl Into<String>) {
        if self.notices().len() < MOST_NOTICES {
            self.push_notices(notice.into());
        }
    }
}
