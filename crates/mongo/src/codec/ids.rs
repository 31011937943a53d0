//! Ids of chats: as documents have them, as rows elsewhere name them, and as the text that stands for them outside.

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, doc, oid::ObjectId};
use onechat_core::{ChatId, StoreError};
use onechat_migrate::{name_of, number_of, written_like};

use super::{
    Codec,
    values::{field, id_value, names, same_name, text_of, uuid, with_raw},
};
use crate::{ChatIdForm, IdMapping, PublicIdForm};

impl Codec {
    /// The field of what the API calls a chat's id.
    pub(crate) fn id_field(&self) -> &str {
        match &self.mapping.id {
            IdMapping::ObjectId => "_id",
            IdMapping::Field { name, .. } => name,
        }
    }

    /// What a chat with this value in that field is called outside.
    pub(crate) fn id_text(&self, value: RawBsonRef<'_>) -> Option<String> {
        if self.has_ids_of_any_type() { name_of(value, self.uuids) } else { text_of(value) }
    }

    /// Every value by which chats that are called this are looked for; none if no chat can be.
    pub(crate) fn ids(&self, id: &ChatId) -> Vec<Bson> {
        let text = id.as_str();
        match &self.mapping.id {
            IdMapping::ObjectId if self.has_ids_of_any_type() => self.forms_of_name(text),
            // Documents of other programs may have strings for ids.
            IdMapping::ObjectId => vec![id_value(text)],
            IdMapping::Field { form: PublicIdForm::Text, .. } => vec![Bson::String(text.to_owned())],
            IdMapping::Field { form: PublicIdForm::Uuid, .. } => {
                uuid(text).map(Bson::Binary).into_iter().collect()
            }
        }
    }

    /// What chats that are called this have; nothing if no chat can be.
    pub(crate) fn has_id(&self, id: &ChatId) -> Option<Document> {
        Some(doc! { self.id_field(): one_of(self.ids(id))? })
    }

    /// Whether a chat is found by what it is called.
    pub(crate) fn finds(&self, document: &RawDocument) -> bool {
        let Some(value) = field(document, self.id_field()) else { return false };
        let id = self.id_text(value).and_then(|id| ChatId::new(id).ok());
        let is_it = |known: &Bson| with_raw(known, |known| Some(are_equal(known, value))) == Some(true);
        id.is_some_and(|id| self.ids(&id).iter().any(is_it))
    }

    /// Whether one text may stand for several values, of chats that are not the same.
    pub(crate) fn has_ids_of_any_type(&self) -> bool {
        self.mapping.chat_id.is_some() && matches!(self.mapping.id, IdMapping::ObjectId)
    }

    /// The ids of a new chat.
    pub(super) fn new_ids(&self, id: &ChatId) -> Result<Document, StoreError> {
        let refused = |why: String| StoreError::Refused(why);
        let counted = || {
            refused(
                "ids of chats are numbers here, which another program counts: chats are found, read and written to, and \
                 none is created"
                    .to_owned(),
            )
        };
        let form = self.mapping.chat_id;
        if form == Some(ChatIdForm::Number) {
            return Err(counted());
        }
        let text = id.as_str();
        match &self.mapping.id {
            IdMapping::ObjectId => {
                let own = form.map_or_else(|| Some(id_value(text)), |form| form.written(text));
                let own = own.ok_or_else(|| refused(format!("{text} cannot be the _id of a chat here")))?;
                Ok(doc! { "_id": own })
            }
            IdMapping::Field { name, .. } => {
                let public = self.ids(id).pop();
                let public = public
                    .ok_or_else(|| refused(format!("public ids are UUIDs here, and {text} is none")))?;
                let own = match form {
                    None | Some(ChatIdForm::ObjectId) => Some(Bson::ObjectId(ObjectId::new())),
                    Some(ChatIdForm::Text) => Some(Bson::String(ObjectId::new().to_hex())),
                    Some(form) => form.written(&mongodb::bson::Uuid::new().to_string()),
                };
                Ok(doc! { "_id": own.ok_or_else(counted)?, name: public })
            }
        }
    }

    /// How a new message names the chat whose document has this `_id`.
    pub(crate) fn named_by_message(&self, document_id: &Bson) -> Bson {
        let written = self.mapping.message_fields.chat_form.and_then(|form| {
            with_raw(document_id, |id| name_of(id, self.uuids)).and_then(|text| form.written(&text))
        });
        written.unwrap_or_else(|| document_id.clone())
    }

    /// What messages of the chat whose document has this `_id` have in the field that names it.
    pub(crate) fn names_chat(&self, document_id: &Bson) -> Bson {
        match self.mapping.message_fields.chat_form {
            Some(_) => one_of(self.names(document_id)).unwrap_or(Bson::Null),
            None => document_id.clone(),
        }
    }

    /// The text that stands for an id, or shows it where none does.
    pub(crate) fn name(&self, id: &Bson) -> String {
        with_raw(id, |id| name_of(id, self.uuids)).unwrap_or_else(|| id.to_string())
    }

    /// Messages of the chat whose document has this `_id`, of which one of these conditions is true, if there are any. An
    /// index has the messages of each form in order, and the server merges them.
    pub(crate) fn of_chat(&self, document_id: &Bson, conditions: Vec<Document>) -> Document {
        let chat = &self.mapping.message_fields.chat;
        let mut filter = doc! { chat: self.names_chat(document_id) };
        if conditions.is_empty() {
            return filter;
        }
        if self.mapping.message_fields.chat_form.is_none() {
            filter.insert("$or", conditions);
            return filter;
        }
        let branches = self.names(document_id).into_iter().flat_map(|form| {
            conditions.iter().map(move |condition| {
                let mut branch = doc! { chat: form.clone() };
                branch.extend(condition.clone());
                branch
            })
        });
        doc! { "$or": branches.collect::<Vec<_>>() }
    }

    /// Everything by which rows may name the chat with this id.
    pub(crate) fn names(&self, id: &Bson) -> Vec<Bson> {
        names(id, self.uuids)
    }

    /// The same bytes for all forms of one id, and for no other.
    pub(crate) fn same_name(&self, value: RawBsonRef<'_>) -> Vec<u8> {
        same_name(value, self.uuids)
    }

    pub(crate) fn same_name_of(&self, id: &Bson) -> Vec<u8> {
        with_raw(id, |id| Some(self.same_name(id))).unwrap_or_default()
    }

    /// The id as the value that a row has for another one; as it is if it cannot be written so.
    pub(crate) fn written_like(&self, model: RawBsonRef<'_>, id: &Bson) -> Bson {
        let written = with_raw(id, |id| {
            let text = name_of(id, self.uuids)?;
            Bson::try_from(written_like(model, &text, self.uuids)?).ok()
        });
        written.unwrap_or_else(|| id.clone())
    }
}

/// Whether the server calls them equal, which does not tell a number from itself in another type.
fn are_equal(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> bool {
    one == other || number_of(one).is_some_and(|number| Some(number) == number_of(other))
}

/// One value as it is, several as a choice of them; nothing of none.
fn one_of(mut values: Vec<Bson>) -> Option<Bson> {
    match values.len() {
        0 => None,
        1 => values.pop(),
        _ => Some(doc! { "$in": values }.into()),
    }
}
