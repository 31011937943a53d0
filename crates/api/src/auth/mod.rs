//! Who is calling: bearer tokens (JWT), checked against keys that the configuration has fixed.

mod authenticator;
mod claims;
mod keys;

pub use authenticator::Authenticator;
pub(crate) use authenticator::Identity;
pub use keys::{KeyError, PublicKeyAlgorithm, UnknownAlgorithm};
