//! A message, and the idempotency id that lets a client send it again without fear.

use crate::{ChatId, MessageId, Participant, Timestamp};

/// Why a text cannot be part of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The text is empty.
    #[error("the text of a message must not be empty")]
    EmptyText,
    /// The text is too long.
    #[error("the text of a message has at most {max} bytes, this one has {bytes}", max = MessageText::MAX_BYTES)]
    TextTooLong {
        /// The length that was found, in bytes of UTF-8.
        bytes: usize,
    },
    /// The client's id is empty, too long, or has control characters.
    #[error("a clientMessageId has 1 to {max} bytes and no control characters", max = ClientMessageId::MAX_BYTES)]
    ClientMessageId,
}

/// What was said: 1 to [`MessageText::MAX_BYTES`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageText(Box<str>);

impl MessageText {
    /// The longest text, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Checks `text` and takes it as it is.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, MessageError> {
        let text = text.into();
        match text.len() {
            0 => Err(MessageError::EmptyText),
            1..=Self::MAX_BYTES => Ok(Self(text)),
            bytes => Err(MessageError::TextTooLong { bytes }),
        }
    }

    /// A text as another program stored it. Promises nothing about its length.
    pub fn from_stored(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The sender's own id of a message: sent again, it names the message that is already stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientMessageId(Box<str>);

impl ClientMessageId {
    /// The longest id, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Checks `text` and takes it as it is.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, MessageError> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(MessageError::ClientMessageId);
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message to be stored. `(chat, sender, client_message_id)` names it: two senders cannot swallow each other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where it goes: the id of a chat, or an alias of one.
    pub chat: ChatId,
    /// The id that it gets if it is new.
    pub id: MessageId,
    /// Who says it. Whether they may is the caller's business.
    pub sender: Participant,
    /// What is said.
    pub text: MessageText,
    /// The sender's own id of it.
    pub client_message_id: ClientMessageId,
    /// The present moment. A message that is new carries it, or a later time if the store keeps its messages in the
    /// order of their commits.
    pub now: Timestamp,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// The living chat that it is in.
    pub chat: ChatId,
    /// Who said it.
    pub sender: Participant,
    /// What was said.
    pub text: MessageText,
    /// The sender's own id of it.
    pub client_message_id: ClientMessageId,
    /// When it was first accepted.
    pub created_at: Timestamp,
}

/// The answer to a [`NewMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The one message with this chat, sender and client's id.
    pub message: Message,
    /// Whether this call stored it; otherwise it is the first one, unchanged.
    pub created: bool,
}
