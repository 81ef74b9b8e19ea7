//! Passwords are hashed with Argon2id, a few at once, away from the threads that serve requests.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{self, PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::error::Error;

/// Nobody has it.
pub const DUMMY: &str = "nobody's password";

/// How long a request waits for its turn before it is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// As many as there are cores: each takes one, and 19 MiB with the default parameters.
pub fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    permits: Arc<Semaphore>,
    /// Checked where there is no such user, so that the time which an answer takes does not tell.
    dummy_hash: String,
}

impl Passwords {
    pub fn new(params: Params, at_once: usize) -> Result<Self, password_hash::Error> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy_hash = argon2.hash_password(DUMMY.as_bytes())?.to_string();
        Ok(Self {
            argon2,
            permits: Arc::new(Semaphore::new(at_once)),
            dummy_hash,
        })
    }

    /// The hash to be stored, in PHC format, with a salt of its own.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        let hash = self
            .run(move |argon2| argon2.hash_password(password.as_bytes()))
            .await?;
        Ok(hash.map_err(Error::internal)?.to_string())
    }

    /// Whether the password is that of the hash. Without one it is not, and that takes as long.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Error> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy_hash.clone());
        let verify = move |argon2: &Argon2<'_>| argon2.verify_password(password.as_bytes(), &PasswordHash::new(&hash)?);
        match self.run(verify).await? {
            Ok(()) => Ok(is_known),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(Error::internal(error)),
        }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(LONGEST_WAIT, permit).await;
        let permit = permit.map_err(|_| Error::Busy)?.map_err(Error::internal)?;
        let argon2 = self.argon2.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Until the work is done, even where the request has gone meanwhile.
            let _permit = permit;
            work(&argon2)
        });
        done.await.map_err(Error::internal)
    }
}
