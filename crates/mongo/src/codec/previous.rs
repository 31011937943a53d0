//! The keys that the rest of a fleet still uses: see `docs/decisions/0011-rekey.md`.

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use onechat_core::{ChatIdentity, KeyFormat, ParticipantsKey, StoreError};

use super::{Codec, field, root};
use crate::{Mapping, OpenError, formula::is_no_key};

/// Makes the previous keys. Nothing else is read or written by it.
#[derive(Debug, Clone)]
pub(crate) struct Previous {
    codec: Codec,
    key_format: KeyFormat,
    /// Whether chats are about the same, to those who know the previous keys alone.
    has_same_contexts: bool,
}

impl Previous {
    pub(super) fn of(mapping: &Mapping) -> Result<Option<Self>, OpenError> {
        let (Some(previous), Some(layout)) = (&mapping.previous, mapping.of_previous()) else {
            return Ok(None);
        };
        let has_same_contexts = previous.context == mapping.fields.context;
        Ok(Some(Self { codec: Codec::new(layout)?, key_format: previous.key_format, has_same_contexts }))
    }

    /// The layout of those who know the previous keys alone.
    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    pub(crate) fn key_format(&self) -> KeyFormat {
        self.key_format
    }

    /// The field of the previous keys.
    pub(crate) fn field(&self) -> &str {
        self.codec.key_field()
    }

    /// The fields that a previous key is read from, and its own.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.codec.identity_fields().chain([self.codec.key_field()])
    }

    /// The field with what chats are about, if that is no part of their identity any more: chats of one identity may have
    /// different previous keys.
    pub(crate) fn dropped_context(&self) -> Option<&str> {
        let context = self.codec.mapping().fields.context.as_deref();
        context.filter(|_| !self.has_same_contexts).map(root)
    }

    /// The key under which servers of the previous keys find the chat, as far as its identity tells.
    pub(crate) fn key_for(&self, identity: &ChatIdentity) -> ParticipantsKey {
        if self.has_same_contexts || identity.context.is_none() {
            return ParticipantsKey::new(identity, self.key_format);
        }
        ParticipantsKey::new(&(&identity.participants).into(), self.key_format)
    }

    /// The key that a chat should have by the previous terms; nothing if it is malformed by them.
    pub(crate) fn key_of(&self, document: &RawDocument) -> Option<ParticipantsKey> {
        let identity = self.codec.identity(document).ok()?;
        Some(ParticipantsKey::new(&identity, self.key_format))
    }

    /// The key that is stored.
    pub(crate) fn stored<'a>(&self, document: &'a RawDocument) -> Option<&'a str> {
        field(document, self.field())?.as_str().filter(|key| !key.is_empty())
    }

    /// The key that a chat lacks, and what it has there and where the key is read from. Nothing if it has one, whosever: it
    /// may be another program's.
    pub(crate) fn missing_in(&self, document: &RawDocument) -> Option<(ParticipantsKey, Document)> {
        let stored = field(document, self.field());
        if stored.is_some_and(|key| !is_no_key(key)) {
            return None;
        }
        let stored = stored.and_then(|key| Bson::try_from(key).ok()).unwrap_or(Bson::Null);
        let mut as_stored = self.codec.identity_as_stored(document);
        // Null also stands for a key that is not there.
        as_stored.insert(self.field(), doc! { "$eq": stored });
        Some((self.key_of(document)?, as_stored))
    }

    /// Gives a new chat its previous key too.
    pub(crate) fn add_to(&self, chat: &mut Document) -> Result<(), StoreError> {
        let raw = RawDocumentBuf::try_from(&*chat).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let key = self.key_of(&raw).ok_or_else(|| {
            StoreError::Refused(format!("the chat can have no key in {}, the previous field", self.field()))
        })?;
        chat.insert(self.field(), key.as_str());
        Ok(())
    }
}

impl Codec {
    /// The previous keys, if the configuration names any. Whether they still count, only the guard knows.
    pub(crate) fn previous(&self) -> Option<&Previous> {
        self.previous.as_deref()
    }
}
