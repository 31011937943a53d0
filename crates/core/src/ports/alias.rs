//! Aliases are made by merges and imports, not by the service: handlers do not see this port.

use async_trait::async_trait;

use crate::{AliasError, ChatId};

/// Lets the id of a chat that is no more stand for the one that lives on.
#[async_trait]
pub trait AliasStore: Send + Sync {
    /// From now on `alias` resolves to `chat` (or to what `chat` is an alias of). Repeating it changes nothing.
    async fn add_alias(&self, alias: &ChatId, chat: &ChatId) -> Result<(), AliasError>;
}
