//! How chats and messages are laid out in a database that others may have laid out before us.

use std::fmt;

use mongodb::bson::Bson;
use onechat_core::KeyFormat;
use onechat_migrate::{UuidOrder, number_in};
use serde_json::{Map, Value};

use crate::{
    Filter, TimeForm,
    codec::{legacy_uuid, object_id, uuid},
};

/// Names and forms of what is stored. The default is what a Mongoose model with `timestamps` has.
///
/// Fields are named by their name at the top of the document; a name with a dot is refused when the store opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The collection of chats.
    pub chats: String,
    /// The collection of messages. It is ours unless [`MessageFields`] says how an older system writes them.
    pub messages: String,
    /// The fields of a chat.
    pub fields: ChatFields,
    /// How a participant is written.
    pub participant_form: ValueForm,
    /// How a context is written.
    pub context_form: ValueForm,
    /// Where in a participant's sub-document its id stands, if participants are sub-documents. A path; `$id` of references.
    pub participant_path: Option<String>,
    /// The collection that references (`DBRef`) to participants name.
    pub participant_ref: Option<String>,
    /// The collection that references (`DBRef`) to what chats are about name.
    pub context_ref: Option<String>,
    /// Who goes where in a new chat that has a field for each participant. Without it none is created there.
    pub order: Option<Order>,
    /// What the API calls a chat's id.
    pub id: IdMapping,
    /// Where the messages of a chat are.
    pub message_place: MessagePlace,
    /// How the `_id` of a new chat is written, if chats are looked for by an `_id` of any type. Else new ones get an
    /// ObjectId, and ids that look like one are looked for as one, all others as text.
    pub chat_id: Option<ChatIdForm>,
    /// Fields that every new chat gets besides.
    pub constants: Map<String, Value>,
    /// Which documents are chats that their identity tells: nothing else is keyed, merged, adopted, or answered to those
    /// who ask for the chat of an identity. All of them, unless there is a filter.
    pub only: Option<Filter>,
    /// Which documents lists and reads by id show. All of them, unless there is a filter.
    pub visible: Option<Filter>,
    /// Which messages pages show, where they are rows. All of them, unless there is a filter.
    pub visible_messages: Option<Filter>,
    /// The fields of a message.
    pub message_fields: MessageFields,
    /// The keys that other servers on the collection still use, while these here are to replace them.
    pub previous: Option<PreviousKeys>,
}

/// The keys that a fleet has used so far. A server that is told of them writes them beside its own, and looks by them for
/// chats that have no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousKeys {
    /// The field that they are in: never that of the new keys.
    pub participants_key: String,
    /// How they are written.
    pub key_format: KeyFormat,
    /// The field of the contexts that they are made with, if chats had any. A path.
    pub context: Option<String>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            chats: "chats".to_owned(),
            messages: "messages".to_owned(),
            fields: ChatFields::default(),
            participant_form: ValueForm::Text,
            context_form: ValueForm::Text,
            participant_path: None,
            participant_ref: None,
            context_ref: None,
            order: None,
            id: IdMapping::ObjectId,
            message_place: MessagePlace::default(),
            chat_id: None,
            constants: Map::new(),
            only: None,
            visible: None,
            visible_messages: None,
            message_fields: MessageFields::default(),
            previous: None,
        }
    }
}

/// The names of a chat's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFields {
    /// An array of participants; or, of two or more names, a field for each participant.
    pub participants: Vec<String>,
    /// What the chat is about, if chats have contexts. A path.
    pub context: Option<String>,
    /// The key of both.
    pub participants_key: String,
    /// When it was created.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When its newest message was sent; absent before the first one.
    pub last_message_at: String,
    /// How these times are written. Not [`TimeForm::Timestamp`].
    pub times: TimeForm,
}

impl Default for ChatFields {
    fn default() -> Self {
        Self {
            participants: vec!["participants".to_owned()],
            context: None,
            participants_key: "participantsKey".to_owned(),
            created_at: "createdAt".to_owned(),
            updated_at: "updatedAt".to_owned(),
            last_message_at: "lastMessageAt".to_owned(),
            times: TimeForm::Date,
        }
    }
}

/// The names of a message's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFields {
    /// The `_id` of its chat.
    pub chat: String,
    /// How that is written, if not always as the chat has it: messages are read whatever form they name their chat in. What
    /// cannot be written so is written as the chat has it.
    pub chat_form: Option<ValueForm>,
    /// Who sent it, in the form of participants. A path.
    pub sender: String,
    /// Whom it is to, in the form of participants, if messages say so: each chat is of two people then. A path.
    pub receiver: Option<String>,
    /// What its chat is about, in the form of contexts, if messages say so. A path.
    pub context: Option<String>,
    /// What was said.
    pub text: String,
    /// The sender's own id of it. Messages of others may have none.
    pub client_message_id: String,
    /// When it was accepted.
    pub created_at: String,
    /// How this time is written.
    pub times: TimeForm,
}

impl Default for MessageFields {
    fn default() -> Self {
        Self {
            chat: "chatId".to_owned(),
            chat_form: None,
            sender: "sender".to_owned(),
            receiver: None,
            context: None,
            text: "text".to_owned(),
            client_message_id: "clientMessageId".to_owned(),
            created_at: "createdAt".to_owned(),
            times: TimeForm::Date,
        }
    }
}

impl Mapping {
    /// The order of bytes of legacy UUIDs, if there are any among participants, contexts and ids of chats.
    #[must_use]
    pub fn uuids(&self) -> Option<UuidOrder> {
        self.uuid_orders().next()
    }

    /// Whether all legacy UUIDs have one order: a UUID does not tell its own.
    #[must_use]
    pub fn has_one_uuid_order(&self) -> bool {
        let mut orders = self.uuid_orders();
        let first = orders.next();
        orders.all(|order| Some(order) == first)
    }

    fn uuid_orders(&self) -> impl Iterator<Item = UuidOrder> {
        let of_ids = self.chat_id.and_then(ChatIdForm::uuids);
        let of_messages = self.message_fields.chat_form.and_then(ValueForm::uuids);
        [self.participant_form.uuids(), self.context_form.uuids(), of_ids, of_messages].into_iter().flatten()
    }

    /// The layout as those servers have it that know the previous keys alone. Which chats they leave out is not known here.
    pub(crate) fn of_previous(&self) -> Option<Self> {
        let PreviousKeys { participants_key, key_format: _, context } = self.previous.clone()?;
        let fields = ChatFields { context, participants_key, ..self.fields.clone() };
        Some(Self { fields, only: None, previous: None, ..self.clone() })
    }
}

/// Where the messages of a chat are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MessagePlace {
    /// In the collection of messages, where each one names its chat.
    #[default]
    Rows,
    /// In an array of the chat, as sub-documents.
    Embedded {
        /// The field with the array.
        field: String,
    },
    /// In the collection of messages, with an array of their ids in the chat. New messages name the chat besides.
    Listed {
        /// The field with the array.
        field: String,
        /// The collection that the array's references (`DBRef`) name, if its elements are references.
        reference: Option<String>,
    },
}

impl MessagePlace {
    /// The field of a chat that has its messages, or their ids.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Rows => None,
            Self::Embedded { field } | Self::Listed { field, .. } => Some(field),
        }
    }

    /// Whether messages are documents of the collection of messages.
    pub(crate) fn has_rows(&self) -> bool {
        !matches!(self, Self::Embedded { .. })
    }
}

/// Who goes where in a new chat that has a field for each participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In the order in which the request names them, whoever asks first.
    Request,
    /// In the order of their ids, whoever asks.
    Sorted,
    /// As the request says by the names of the fields.
    Roles,
}

/// How a participant or a context is written in a new document. Documents are read whatever form they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueForm {
    /// As a string.
    #[default]
    Text,
    /// As an ObjectId. What is not 24 lower-case hexadecimal digits has no chats here.
    ObjectId,
    /// As BSON's UUID (binary, subtype 4). What is not a UUID in lower case has no chats here.
    Uuid,
    /// As a legacy UUID (binary, subtype 3), in this order of bytes.
    LegacyUuid(UuidOrder),
    /// As a number of 32 bit. What is not a whole number in this range has no chats here.
    Int32,
    /// As a number of 64 bit.
    Int64,
    /// As a double. What is not a whole number up to 2^53 has no chats here.
    Double,
}

impl ValueForm {
    /// The value that stands for this text; nothing if there is none.
    pub(crate) fn written(self, text: &str) -> Option<Bson> {
        match self {
            Self::Text => Some(Bson::String(text.to_owned())),
            Self::ObjectId => object_id(text).map(Bson::ObjectId),
            Self::Uuid => uuid(text).map(Bson::Binary),
            Self::LegacyUuid(order) => legacy_uuid(text, order).map(Bson::Binary),
            Self::Int32 => number_in(text).and_then(|number| number.try_into().ok()).map(Bson::Int32),
            Self::Int64 => number_in(text).map(Bson::Int64),
            #[expect(clippy::cast_precision_loss, reason = "no number is taken that loses any")]
            Self::Double => number_in(text)
                .filter(|number| number.unsigned_abs() <= 1 << 53)
                .map(|number| Bson::Double(number as f64)),
        }
    }

    pub(crate) fn uuids(self) -> Option<UuidOrder> {
        match self {
            Self::LegacyUuid(order) => Some(order),
            _ => None,
        }
    }
}

impl fmt::Display for ValueForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "strings",
            Self::ObjectId => "ObjectIds",
            Self::Uuid | Self::LegacyUuid(_) => "UUIDs",
            Self::Int32 => "whole numbers of 32 bit",
            Self::Int64 => "whole numbers",
            Self::Double => "whole numbers up to 2^53",
        })
    }
}

/// What the API calls a chat's id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IdMapping {
    /// `_id`, an ObjectId, as 24 hexadecimal digits.
    #[default]
    ObjectId,
    /// A field of its own beside `_id`.
    Field {
        /// The field's name.
        name: String,
        /// How the id is written there.
        form: PublicIdForm,
    },
}

/// How the `_id` of a new chat is written, where chats have an `_id` of any type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatIdForm {
    /// As an ObjectId.
    ObjectId,
    /// As text: the hexadecimal digits of an ObjectId.
    Text,
    /// As text: a random UUID.
    UuidText,
    /// As BSON's UUID (binary, subtype 4).
    Uuid,
    /// As a legacy UUID (binary, subtype 3), in this order of bytes.
    LegacyUuid(UuidOrder),
    /// As a number, which whoever made the chats counts: no chat is created.
    Number,
}

impl ChatIdForm {
    /// Whether new ids have to be UUIDs.
    #[must_use]
    pub fn is_uuid(self) -> bool {
        matches!(self, Self::UuidText | Self::Uuid | Self::LegacyUuid(_))
    }

    /// The `_id` of a new chat that is called this; nothing if none is called so.
    pub(crate) fn written(self, text: &str) -> Option<Bson> {
        match self {
            Self::ObjectId => object_id(text).map(Bson::ObjectId),
            Self::Text => Some(Bson::String(text.to_owned())),
            Self::UuidText => uuid(text).map(|_| Bson::String(text.to_owned())),
            Self::Uuid => uuid(text).map(Bson::Binary),
            Self::LegacyUuid(order) => legacy_uuid(text, order).map(Bson::Binary),
            Self::Number => None,
        }
    }

    fn uuids(self) -> Option<UuidOrder> {
        match self {
            Self::LegacyUuid(order) => Some(order),
            _ => None,
        }
    }
}

/// How a public id is written in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicIdForm {
    /// As a string.
    #[default]
    Text,
    /// As BSON's UUID (binary, subtype 4). Chats whose id is not a UUID cannot be created.
    Uuid,
}
