//! Who is calling: bearer tokens (JWT), checked against keys that the configuration names.

mod authenticator;
mod claims;
mod keys;
mod reload;

pub use authenticator::Authenticator;
pub(crate) use authenticator::Identity;
pub use keys::{KeyError, PublicKeyAlgorithm, UnknownAlgorithm};
pub use reload::AuthenticatorHandle;
