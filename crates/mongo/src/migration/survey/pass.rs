//! One pass over a collection, in whatever order is cheapest for the server, which reads ahead: it looks for documents while
//! others are looked at here.

use std::ops::Range;

use mongodb::{
    Cursor, Database,
    bson::{Document, RawDocument, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::StoreError;
use tokio::sync::mpsc;

use super::super::commands::ANSWER;
use crate::{codec::Codec, error::unavailable};

/// How much is handed over at once. There are up to three such pages: read, ready, and looked at.
const PAGE_BYTES: usize = 256 * 1024;

/// Documents, one after the other. One without any is the end.
type Page = Vec<u8>;

/// A pass that is on its way.
pub(crate) struct Pass {
    pages: mpsc::Receiver<Result<Page, Error>>,
    page: Page,
    /// The document in the page.
    at: Range<usize>,
    done: u64,
    total: u64,
}

impl Pass {
    /// Over all chats under the guarantee, of which only the id, the participants and the key are read.
    pub(crate) async fn over_chats(database: &Database, codec: &Codec) -> Result<Self, StoreError> {
        let (chats, inside) = (&codec.mapping().chats, codec.inside(doc! {}));
        Self::over_some(database, chats, inside, codec.identity_and_key()).await
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
        let find = collection.find(filter).projection(projection).batch_size(ANSWER);
        let cursor = find.await.map_err(|error| unavailable(&error))?;
        let (to, pages) = mpsc::channel(1);
        tokio::spawn(read(cursor, to));
        Ok(Self { pages, page: Page::new(), at: 0..0, done: 0, total })
    }

    /// Goes on to the next document; false: there is none.
    pub(crate) async fn advance(&mut self) -> Result<bool, StoreError> {
        while self.at.end == self.page.len() {
            // Whoever reads says when that is all: to have been cut off must not look like it.
            let Some(page) = self.pages.recv().await else {
                return Err(StoreError::Unavailable("the reading ended before its end".to_owned()));
            };
            (self.page, self.at) = (page.map_err(|error| unavailable(&error))?, 0..0);
            if self.page.is_empty() {
                return Ok(false);
            }
        }
        let rest = &self.page[self.at.end..];
        let length = rest.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        self.at = self.at.end..self.at.end + length as usize;
        self.done += 1;
        Ok(true)
    }

    /// Where it is. Only after [`Pass::advance`] said that there is one.
    pub(crate) fn document(&self) -> &RawDocument {
        RawDocument::from_bytes(&self.page[self.at.clone()]).expect("it was a document when it was read")
    }

    /// Now and then, how far it has come.
    pub(crate) fn milestone(&self) -> Option<(u64, u64)> {
        self.done.is_multiple_of(u64::from(ANSWER)).then_some((self.done, self.total.max(self.done)))
    }

    /// How many documents there were.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }
}

/// Ends when nobody asks any more.
async fn read(mut cursor: Cursor<RawDocumentBuf>, pages: mpsc::Sender<Result<Page, Error>>) {
    let mut page = Page::new();
    loop {
        let more = match cursor.advance().await {
            Ok(more) => more,
            Err(error) => {
                let _ = pages.send(Err(error)).await;
                return;
            }
        };
        if more {
            page.extend_from_slice(cursor.current().as_bytes());
        }
        let is_full = page.len() >= PAGE_BYTES || !more && !page.is_empty();
        if is_full && pages.send(Ok(std::mem::take(&mut page))).await.is_err() {
            return;
        }
        if !more {
            let _ = pages.send(Ok(Page::new())).await;
            return;
        }
    }
}
