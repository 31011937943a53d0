//! The section `[mongodb]` of the file: how an existing database is laid out. It has no flags, because a mapping is
//! part of the data's description, and half of one on a command line would write into wrong fields.

use serde::Deserialize;

/// `[mongodb]`, as it is written down.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MongoSettings {
    pub(super) chats: Option<String>,
    pub(super) messages: Option<String>,
    pub(super) participants: Option<ValueAs>,
    pub(super) context: Option<ValueAs>,
    pub(super) participant_path: Option<String>,
    pub(super) participant_ref: Option<String>,
    pub(super) context_ref: Option<String>,
    pub(super) message_ref: Option<String>,
    pub(super) order: Option<OrderOfFields>,
    pub(super) id_field: Option<String>,
    pub(super) id_form: Option<IdForm>,
    pub(super) chat_id: Option<ChatIdAs>,
    pub(super) only: Option<String>,
    pub(super) visible: Option<String>,
    pub(super) visible_messages: Option<String>,
    pub(super) deadline_ms: Option<u64>,
    pub(super) chat_fields: ChatFieldSettings,
    pub(super) message_fields: MessageFieldSettings,
    pub(super) constants: toml::Table,
    pub(super) previous: Option<PreviousSettings>,
}

/// `[mongodb.previous]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PreviousSettings {
    pub(super) participants_key: Option<String>,
    pub(super) key_format: Option<String>,
    pub(super) context: Option<String>,
}

/// `[mongodb.chat_fields]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ChatFieldSettings {
    pub(super) participants: Option<OneOrMore>,
    pub(super) context: Option<String>,
    pub(super) participants_key: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) last_message_at: Option<String>,
    pub(super) messages: Option<String>,
    pub(super) message_ids: Option<String>,
    pub(super) times: Option<TimesAs>,
}

/// `[mongodb.message_fields]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MessageFieldSettings {
    pub(super) chat: Option<String>,
    pub(super) chat_form: Option<ValueAs>,
    pub(super) sender: Option<String>,
    pub(super) receiver: Option<String>,
    pub(super) context: Option<String>,
    pub(super) text: Option<String>,
    pub(super) client_message_id: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) times: Option<TimesAs>,
}

/// How times are written in documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimesAs {
    Date,
    Milliseconds,
    Seconds,
    Text,
    Timestamp,
}

/// How participants, or contexts, are written in documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValueAs {
    String,
    ObjectId,
    Uuid,
    UuidLegacyJava,
    UuidLegacyCsharp,
    UuidLegacyPython,
    Int32,
    Int64,
    Double,
}

/// A name, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a name, or an array of names")]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Who goes where in a new chat with a field for each participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderOfFields {
    Request,
    Sorted,
    Roles,
}

/// How the `_id` of a chat is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChatIdAs {
    ObjectId,
    String,
    UuidString,
    Uuid,
    UuidLegacyJava,
    UuidLegacyCsharp,
    UuidLegacyPython,
    Number,
}

/// How the public id is written in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdForm {
    String,
    Uuid,
}
