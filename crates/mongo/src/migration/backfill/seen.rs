//! Chats as they are read, in the order of `_id`, and what has to be so for a change to be made.

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc},
    options::Hint,
};
use onechat_core::{ChatIdentity, ParticipantsKey};
use onechat_migrate::time_of;

use super::{
    super::{
        MigrateError, MongoMigrator,
        commands::persist,
        survey::{id_of, packed},
    },
    contest::Age,
};
use crate::codec::field;

/// How many chats are read, and written, together.
pub(super) const BATCH: usize = 1000;

/// A chat whose participants are a set.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) id: Bson,
    pub(super) identity: ChatIdentity,
    /// The key that it should have.
    pub(super) right: String,
    /// The key as it is stored; nothing if there is no such field.
    pub(super) key: Option<Bson>,
    pub(super) age: Age,
    identity_as_stored: Document,
}

impl Seen {
    /// Whether it has its key.
    pub(super) fn is_right(&self) -> bool {
        matches!(&self.key, Some(Bson::String(key)) if *key == self.right)
    }

    /// The same chat once its key was taken away.
    pub(super) fn without_key(self) -> Self {
        Self { key: None, ..self }
    }

    /// Whether it has a key that is not its own, and not none.
    pub(super) fn is_wrong(&self) -> bool {
        match &self.key {
            None | Some(Bson::Null | Bson::Undefined) => false,
            Some(Bson::String(key)) => !key.is_empty() && *key != self.right,
            Some(_) => true,
        }
    }
}

impl MongoMigrator {
    /// The next chats in the order of `_id`. Ids may be of several types, which a comparison with `$gt` would not pass
    /// from one to the other; a bound of the index does.
    pub(super) async fn next_chats(&self, after: Option<&Bson>) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let mut batch: Vec<RawDocumentBuf> = persist(|| async {
            let mut find = chats
                .find(self.codec.inside(doc! {}))
                .projection(self.projection())
                .hint(Hint::Keys(doc! { "_id": 1 }));
            let limit = match after {
                Some(after) => {
                    find = find.min(doc! { "_id": after.clone() });
                    BATCH + 1
                }
                None => BATCH,
            };
            let limit = i64::try_from(limit).expect("a batch is small");
            find.sort(doc! { "_id": 1 }).limit(limit).await?.try_collect().await
        })
        .await?;
        let after = after.map(packed_value);
        batch.retain(|chat| Some(id_of(chat)) != after);
        Ok(batch)
    }

    /// Those of the ids that come after `last` in the order of `_id`, which goes through all types as `$expr` does.
    pub(super) async fn to_come(&self, ids: Vec<Bson>, last: &Bson) -> Result<Vec<Vec<u8>>, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let filter =
            doc! { "_id": { "$in": ids }, "$expr": { "$gt": ["$_id", { "$literal": last.clone() }] } };
        let found: Vec<RawDocumentBuf> = persist(|| async {
            chats.find(filter.clone()).projection(doc! { "_id": 1 }).await?.try_collect().await
        })
        .await?;
        Ok(found.iter().map(|chat| id_of(chat)).collect())
    }

    pub(super) fn projection(&self) -> Document {
        let fields = &self.codec.mapping().fields;
        let mut projection = self.codec.identity_and_key();
        projection.insert(&fields.created_at, 1);
        projection
    }

    /// A chat, or what is wrong with it.
    pub(super) fn see(&self, document: &RawDocument) -> Result<Seen, String> {
        let identity = self.codec.identity(document)?;
        let value = |name: &str| field(document, name).and_then(|value| Bson::try_from(value).ok());
        Ok(Seen {
            id: value("_id").ok_or("no _id")?,
            right: ParticipantsKey::new(&identity, self.key_format).as_str().to_owned(),
            key: value(self.codec.key_field()),
            age: self.age(document),
            identity_as_stored: self.codec.identity_as_stored(document),
            identity,
        })
    }

    pub(super) fn age(&self, document: &RawDocument) -> Age {
        let created = field(document, &self.codec.mapping().fields.created_at);
        let created = created.and_then(time_of).map(DateTime::timestamp_millis);
        let id = field(document, "_id").and_then(RawBsonRef::as_object_id);
        let from_id = id.map(|id| id.timestamp().timestamp_millis());
        (created.or(from_id).unwrap_or_default(), id_of(document))
    }

    /// Sets or removes a key, if the chat is still as it was seen.
    pub(super) fn statement(&self, seen: &Seen, after: Option<&str>, is_collated: bool) -> Document {
        let key = self.codec.key_field();
        let change = if let Some(after) = after {
            doc! { "$set": { key: after } }
        } else {
            doc! { "$unset": { key: "" } }
        };
        // Where text is compared by the collection's own rules, its index of ids is in their order, and of no use to
        // others: a key is then compared byte by byte.
        if is_collated && !matches!(seen.id, Bson::ObjectId(_) | Bson::Int32(_) | Bson::Int64(_)) {
            let mut filter = doc! { "_id": seen.id.clone() };
            filter.extend(as_seen(key, seen.key.as_ref(), true));
            return doc! { "q": self.codec.inside(filter), "u": change };
        }
        let mut filter = doc! { "_id": seen.id.clone() };
        filter.extend(seen.identity_as_stored.clone());
        filter.extend(as_seen(key, seen.key.as_ref(), false));
        // Named, or the server weighs all indexes for each statement.
        let filter = self.codec.inside(filter);
        doc! { "q": filter, "u": change, "collation": { "locale": "simple" }, "hint": { "_id": 1 } }
    }
}

/// What matches a field exactly as it was: missing is not null.
fn as_seen(key: &str, value: Option<&Bson>, bytewise: bool) -> Document {
    match value {
        None => doc! { key: { "$exists": false } },
        Some(Bson::Null) => doc! { key: { "$type": "null" } },
        Some(Bson::String(text)) if bytewise => {
            let (of, length) = (format!("${key}"), i64::try_from(text.len()).unwrap_or(i64::MAX));
            let bytes =
                doc! { "$strLenBytes": { "$cond": [{ "$eq": [{ "$type": &of }, "string"] }, &of, ""] } };
            let at = doc! { "$cond": [
                { "$eq": [{ "$type": &of }, "string"] }, { "$indexOfBytes": [&of, { "$literal": text }] }, -1,
            ] };
            doc! { "$expr": { "$and": [{ "$eq": [bytes, length] }, { "$eq": [at, 0] }] } }
        }
        Some(value) => doc! { key: { "$eq": value.clone() } },
    }
}

/// See [`packed`].
pub(super) fn packed_value(value: &Bson) -> Vec<u8> {
    let document = RawDocumentBuf::try_from(&doc! { "": value.clone() });
    let value = document.as_ref().ok().and_then(|document| field(document, ""));
    packed(value.unwrap_or(RawBsonRef::Null))
}
