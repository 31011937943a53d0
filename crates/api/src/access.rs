//! Who may see a chat, and who may write in it: decided here and nowhere else (I6).
//!
//! Membership never changes, so what is allowed here stays allowed while the handler goes on.

use axum::extract::{Path, rejection::PathRejection};
use onechat_core::{Chat, ChatId, ports::ChatStore};

use crate::{
    caller::Caller,
    problem::{Code, Problem},
};

/// The `{id}` of a path, before anybody knows what it is worth.
pub(crate) type IdInPath = Result<Path<String>, PathRejection>;

/// The chat, if the caller may read it. A chat of others and a text that is no id are as absent as one that
/// does not exist.
pub(crate) async fn readable_chat(
    store: &dyn ChatStore,
    caller: &Caller,
    id: IdInPath,
) -> Result<Chat, Problem> {
    let id = id.ok().and_then(|Path(text)| ChatId::new(text).ok()).ok_or_else(Problem::chat_not_found)?;
    let chat = if caller.acts_for_anyone {
        store.chat(&id).await?
    } else {
        store.chat_for(&id, &caller.participant).await?
    };
    chat.ok_or_else(Problem::chat_not_found)
}

/// The chat, if the caller may write in it. Who may read any chat learns why not.
pub(crate) async fn writable_chat(
    store: &dyn ChatStore,
    caller: &Caller,
    id: IdInPath,
) -> Result<Chat, Problem> {
    let chat = readable_chat(store, caller, id).await?;
    if chat.identity.participants.contains(&caller.participant) {
        Ok(chat)
    } else {
        Err(Problem::new(Code::NotAParticipant, "The sender is not a participant of this chat."))
    }
}
