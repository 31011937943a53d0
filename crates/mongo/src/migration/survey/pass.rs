//! One pass over a collection, in whatever order is cheapest for the server.

use mongodb::{
    Cursor, Database,
    bson::{Document, RawDocument, RawDocumentBuf, doc},
};
use onechat_core::StoreError;

use crate::{codec::Codec, error::unavailable};

/// How many documents the server sends at once. More would only take memory here.
const BATCH: u32 = 10_000;

/// A pass that is on its way.
pub(crate) struct Pass {
    cursor: Cursor<RawDocumentBuf>,
    done: u64,
    total: u64,
}

impl Pass {
    /// Over all chats, of which only the id, the participants and the key are read.
    pub(crate) async fn over_chats(database: &Database, codec: &Codec) -> Result<Self, StoreError> {
        let fields = &codec.mapping().fields;
        let projection = doc! { &fields.participants: 1, &fields.participants_key: 1 };
        Self::over(database, &codec.mapping().chats, projection).await
    }

    /// Over all documents of a collection.
    pub(crate) async fn over(
        database: &Database,
        collection: &str,
        projection: Document,
    ) -> Result<Self, StoreError> {
        Self::over_some(database, collection, doc! {}, projection).await
    }

    /// Over those documents of a collection that match.
    pub(crate) async fn over_some(
        database: &Database,
        collection: &str,
        filter: Document,
        projection: Document,
    ) -> Result<Self, StoreError> {
        let collection = database.collection::<RawDocumentBuf>(collection);
        let total = collection.estimated_document_count().await.map_err(|error| unavailable(&error))?;
        let find = collection.find(filter).projection(projection).batch_size(BATCH);
        let cursor = find.await.map_err(|error| unavailable(&error))?;
        Ok(Self { cursor, done: 0, total })
    }

    /// Goes on to the next document; false: there is none.
    pub(crate) async fn advance(&mut self) -> Result<bool, StoreError> {
        let more = self.cursor.advance().await.map_err(|error| unavailable(&error))?;
        self.done += u64::from(more);
        Ok(more)
    }

    /// Where it is. Only after [`Pass::advance`] said that there is one.
    pub(crate) fn document(&self) -> &RawDocument {
        self.cursor.current()
    }

    /// Now and then, how far it has come.
    pub(crate) fn milestone(&self) -> Option<(u64, u64)> {
        self.done.is_multiple_of(u64::from(BATCH)).then_some((self.done, self.total.max(self.done)))
    }

    /// How many documents there were.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }
}
