//! The users. This is where your database goes: these are in memory, and gone when the program ends.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// Random, and never used again: a session that outlives its user must not become another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserId(u64);

#[derive(Clone)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub password_hash: String,
}

#[derive(Clone, Default)]
pub struct Users(Arc<Mutex<Vec<User>>>);

impl Users {
    /// `None` where the name is taken.
    pub async fn add(&self, name: &str, password_hash: String) -> Result<Option<User>, getrandom::Error> {
        let user = User {
            id: UserId(getrandom::u64()?),
            name: name.to_owned(),
            password_hash,
        };
        let mut users = self.0.lock().await;
        if users.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return Ok(None);
        }
        users.push(user.clone());
        Ok(Some(user))
    }

    pub async fn by_name(&self, name: &str) -> Option<User> {
        let users = self.0.lock().await;
        users.iter().find(|user| user.name.eq_ignore_ascii_case(name)).cloned()
    }

    pub async fn by_id(&self, id: UserId) -> Option<User> {
        let users = self.0.lock().await;
        users.iter().find(|user| user.id == id).cloned()
    }
}
