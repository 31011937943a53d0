//! The store of chats and messages: one atomic call per intent, never a find that the caller completes.

use async_trait::async_trait;

use crate::{
    Chat, ChatCursor, ChatId, ChatIdentity, Context, Message, MessageCursor, NewMessage, Outcome, Page,
    PageSize, Participant, Proposal, ResolveError, Sent, StoreError,
};

/// Keeps chats and messages. `onechat-contract` is the suite that every implementation has to pass.
///
/// Every call may be repeated safely, by the same caller or another, whatever became of the first try. What a
/// call has answered is durable. Ids of merged chats (aliases) are resolved in every call that takes an id.
#[async_trait]
pub trait ChatStore: Send + Sync {
    /// The one chat of an identity, created if there is none. A chat that exists is only read.
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError>;

    /// The chat of an identity, if there is one. Never creates.
    async fn lookup(&self, identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError>;

    /// The chat with this id, or the one that this id is an alias of.
    async fn chat(&self, id: &ChatId) -> Result<Option<Chat>, StoreError>;

    /// The same, for a participant of it only: a chat of others is as absent as one that does not exist, and
    /// the store takes equally long to say so (I6). Id and participant decide together, in one query.
    async fn chat_for(&self, id: &ChatId, participant: &Participant) -> Result<Option<Chat>, StoreError>;

    /// The chats of a participant, latest activity first, from `after` on; with a `context`, those of it only.
    async fn chats_of(
        &self,
        participant: &Participant,
        context: Option<&Context>,
        size: PageSize,
        after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError>;

    /// Stores a message unless its sender has stored one with the same client's id in this chat; nothing if
    /// there is no such chat. Whether the sender may write there has to be settled before.
    ///
    /// Each message that is new raises the chat's `updated_at` and `last_message_at` by at least one millisecond
    /// before it is answered, whatever its `now` says: who reads the chat again whenever they change misses nothing.
    async fn send(&self, message: NewMessage) -> Result<Option<Sent>, StoreError>;

    /// The messages of a chat, newest first, from `before` on; empty if there is no such chat.
    async fn messages(
        &self,
        chat: &ChatId,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError>;

    /// Whether the store can serve reads and writes now.
    async fn ready(&self) -> Result<(), StoreError>;
}
