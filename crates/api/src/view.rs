//! What clients see of the domain. Written from borrowed values: this is the hot path.

use onechat_core::{Chat, Context, Message, Participant, Timestamp};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::context_policy::ContextPolicy;

/// The one chat of a participant set, or of one in a context.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Chat)]
pub(crate) struct ChatView<'a> {
    /// The name that the chat keeps for ever.
    #[schema(example = "665f1c2ab7a1f0d3c4e5f607")]
    id: &'a str,
    /// The same as `id`.
    #[serde(rename = "_id")]
    #[schema(example = "665f1c2ab7a1f0d3c4e5f607")]
    mongo_id: &'a str,
    /// Sorted and without repeats.
    #[serde(serialize_with = "texts")]
    #[schema(value_type = Vec<String>, example = json!(["alice", "bob"]))]
    participants: &'a [Participant],
    /// What the chat is about; null for nothing. Only where contexts are enabled: a client that asks for a context
    /// compares it, since a server that knows of none would ignore the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "listing:42")]
    context: Option<ShownContext<'a>>,
    /// The canonical text of the participants and the context.
    #[schema(example = "alice_bob")]
    participants_key: &'a str,
    /// When the chat was created.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000Z")]
    created_at: Timestamp,
    /// When the chat last changed; a new message changes it.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000Z")]
    updated_at: Timestamp,
    /// When the newest message was sent; null while there is none.
    #[serde(serialize_with = "optional_text")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2026-01-31T12:00:00.000Z", required)]
    last_message_at: Option<Timestamp>,
    /// Whether this very request created the chat. Only in answers of create-or-get.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    created: Option<bool>,
}

/// A context that is shown even if there is none.
#[derive(Serialize)]
struct ShownContext<'a>(Option<&'a str>);

impl<'a> ChatView<'a> {
    pub(crate) fn new(chat: &'a Chat, policy: ContextPolicy) -> Self {
        let context = chat.identity.context.as_ref().map(Context::as_str);
        let shows_context = policy != ContextPolicy::Off || context.is_some();
        Self {
            id: chat.id.as_str(),
            mongo_id: chat.id.as_str(),
            participants: chat.identity.participants.members(),
            context: shows_context.then_some(ShownContext(context)),
            participants_key: chat.participants_key.as_str(),
            created_at: chat.created_at,
            updated_at: chat.updated_at,
            last_message_at: chat.last_message_at,
            created: None,
        }
    }

    pub(crate) fn with_created(self, created: bool) -> Self {
        Self { created: Some(created), ..self }
    }
}

/// A message, exactly as it was first accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub(crate) struct MessageView<'a> {
    /// The name of the message.
    #[schema(example = "665f1c2ab7a1f0d3c4e5f608")]
    id: &'a str,
    /// The chat that it is in.
    #[schema(example = "665f1c2ab7a1f0d3c4e5f607")]
    chat_id: &'a str,
    /// Who said it.
    #[schema(example = "alice")]
    sender: &'a str,
    /// What was said.
    #[schema(example = "Hello!")]
    text: &'a str,
    /// The sender's own id of it.
    #[schema(example = "c1a7")]
    client_message_id: &'a str,
    /// When it was first accepted.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000Z")]
    created_at: Timestamp,
}

impl<'a> MessageView<'a> {
    pub(crate) fn new(message: &'a Message) -> Self {
        Self {
            id: message.id.as_str(),
            chat_id: message.chat.as_str(),
            sender: message.sender.as_str(),
            text: message.text.as_str(),
            client_message_id: message.client_message_id.as_str(),
            created_at: message.created_at,
        }
    }
}

/// A part of a list of chats.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChatPage)]
#[expect(dead_code, reason = "for the document only: `page_answer.rs` writes it")]
pub(crate) struct ChatPageView<'a> {
    /// The chats, latest activity first.
    items: Vec<ChatView<'a>>,
    /// Where the next page begins; null if there is no more.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A part of a list of messages.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessagePage)]
#[expect(dead_code, reason = "for the document only: `page_answer.rs` writes it")]
pub(crate) struct MessagePageView<'a> {
    /// The messages, newest first.
    items: Vec<MessageView<'a>>,
    /// Where the next page begins; null if there is no more.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn texts<S: Serializer>(participants: &[Participant], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(participants.iter().map(Participant::as_str))
}

fn text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn optional_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}
