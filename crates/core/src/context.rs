//! What a chat is about, where that makes several chats of the same people right: a listing, a match, an order.

use std::fmt;

use crate::{Participant, ParticipantError};

/// What a chat is about: an opaque text that follows the rules of a [`Participant`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Context(Participant);

/// Why a text cannot be a [`Context`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// The text is empty.
    #[error("a context must not be empty: leave it out for the chat without one")]
    Empty,
    /// The text is longer than [`Context::MAX_BYTES`] bytes.
    #[error("a context must have at most {max} bytes, this one has {bytes}", max = Context::MAX_BYTES)]
    TooLong {
        /// The length that was found, in bytes of UTF-8.
        bytes: usize,
    },
    /// The text has a control character (Unicode category Cc).
    #[error("a context must not contain control characters, this one has U+{:04X}", *character as u32)]
    ControlCharacter {
        /// The first control character found.
        character: char,
    },
}

impl From<ParticipantError> for ContextError {
    fn from(error: ParticipantError) -> Self {
        match error {
            ParticipantError::Empty => Self::Empty,
            ParticipantError::TooLong { bytes } => Self::TooLong { bytes },
            ParticipantError::ControlCharacter { character } => Self::ControlCharacter { character },
        }
    }
}

impl Context {
    /// The longest context, in bytes of UTF-8.
    pub const MAX_BYTES: usize = Participant::MAX_BYTES;

    /// Checks `text` and takes it as it is.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, ContextError> {
        Ok(Self(Participant::new(text)?))
    }

    /// The context as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
