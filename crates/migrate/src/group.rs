//! What planning looks at: the chats of one identity, as they are, with what refers to them.

use bson::{Bson, DateTime, RawDocumentBuf};
use onechat_core::{ChatIdentity, ParticipantsKey};

/// Chats of one identity. Never empty; in no order.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Whose chats they are, and what they are about.
    pub identity: ChatIdentity,
    /// The key that the survivor is to have.
    pub key: ParticipantsKey,
    /// The chats.
    pub chats: Vec<ChatRow>,
    /// What refers to them, one entry for each reference of the rules, in their order.
    pub references: Vec<ReferenceRows>,
    /// The rows that arrays of ids in the chats name, in no order: `_id`, time, and the fields of messages.
    pub listed: Vec<RawDocumentBuf>,
}

/// One chat.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRow {
    /// The document as it is stored.
    pub document: RawDocumentBuf,
    /// What is known of its messages in other collections.
    pub activity: Activity,
}

/// What rows elsewhere say of a chat. Only filled where the survivor depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// How many messages refer to it.
    pub messages: u64,
    /// The time of the newest of them.
    pub newest: Option<DateTime>,
}

/// The rows of one reference that name a chat of the group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReferenceRows {
    /// For references whose rows need only be pointed elsewhere: the value of the field as it is stored, and how many
    /// rows have it, survivor and losers alike.
    pub counts: Vec<(Bson, u64)>,
    /// Rows that need a decision of their own: those with state per participant, those with an array of ids, those
    /// that a unique index could keep from being pointed elsewhere, messages with a sender and a sender's id of which
    /// there are several in the group. Whole documents; they are in `counts` too if the field is a single value.
    pub rows: Vec<RawDocumentBuf>,
    /// Of references that are messages: all rows, of each its `_id`, the chat that it names, and the fields of messages.
    /// Only filled if [`crate::MergeRules::needs_messages`].
    pub messages: Vec<RawDocumentBuf>,
}
