//! A chat, and the one decision about it that every store has to make in the same way: see [`Proposal::settle`].

use crate::{ChatId, ChatIdentity, KeyCollision, ParticipantsKey, Roles, Timestamp};

/// The one chat of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// The name it keeps for ever.
    pub id: ChatId,
    /// Whose chat it is, and what it is about.
    pub identity: ChatIdentity,
    /// The key under which it is stored.
    pub participants_key: ParticipantsKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed; a new message changes it, a read does not.
    pub updated_at: Timestamp,
    /// When its newest message was sent.
    pub last_message_at: Option<Timestamp>,
}

impl Chat {
    /// What lists are ordered by: the newest message, or the creation if that is later or there is none.
    pub fn last_activity_at(&self) -> Timestamp {
        self.last_message_at.map_or(self.created_at, |at| at.max(self.created_at))
    }

    /// Hands the chat out only if it is the one that was asked for: a key alone, under [`crate::KeyFormat::Joined`],
    /// proves nothing.
    pub fn checked_for(self, identity: &ChatIdentity) -> Result<Self, KeyCollision> {
        if self.identity == *identity {
            Ok(self)
        } else {
            Err(KeyCollision { key: self.participants_key, holder: self.id })
        }
    }
}

/// A request for the chat of an identity: what to create if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Whose chat is wanted, and about what.
    pub identity: ChatIdentity,
    /// The id that a new chat would get. Never used by another proposal.
    pub id: ChatId,
    /// The time that a new chat would carry.
    pub now: Timestamp,
    /// Who would be what in a new chat.
    pub roles: Roles,
}

impl Proposal {
    /// The chat that this proposal creates if it wins.
    pub fn to_chat(&self, key: ParticipantsKey) -> Chat {
        Chat {
            id: self.id.clone(),
            identity: self.identity.clone(),
            participants_key: key,
            created_at: self.now,
            updated_at: self.now,
            last_message_at: None,
        }
    }

    /// Says what happened, from the chat that stands under the key once this proposal has been answered.
    ///
    /// `wrote` says whether the proposal got as far as a write, that is, whether it saw no chat before.
    /// Only the id decides who created (I2), and only the identity decides whose chat it is (I5).
    pub fn settle(&self, stored: Chat, wrote: bool) -> Result<Outcome, KeyCollision> {
        let chat = stored.checked_for(&self.identity)?;
        let kind = match (chat.id == self.id, wrote) {
            (true, _) => OutcomeKind::Created,
            (false, true) => OutcomeKind::LostRace,
            (false, false) => OutcomeKind::Existing,
        };
        Ok(Outcome { chat, kind })
    }
}

/// The answer to a [`Proposal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The one chat of the identity.
    pub chat: Chat,
    /// How it came to be.
    pub kind: OutcomeKind,
}

/// How the chat of an [`Outcome`] came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// This proposal created it.
    Created,
    /// It was there before.
    Existing,
    /// It was not there when this proposal looked, and somebody else created it first.
    LostRace,
}
