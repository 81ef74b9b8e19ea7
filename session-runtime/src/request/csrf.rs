//! CSRF tokens. They are stored nowhere: a token is a MAC over the name that the session's token is signed for, and the
//! hash of its secret. So it ends with the secret, and that of a superseded secret is still known.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smallvec::SmallVec;

use super::session::RequestSession;
use super::state::{LoadState, PendingActions};
use super::token::SessionToken;
use crate::cascade::LoadError;
use crate::keys::Use;
use crate::session::meta::SecretHash;

/// Why a CSRF token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfError {
    /// The request has no token.
    #[error("the request has no CSRF token")]
    Missing,
    /// The client presented no session, or a forged one: there is nothing that a token could belong to.
    #[error("the request has no session that a CSRF token could belong to")]
    NoSession,
    /// The token is not one of this session: forged, or from before a sign-in, or two rotations old.
    #[error("the CSRF token does not belong to the session")]
    Invalid,
}

/// The CSRF tokens of one session within one unit of work.
pub struct CsrfTokens {
    session: Arc<RequestSession>,
    /// The secrets whose tokens count, as they were when the unit of work began.
    accepted: SmallVec<[SecretHash; 3]>,
}

/// The CSRF tokens of a session, which is loaded unless it is already.
///
/// # Errors
/// See [`LoadError`].
pub async fn load_csrf(session: Arc<RequestSession>) -> Result<CsrfTokens, LoadError> {
    if !session.is_loaded() {
        session.load().await?;
    }
    let accepted = session.csrf_secrets();
    Ok(CsrfTokens { session, accepted })
}

impl CsrfTokens {
    /// The token for what the client is to send next. A visitor gets a session for it.
    pub fn token(&self) -> String {
        let secret = self.session.csrf_secret();
        let keys = &self.session.store.backend.keys;
        let parts: [&[u8]; 3] = [self.session.token_name().as_bytes(), b"=", &secret.0];
        URL_SAFE_NO_PAD.encode(keys.sign(Use::Csrf, &parts))
    }

    /// Whether a token that came with this request counts; compares in constant time.
    ///
    /// # Errors
    /// See [`CsrfError`].
    pub fn verify(&self, token: &[u8]) -> Result<(), CsrfError> {
        if self.accepted.is_empty() {
            return Err(CsrfError::NoSession);
        }
        let mac = URL_SAFE_NO_PAD.decode(token).ok();
        let mac: [u8; 32] = mac.and_then(|mac| mac.try_into().ok()).ok_or(CsrfError::Invalid)?;
        let keys = &self.session.store.backend.keys;
        let is_of = |secret: &SecretHash| {
            let parts: [&[u8]; 3] = [self.session.token_name().as_bytes(), b"=", &secret.0];
            keys.verify(Use::Csrf, None, &parts, &mac).is_some()
        };
        if self.accepted.iter().any(is_of) {
            Ok(())
        } else {
            Err(CsrfError::Invalid)
        }
    }
}

impl RequestSession {
    /// The secret that the client presented, whatever became of it, and those that the session has or had before its
    /// latest rotation. After one that ended the secret before it at once there is none.
    fn csrf_secrets(&self) -> SmallVec<[SecretHash; 3]> {
        let state = self.lock();
        let mut secrets = SmallVec::new();
        secrets.extend(state.token.as_ref().map(SessionToken::hash));
        if let Some(LoadState::Known(known)) = &state.loaded {
            let meta = known.record.meta();
            secrets.push(meta.secret);
            // Beyond its grace too: a page may be open for longer, and the secret itself is of no use any more.
            secrets.extend(meta.previous.map(|(before, _)| before));
        }
        secrets.retain(|secret| *secret != SecretHash::NONE);
        secrets
    }

    /// The secret that the client will present next, as far as that is known.
    fn csrf_secret(&self) -> SecretHash {
        let state = self.lock();
        match (&state.loaded, state.token) {
            (Some(LoadState::Known(known)), _) => return known.record.meta().secret,
            (Some(LoadState::Superseded | LoadState::Gone), Some(token)) => return token.hash(),
            _ => {}
        }
        drop(state);
        self.add_action(PendingActions::KEEP);
        let mut state = self.lock();
        if state.planned.is_none() {
            match SessionToken::random() {
                Ok(token) => state.planned = Some(token),
                // The response, and the token with it, is replaced by the error.
                Err(_) => state.deferred_error = Some(self.no_random()),
            }
        }
        state.planned.as_ref().map_or(SecretHash::NONE, SessionToken::hash)
    }
}
