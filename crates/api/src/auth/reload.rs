//! The authenticator that is in force, which the composition root may replace while the service runs.
//!
//! Where keys come from, and when they are read again, is not decided here.

use std::sync::{Arc, PoisonError, RwLock};

use super::Authenticator;

/// The authenticator in force. Clones share it.
#[derive(Clone)]
pub struct AuthenticatorHandle(Arc<RwLock<Arc<Authenticator>>>);

impl AuthenticatorHandle {
    /// Checks requests with `authenticator` until it is replaced.
    pub fn new(authenticator: Authenticator) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(authenticator))))
    }

    /// Checks every request that arrives from now on with `authenticator`.
    pub fn replace(&self, authenticator: Authenticator) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authenticator);
    }

    /// What a request is checked with. The lock is held for the copy of a pointer only.
    pub(crate) fn current(&self) -> Arc<Authenticator> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<Authenticator> for AuthenticatorHandle {
    fn from(authenticator: Authenticator) -> Self {
        Self::new(authenticator)
    }
}
