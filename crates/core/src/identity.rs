//! What makes two chats the same chat.

use crate::{Context, ParticipantSet};

/// Two chats are the same chat if and only if their identities are equal. The same people have one chat for each
/// context, and one without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChatIdentity {
    /// Whose chat it is.
    pub participants: ParticipantSet,
    /// What it is about, if anything.
    pub context: Option<Context>,
}

/// The chat of these people without a context.
impl From<ParticipantSet> for ChatIdentity {
    fn from(participants: ParticipantSet) -> Self {
        Self { participants, context: None }
    }
}

impl From<&ParticipantSet> for ChatIdentity {
    fn from(participants: &ParticipantSet) -> Self {
        participants.clone().into()
    }
}
