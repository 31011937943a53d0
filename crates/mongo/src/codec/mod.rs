//! Chats and messages as documents, and back. Fields that we do not know are left alone: we never replace a
//! document, and read only what the mapping names.

mod addressed;
mod check;
mod identity;
mod ids;
mod messages;
mod places;
mod previous;
mod times;
mod values;

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use onechat_core::{Chat, ChatId, ParticipantsKey, Roles, StoreError};
use onechat_migrate::UuidOrder;

pub(crate) use addressed::Unaddressed;
pub(crate) use previous::Previous;
pub use times::TimeForm;
pub(crate) use values::{
    age, date, field, field_at, forms_of, id_value, legacy_uuid, object_id, root, text_of, uuid, with_raw,
};
use values::{forms_of_name, nested, set_at, to_bson};

use crate::{Filter, Mapping, OpenError};

/// A chat with the `_id` of its document, which its messages refer to.
#[derive(Debug, Clone)]
pub(crate) struct StoredChat {
    pub(crate) chat: Chat,
    pub(crate) document_id: Bson,
}

/// The mapping at work.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    mapping: Mapping,
    constants: Document,
    /// The paths by which a participant is found.
    participants_paths: Vec<String>,
    uuids: Option<UuidOrder>,
    previous: Option<Box<Previous>>,
}

/// Without a filter the query is what it was, byte for byte.
fn narrowed(mut query: Document, filter: Option<&Filter>) -> Document {
    let Some(filter) = filter else { return query };
    let filter = filter.document().clone();
    if query.contains_key("$and") {
        return doc! { "$and": [query, filter] };
    }
    query.insert("$and", vec![filter]);
    query
}

impl Codec {
    pub(crate) fn new(mapping: Mapping) -> Result<Self, OpenError> {
        check::check(&mapping)?;
        let constants =
            mapping.constants.iter().map(|(name, value)| (name.clone(), to_bson(value))).collect();
        let path = |name: &String| match &mapping.participant_path {
            Some(path) => format!("{name}.{path}"),
            None => name.clone(),
        };
        let participants_paths = mapping.fields.participants.iter().map(path).collect();
        let uuids = mapping.uuids();
        let previous = Previous::of(&mapping)?.map(Box::new);
        Ok(Self { mapping, constants, participants_paths, uuids, previous })
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(crate) fn key_field(&self) -> &str {
        &self.mapping.fields.participants_key
    }

    /// The paths by which a participant is found: one into an array, or one for each field.
    pub(crate) fn participants_paths(&self) -> &[String] {
        &self.participants_paths
    }

    /// Narrows a query to what is under the guarantee.
    pub(crate) fn inside(&self, query: Document) -> Document {
        narrowed(query, self.mapping.only.as_ref())
    }

    /// Which documents are under the guarantee, if not all.
    pub(crate) fn only(&self) -> Option<&Filter> {
        self.mapping.only.as_ref()
    }

    /// Whether a filter is about fields in which new chats differ.
    pub(crate) fn varies(&self, filter: &Filter) -> bool {
        let (about, fields) = (filter.fields(), &self.mapping.fields);
        let varying = ["_id", self.id_field(), &fields.created_at, &fields.updated_at];
        varying.into_iter().chain(self.identity_fields()).any(|name| about.contains(name))
    }

    /// Narrows a query to what is not; nothing if everything is.
    pub(crate) fn outside(&self, mut query: Document) -> Option<Document> {
        let only = self.mapping.only.as_ref()?;
        query.insert("$nor", vec![only.document().clone()]);
        Some(query)
    }

    /// Narrows a query to the messages that people are shown.
    pub(crate) fn visible_messages(&self, query: Document) -> Document {
        narrowed(query, self.mapping.visible_messages.as_ref())
    }

    /// Narrows a query to the chats that people are shown.
    pub(crate) fn visible(&self, query: Document) -> Document {
        narrowed(query, self.mapping.visible.as_ref())
    }

    /// A projection of all but the messages; nothing if chats hold none.
    pub(crate) fn without_messages(&self) -> Option<Document> {
        self.mapping.message_place.field().map(|field| doc! { field: 0 })
    }

    /// The document of a new chat. Made once for each proposal: tried again, it has to have the same `_id`.
    pub(crate) fn new_chat(&self, chat: &Chat, roles: &Roles) -> Result<Document, StoreError> {
        self.ensure_fits_messages(&chat.identity)?;
        let fields = &self.mapping.fields;
        let mut document = self.new_ids(&chat.id)?;
        self.identify(&mut document, &chat.identity, roles)?;
        document.insert(&fields.participants_key, chat.participants_key.as_str());
        document.insert(&fields.created_at, fields.times.written(chat.created_at));
        document.insert(&fields.updated_at, fields.times.written(chat.updated_at));
        document.insert("__v", 0);
        if let Some(field) = self.mapping.message_place.field() {
            document.insert(field, Vec::<Bson>::new());
        }
        document.extend(self.constants.clone());
        Ok(document)
    }

    pub(crate) fn chat(&self, document: &RawDocument) -> Result<StoredChat, StoreError> {
        let document_id = field(document, "_id").and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        let damaged = |what: &str| StoreError::Corrupt(format!("the chat with _id {document_id} has {what}"));
        let fields = &self.mapping.fields;
        let identity = self.identity(document).map_err(|what| damaged(&what))?;
        let id = field(document, self.id_field()).and_then(|id| self.id_text(id));
        let id = id.and_then(|id| ChatId::new(id).ok()).ok_or_else(|| {
            damaged("no id that can be used: chat_id of [mongodb] says of which type ids of chats are")
        })?;
        let key = field(document, &fields.participants_key).and_then(RawBsonRef::as_str);
        let time = |name: &str| match field(document, name) {
            None | Some(RawBsonRef::Null) => Ok(None),
            Some(value) => match fields.times.read_any(value) {
                Some(at) => Ok(Some(at)),
                None => Err(damaged(&format!("no time in {name}"))),
            },
        };
        let created_at = time(&fields.created_at)?.unwrap_or_else(|| age(&document_id));
        let chat = Chat {
            id,
            identity,
            participants_key: ParticipantsKey::from_stored(key.unwrap_or_default()),
            created_at,
            updated_at: time(&fields.updated_at)?.unwrap_or(created_at),
            last_message_at: time(&fields.last_message_at)?,
        };
        Ok(StoredChat { chat, document_id })
    }
}
