//! By which values a chat is named elsewhere, and what each becomes when it is to name the survivor.

use std::collections::HashMap;

use bson::{RawBson, RawBsonRef};

use crate::{
    Blocked, UuidOrder,
    fields::{bson_of, same},
    name_of, written_like,
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
    uuids: Option<UuidOrder>,
}

impl Identities {
    /// `chats` begins with the survivor. Blocked if the `_id`s of two of them are one text: of what has that text nobody
    /// knows which chat it names.
    pub(super) fn new(chats: Vec<ChatIds>, uuids: Option<UuidOrder>) -> Result<Self, Blocked> {
        let mut by_text = HashMap::new();
        for (index, chat) in chats.iter().enumerate() {
            for (value, name) in [(&chat.document, Name::Document), (&chat.public, Name::Public)] {
                let Some(text) = name_of(value.as_raw_bson_ref(), uuids) else { continue };
                let (other, of_other) = *by_text.entry(text.clone()).or_insert((index, name));
                if other != index && (name, of_other) == (Name::Document, Name::Document) {
                    return Err(Blocked::TwofoldId(text));
                }
            }
        }
        Ok(Self { chats, by_text, uuids })
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
        if is_as_it_is {
            return Some(survivor);
        }
        let text = name_of(survivor.as_raw_bson_ref(), self.uuids);
        let written = text.and_then(|text| written_like(value, &text, self.uuids));
        Some(written.unwrap_or(survivor))
    }

    /// The `_id` of a chat as text.
    pub(super) fn text(&self, chat: usize) -> String {
        let id = self.chats[chat].document.as_raw_bson_ref();
        name_of(id, self.uuids).unwrap_or_else(|| bson_of(id).to_string())
    }

    fn find(&self, value: RawBsonRef<'_>) -> Option<(usize, Name)> {
        if let Some(text) = name_of(value, self.uuids) {
            return self.by_text.get(&text).copied();
        }
        let names = |chat: &ChatIds| same(chat.document.as_raw_bson_ref(), value);
        self.chats.iter().position(names).map(|index| (index, Name::Document))
    }
}
