//! What keeps a run apart from whatever the server already has.

use std::fmt;

/// A prefix of every participant and client message id of one run, behind `%in:` in participants that imitate a context.
///
/// It has to be new to the server: the prover takes it that nobody else ever used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(Box<str>);

/// A text that cannot be a [`Namespace`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a namespace has 1 to {max} bytes and no control characters", max = Namespace::MAX_BYTES)]
pub struct NamespaceError;

impl Namespace {
    /// The longest namespace, in bytes: what is appended has to fit into the limits of a client message id.
    pub const MAX_BYTES: usize = 64;

    /// Checks `text` and takes it as it is.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, NamespaceError> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(NamespaceError);
        }
        Ok(Self(text))
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
