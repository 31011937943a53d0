//! By which values a chat is named elsewhere, and what each becomes when it is to name the survivor.

use std::collections::HashMap;

use bson::{RawBson, RawBsonRef, oid::ObjectId, spec::BinarySubtype};

use crate::{
    fields::{bson_of, same},
    text_of,
};

/// The two names that a chat can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Document,
    Public,
}

/// The names of one chat.
#[derive(Debug, Clone)]
pub(super) struct ChatIds {
    pub(super) document: RawBson,
    pub(super) public: RawBson,
}

/// The names of a group's chats: the survivor's, then the losers'.
#[derive(Debug)]
pub(super) struct Identities {
    chats: Vec<ChatIds>,
    by_text: HashMap<String, (usize, Name)>,
}

impl Identities {
    /// `chats` begins with the survivor.
    pub(super) fn new(chats: Vec<ChatIds>) -> Self {
        let mut by_text = HashMap::new();
        for (index, chat) in chats.iter().enumerate() {
            for (value, name) in [(&chat.document, Name::Document), (&chat.public, Name::Public)] {
                if let Some(text) = text_of(value.as_raw_bson_ref()) {
                    by_text.entry(text).or_insert((index, name));
                }
            }
        }
        Self { chats, by_text }
    }

    /// How many chats there are.
    pub(super) fn len(&self) -> usize {
        self.chats.len()
    }

    /// The chat that a value names: 0 is the survivor, the losers follow in their order.
    pub(super) fn named(&self, value: RawBsonRef<'_>) -> Option<usize> {
        self.find(value).map(|(index, _)| index)
    }

    /// What a value that names a loser becomes: the survivor's id of the same kind, in the same form.
    pub(super) fn pointed(&self, value: RawBsonRef<'_>) -> Option<RawBson> {
        let (index, name) = self.find(value)?;
        if index == 0 {
            return None;
        }
        let of = |chat: &ChatIds| match name {
            Name::Document => chat.document.clone(),
            Name::Public => chat.public.clone(),
        };
        let (loser, survivor) = (of(&self.chats[index]), of(&self.chats[0]));
        // Who names chats as they call themselves, goes on doing so: ids of one collection may be of several types.
        let is_as_it_is = same(loser.as_raw_bson_ref(), value);
        Some(if is_as_it_is { survivor } else { in_form_of(value, &survivor) })
    }

    /// The `_id` of a chat as text.
    pub(super) fn text(&self, chat: usize) -> String {
        let id = self.chats[chat].document.as_raw_bson_ref();
        text_of(id).unwrap_or_else(|| bson_of(id).to_string())
    }

    fn find(&self, value: RawBsonRef<'_>) -> Option<(usize, Name)> {
        if let Some(text) = text_of(value) {
            return self.by_text.get(&text).copied();
        }
        let names = |chat: &ChatIds| same(chat.document.as_raw_bson_ref(), value);
        self.chats.iter().position(names).map(|index| (index, Name::Document))
    }
}

/// An id written like `model`, if it can be.
fn in_form_of(model: RawBsonRef<'_>, id: &RawBson) -> RawBson {
    let Some(text) = text_of(id.as_raw_bson_ref()) else { return id.clone() };
    let written = match model {
        RawBsonRef::String(_) => Some(RawBson::String(text)),
        RawBsonRef::ObjectId(_) => {
            ObjectId::parse_str(&text).ok().filter(|id| id.to_hex() == text).map(RawBson::ObjectId)
        }
        RawBsonRef::Binary(_) => {
            let uuid = bson::Uuid::parse_str(&text).ok();
            let uuid = uuid.filter(|uuid| uuid.to_string() == text);
            uuid.map(|uuid| {
                RawBson::Binary(bson::Binary { subtype: BinarySubtype::Uuid, bytes: uuid.bytes().to_vec() })
            })
        }
        _ => None,
    };
    written.unwrap_or_else(|| id.clone())
}
