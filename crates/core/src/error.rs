//! What can go wrong behind the ports, one small enum per family of operations. Absence is not an error.

use crate::{ChatId, ParticipantsKey};

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting already. Nothing was done; try again shortly.
    #[error("the store has too many operations waiting")]
    Overloaded,
    /// The store cannot be reached or cannot write. Whether the operation happened is unknown; every operation
    /// of the port can be repeated safely.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What would keep duplicates out is not there, so nothing is written until somebody puts it back.
    #[error("writing is not safe: {0}")]
    Unprotected(String),
    /// The chats have a history that was never brought to the guarantee. What is there is read; nothing is created
    /// until somebody migrates it.
    #[error("creating is not safe yet: {0}")]
    NotMigrated(String),
    /// A rule of the database that is not ours refuses what should be written: repeating does not help.
    #[error("the database refuses it: {0}")]
    Refused(String),
    /// The new chat would not be under the guarantee: by these fields it is outside the filter that says what is.
    #[error("a new chat is outside the configured filter (`only`) by {0}")]
    OutsideFilter(String),
    /// A new chat needs to know who is what, in these roles, and the request does not say it.
    #[error("a new chat has to know who is {0}")]
    RolesRequired(String),
    /// The roles that the request names are not those of chats here, or do not fit its participants.
    #[error("the roles do not fit: {0}")]
    RolesUnknown(String),
    /// What is stored breaks a rule of the model: repeating does not help, somebody has to look.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
}

/// Two identities have the same key, and the chat that holds it is not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key {key:?} of this chat is held by a chat of other participants, or of another context")]
pub struct KeyCollision {
    /// The key that both have.
    pub key: ParticipantsKey,
    /// The chat that holds it. For logs only: the caller is not one of its participants.
    pub holder: ChatId,
}

/// Why the chat of an identity could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The key is taken by another identity's chat, which is never handed out.
    #[error(transparent)]
    Collision(#[from] KeyCollision),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an alias could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// The id that should become an alias is that of a living chat.
    #[error("{0} is a living chat and cannot be an alias")]
    LiveChat(ChatId),
    /// The id is an alias of another chat already.
    #[error("the alias already stands for the chat {0}")]
    Taken(ChatId),
    /// There is no chat for the alias to stand for.
    #[error("there is no chat {0}")]
    NoSuchChat(ChatId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
