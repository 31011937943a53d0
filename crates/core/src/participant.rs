//! One person, or whatever else takes part in a chat: an opaque id that belongs to the caller's system.
//!
//! Nothing here normalises: `Ann` and `ann`, `é` in one code point and in two, are different participants.

use std::{cmp::Ordering, fmt};

/// The id of one participant: 1 to [`Participant::MAX_BYTES`] bytes of UTF-8 without control characters.
///
/// Ordered by UTF-16 code units, as JavaScript's `Array.prototype.sort()` orders strings. UTF-8 byte order,
/// which is Rust's own, differs as soon as a character above U+FFFF meets one from U+E000 to U+FFFF.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Participant(Box<str>);

/// Why a text cannot be a [`Participant`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParticipantError {
    /// The text is empty.
    #[error("a participant must not be empty")]
    Empty,
    /// The text is longer than [`Participant::MAX_BYTES`] bytes.
    #[error("a participant must have at most {max} bytes, this one has {bytes}", max = Participant::MAX_BYTES)]
    TooLong {
        /// The length that was found, in bytes of UTF-8.
        bytes: usize,
    },
    /// The text has a control character (Unicode category Cc).
    #[error("a participant must not contain control characters, this one has U+{:04X}", *character as u32)]
    ControlCharacter {
        /// The first control character found.
        character: char,
    },
}

impl Participant {
    /// The longest participant, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 256;

    /// Checks `text` and takes it as it is.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, ParticipantError> {
        let text = text.into();
        if text.is_empty() {
            return Err(ParticipantError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(ParticipantError::TooLong { bytes: text.len() });
        }
        if let Some(character) = text.chars().find(|c| c.is_control()) {
            return Err(ParticipantError::ControlCharacter { character });
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Participant {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.encode_utf16().cmp(other.0.encode_utf16())
    }
}

impl PartialOrd for Participant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
