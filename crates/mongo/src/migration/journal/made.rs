//! Chats that were made for messages that named none, and the messages that were pointed to them.

use mongodb::bson::{
    Binary, Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc, oid::ObjectId, spec::BinarySubtype,
};
use onechat_core::StoreError;

use super::{
    super::{Lease, MigrateError, MongoMigrator, RunId},
    EntryState, JOURNAL,
    item::damaged,
};
use crate::codec::field;

/// A chat that was made, as it was made. One that somebody else was faster to make is named too, and was never there.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::migration) struct MadeChat {
    pub(in crate::migration) id: Bson,
    pub(in crate::migration) image: RawDocumentBuf,
}

/// Messages that named no chat, and the chat that they name since.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::migration) struct Pointed {
    pub(in crate::migration) to: Bson,
    /// Those that had no such field.
    pub(in crate::migration) absent: Vec<Bson>,
    /// Those that had null there.
    pub(in crate::migration) null: Vec<Bson>,
    /// How the times of the chat were raised afterwards.
    pub(in crate::migration) raise: Option<Raise>,
}

/// Fields of a chat, from what to what. Absent before if they are not in `before`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::migration) struct Raise {
    pub(in crate::migration) before: Document,
    pub(in crate::migration) after: Document,
}

/// A document of the journal that names chats that were made.
pub(in crate::migration) struct MadeChats {
    pub(in crate::migration) id: ObjectId,
    pub(in crate::migration) order: i64,
    pub(in crate::migration) chats: Vec<MadeChat>,
}

/// A document of the journal that names messages that were pointed.
pub(in crate::migration) struct PointedMessages {
    pub(in crate::migration) id: ObjectId,
    pub(in crate::migration) order: i64,
    pub(in crate::migration) collection: String,
    pub(in crate::migration) field: String,
    pub(in crate::migration) rows: Vec<Pointed>,
}

impl Pointed {
    /// How many messages.
    pub(in crate::migration) fn len(&self) -> usize {
        self.absent.len() + self.null.len()
    }

    /// The messages.
    pub(in crate::migration) fn ids(&self) -> impl Iterator<Item = &Bson> {
        self.absent.iter().chain(&self.null)
    }

    fn to_document(&self) -> Document {
        let mut document =
            doc! { "to": self.to.clone(), "absent": self.absent.clone(), "null": self.null.clone() };
        if let Some(Raise { before, after }) = &self.raise {
            document.insert("raise", doc! { "before": before.clone(), "after": after.clone() });
        }
        document
    }

    fn of(document: &Document) -> Option<Self> {
        let raise = document.get_document("raise").ok().map(|raise| {
            let part = |name: &str| raise.get_document(name).cloned().unwrap_or_default();
            Raise { before: part("before"), after: part("after") }
        });
        Some(Self {
            to: document.get("to")?.clone(),
            absent: document.get_array("absent").ok()?.clone(),
            null: document.get_array("null").ok()?.clone(),
            raise,
        })
    }
}

impl MadeChats {
    pub(in crate::migration) fn of(document: &RawDocument) -> Result<Self, StoreError> {
        let made = field(document, "made").and_then(RawBsonRef::as_array).ok_or_else(|| damaged("made"))?;
        let chats = made.into_iter().map(|one| {
            let one = one.ok().and_then(RawBsonRef::as_document).ok_or_else(|| damaged("made"))?;
            let id = field(one, "id").and_then(|id| Bson::try_from(id).ok());
            let image = match field(one, "image") {
                Some(RawBsonRef::Binary(image)) => RawDocumentBuf::from_bytes(image.bytes.to_vec()).ok(),
                _ => None,
            };
            let (Some(id), Some(image)) = (id, image) else { return Err(damaged("made")) };
            Ok(MadeChat { id, image })
        });
        let (id, order) = head(document)?;
        Ok(Self { id, order, chats: chats.collect::<Result<_, StoreError>>()? })
    }
}

impl PointedMessages {
    pub(in crate::migration) fn of(document: &RawDocument) -> Result<Self, StoreError> {
        let (id, order) = head(document)?;
        let document = Document::try_from(document).map_err(|_| damaged("pointed"))?;
        let text = |name: &str| document.get_str(name).map(str::to_owned).map_err(|_| damaged(name));
        let rows = document.get_array("rows").map_err(|_| damaged("rows"))?.iter();
        let rows = rows.map(|row| row.as_document().and_then(Pointed::of).ok_or_else(|| damaged("rows")));
        Ok(Self {
            id,
            order,
            collection: text("collection")?,
            field: text("field")?,
            rows: rows.collect::<Result<_, StoreError>>()?,
        })
    }
}

fn head(document: &RawDocument) -> Result<(ObjectId, i64), StoreError> {
    let id = field(document, "_id").and_then(RawBsonRef::as_object_id).ok_or_else(|| damaged("_id"))?;
    let order = field(document, "order").and_then(RawBsonRef::as_i64).ok_or_else(|| damaged("order"))?;
    Ok((id, order))
}

impl MongoMigrator {
    /// Writes to the journal that chats are about to be made.
    pub(in crate::migration) async fn journal_made(
        &self,
        lease: &Lease,
        run: &RunId,
        made: &[MadeChat],
    ) -> Result<(), MigrateError> {
        let made = made.iter().map(|chat| {
            let image = Binary { subtype: BinarySubtype::Generic, bytes: chat.image.as_bytes().to_vec() };
            Bson::from(doc! { "id": chat.id.clone(), "image": image })
        });
        let document = doc! {
            "_id": ObjectId::new(), "type": "made", "run": run.0, "chats": self.chats_name(),
            "order": lease.next_order(), "state": EntryState::Done.name(), "at": lease.now(),
            "made": made.collect::<Vec<_>>(),
        };
        self.write(doc! { "insert": JOURNAL, "documents": [document] }).await?;
        Ok(())
    }

    /// Writes to the journal that messages are about to be pointed; the name of the document, which says that they may not
    /// be yet.
    pub(in crate::migration) async fn journal_pointed(
        &self,
        lease: &Lease,
        run: &RunId,
        rows: &[Pointed],
    ) -> Result<ObjectId, MigrateError> {
        let id = ObjectId::new();
        let mapping = self.codec.mapping();
        let messages = rows.iter().map(Pointed::len).sum::<usize>();
        let document = doc! {
            "_id": id, "type": "pointed", "run": run.0, "chats": self.chats_name(),
            "order": lease.next_order(), "state": EntryState::Applying.name(), "at": lease.now(),
            "collection": &mapping.messages, "field": &mapping.message_fields.chat,
            "messages": i64::try_from(messages).unwrap_or(i64::MAX),
            "rows": rows.iter().map(Pointed::to_document).collect::<Vec<_>>(),
        };
        self.write(doc! { "insert": JOURNAL, "documents": [document] }).await?;
        Ok(id)
    }
}
