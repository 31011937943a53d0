//! The collections, and every command that is sent to them: reads with the majority read concern on the primary,
//! writes acknowledged by a majority.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection, Database,
    action::{Action as _, Find, FindOne},
    bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc},
    error::Error,
    options::{Collation, Hint, ReadConcern},
};
use onechat_core::{
    AliasError, Chat, ChatId, Message, MessageCursor, Page, PageSize, ParticipantsKey, StoreError, Timestamp,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    MessagePlace,
    attempt::{Deadline, once, until},
    codec::{Codec, StoredChat, age, field, id_value, text_of},
    connection::Connection,
    error::{Written, code, code_of, is_permanent, reason, sort_out},
    index::simple,
    metrics::Metrics,
};

/// Where the ids of merged chats are kept.
pub(crate) const ALIASES: &str = "onechat_aliases";

/// Chats by their keys. One that is damaged must not hide the others.
pub(crate) type Found = HashMap<ParticipantsKey, Result<Arc<Chat>, StoreError>>;

/// The collections of one mapping.
pub(crate) struct Collections {
    pub(crate) database: Database,
    pub(crate) chats: Collection<RawDocumentBuf>,
    pub(crate) messages: Collection<RawDocumentBuf>,
    pub(crate) aliases: Collection<RawDocumentBuf>,
    pub(crate) codec: Codec,
    pub(crate) metrics: Metrics,
    pub(crate) is_replicated: bool,
    /// By which fields new chats are outside `only`, if they are; once that is known, and the same for all.
    pub(crate) new_chats_are_outside: OnceLock<Option<String>>,
    /// Who reads a page, which may have many megabytes, until it is cut to what an answer may have.
    pages: Semaphore,
    patience: Duration,
}

/// How many reads of pages are under way at most, so that their memory is bounded however many callers there are.
const MOST_PAGES: usize = 8;

/// About how much of the messages is read for one page. Nothing is lost: the page has a cursor.
pub(crate) const PAGE_BYTES: usize = 1024 * 1024;

/// The longest chain of aliases that is followed.
pub(crate) const MOST_HOPS: usize = 16;

impl Collections {
    pub(crate) fn new(connection: &Connection, codec: Codec, metrics: Metrics, patience: Duration) -> Self {
        let database = connection.database.clone();
        Self {
            chats: database.collection(&codec.mapping().chats),
            messages: database.collection(&codec.mapping().messages),
            aliases: database.collection(ALIASES),
            database,
            codec,
            metrics,
            is_replicated: connection.is_replicated,
            new_chats_are_outside: OnceLock::new(),
            pages: Semaphore::new(MOST_PAGES),
            patience,
        }
    }

    /// Waits for the place of one who reads `pages` pages at once. Who reads more than there are places for reads alone.
    pub(crate) async fn place_for_pages(&self, pages: usize) -> Option<SemaphorePermit<'_>> {
        let weight = u32::try_from(pages.min(MOST_PAGES)).ok()?;
        self.pages.acquire_many(weight).await.ok()
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.patience)
    }

    /// The chats under the keys, in one round trip. The index is named, so that its loss is an error at once and
    /// not a slow scan.
    pub(crate) async fn by_keys(
        &self,
        keys: &[&ParticipantsKey],
        hint: Option<String>,
        deadline: Deadline,
    ) -> Result<Found, Error> {
        let wanted: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        let mut find = self
            .chats
            .find(self.codec.inside(doc! { self.codec.key_field(): { "$in": wanted } }))
            .batch_size(u32::try_from(keys.len() + 1).unwrap_or(u32::MAX))
            .collation(simple())
            .max_time(deadline.server_time());
        if let Some(hint) = hint {
            find = find.hint(Hint::Name(hint));
        }
        if let Some(fields) = self.codec.without_messages() {
            find = find.projection(fields);
        }
        let mut cursor = find.await?;
        let mut found = HashMap::with_capacity(keys.len());
        while let Some(document) = cursor.try_next().await? {
            let key = field(&document, self.codec.key_field()).and_then(RawBsonRef::as_str);
            let key = ParticipantsKey::from_stored(key.unwrap_or_default());
            let chat = self.codec.chat(&document).map(|stored| Arc::new(stored.chat));
            // Without a unique index there may be several: the oldest is the same for everybody.
            let age = |chat: &Result<Arc<Chat>, StoreError>| {
                chat.as_ref().ok().map(|chat| (chat.created_at, chat.id.clone()))
            };
            if found.get(&key).is_none_or(|known| age(&chat) < age(known)) {
                found.insert(key, chat);
            }
        }
        Ok(found)
    }

    /// Whether there is really no chat under the key. A primary that was cut off and does not know yet that another
    /// was elected may not have heard of a chat that was acknowledged; it cannot answer this question.
    pub(crate) async fn surely_by_key(&self, key: &ParticipantsKey) -> Result<Option<Arc<Chat>>, StoreError> {
        let under_the_key = self.codec.inside(doc! { self.codec.key_field(): key.as_str() });
        let found = self.surely(under_the_key, Some(simple()), None).await?;
        Ok(found.map(|found| Arc::new(found.chat)))
    }

    pub(crate) async fn surely(
        &self,
        filter: Document,
        collation: Option<Collation>,
        hint: Option<&str>,
    ) -> Result<Option<StoredChat>, StoreError> {
        if !self.is_replicated {
            return Ok(None);
        }
        let deadline = self.deadline();
        let find = |hint: Option<&str>| {
            let find = self.chats.find_one(filter.clone()).max_time(deadline.server_time());
            let find = find.optional(collation.clone(), FindOne::collation);
            let find = find.optional(hint.map(|name| Hint::Name(name.to_owned())), FindOne::hint);
            let find = find.optional(self.codec.without_messages(), FindOne::projection);
            find.read_concern(ReadConcern::linearizable())
        };
        let found = until(deadline, &self.metrics, || async {
            match find(hint).await {
                // A shard, or a set whose configuration was taken away.
                Err(error) if code_of(&error) == Some(code::NOT_A_REPLICA_SET) => Ok(None),
                // The index that was named is not there.
                Err(error) if code_of(&error) == Some(code::BAD_VALUE) && hint.is_some() => find(None).await,
                other => other,
            }
        });
        found.await?.map(|document| self.codec.chat(&document)).transpose()
    }

    /// The chat with this id, or the one that it is an alias of: a chat that others were merged into may be merged
    /// into another one later.
    pub(crate) async fn by_id(&self, id: &ChatId) -> Result<Option<StoredChat>, StoreError> {
        let mut id = id.clone();
        for _ in 0..MOST_HOPS {
            if let Some(found) = self.living(&id).await? {
                return Ok(Some(found));
            }
            match self.alias(&id).await? {
                Some(target) => id = target,
                None => break,
            }
        }
        match self.codec.has_id(&id) {
            Some(this) => self.surely(self.codec.visible(this), self.collation_of_ids(), None).await,
            None => Ok(None),
        }
    }

    async fn living(&self, id: &ChatId) -> Result<Option<StoredChat>, StoreError> {
        let Some(this) = self.codec.has_id(id) else { return Ok(None) };
        let this = self.codec.visible(this);
        if self.codec.has_ids_of_any_type() {
            return self.living_of_any_type(id, this).await;
        }
        let deadline = self.deadline();
        let found = until(deadline, &self.metrics, || async {
            let find = self.chats.find_one(this.clone());
            let find = find.optional(self.collation_of_ids(), FindOne::collation);
            let find = find.optional(self.codec.without_messages(), FindOne::projection);
            find.max_time(deadline.server_time()).await
        });
        found.await?.map(|document| self.codec.chat(&document)).transpose()
    }

    /// The same where several chats may be called the same, of which nobody knows which one is meant.
    async fn living_of_any_type(
        &self,
        id: &ChatId,
        this: Document,
    ) -> Result<Option<StoredChat>, StoreError> {
        let deadline = self.deadline();
        let found: Vec<RawDocumentBuf> = until(deadline, &self.metrics, || async {
            let find = self.chats.find(this.clone()).limit(2).max_time(deadline.server_time());
            find.optional(self.codec.without_messages(), Find::projection).await?.try_collect().await
        })
        .await?;
        match &found[..] {
            [] => Ok(None),
            [document] => self.codec.chat(document).map(Some),
            _ => Err(StoreError::Corrupt(format!(
                "two chats are called {id}, with an _id of another type each"
            ))),
        }
    }

    /// The index on `_id` has the collation of the collection, and is of no use for texts under another one.
    pub(crate) fn collation_of_ids(&self) -> Option<Collation> {
        (self.codec.id_field() != "_id").then(simple)
    }

    async fn alias(&self, id: &ChatId) -> Result<Option<ChatId>, StoreError> {
        let deadline = self.deadline();
        let found = until(deadline, &self.metrics, || async {
            self.aliases.find_one(doc! { "_id": id.as_str() }).max_time(deadline.server_time()).await
        });
        let Some(document) = found.await? else { return Ok(None) };
        let target = field(&document, "chat").and_then(text_of).and_then(|id| ChatId::new(id).ok());
        target.map(Some).ok_or_else(|| StoreError::Corrupt(format!("the alias {id} names no chat")))
    }

    pub(crate) async fn add_alias(&self, alias: &ChatId, chat: &ChatId) -> Result<(), AliasError> {
        if self.living(alias).await?.is_some() {
            return Err(AliasError::LiveChat(alias.clone()));
        }
        let target = self.by_id(chat).await?.ok_or_else(|| AliasError::NoSuchChat(chat.clone()))?.chat.id;
        let document = doc! { "_id": alias.as_str(), "chat": target.as_str() };
        let written = self.insert(ALIASES, vec![document], self.deadline()).await?;
        match &written[..] {
            [Written::Stored] => Ok(()),
            [Written::Duplicate(_)] => match self.alias(alias).await? {
                Some(taken) if taken != target => Err(AliasError::Taken(taken)),
                _ => Ok(()),
            },
            other => Err(StoreError::Unavailable(format!("the alias was not stored: {other:?}")).into()),
        }
    }

    /// Inserts documents without order. An error means that nothing is known of any of them, or that it never
    /// can succeed.
    pub(crate) async fn insert(
        &self,
        collection: &str,
        documents: Vec<Document>,
        deadline: Deadline,
    ) -> Result<Vec<Written>, StoreError> {
        let count = documents.len();
        let wait = i64::try_from(deadline.server_time().as_millis()).unwrap_or(i64::MAX);
        let command = doc! {
            "insert": collection,
            "ordered": false,
            "documents": documents,
            "writeConcern": { "w": "majority", "j": true, "wtimeout": wait },
        };
        let why = match once(deadline, self.database.run_command(command).into_future()).await {
            Ok(Ok(reply)) => return Ok(sort_out(&reply, count)),
            Ok(Err(error)) if is_permanent(&error) => return Err(StoreError::Unavailable(reason(&error))),
            Ok(Err(error)) => reason(&error),
            Err(hung) => hung.to_owned(),
        };
        Ok(vec![Written::Unknown(why); count])
    }

    pub(crate) async fn messages(
        &self,
        chat: &ChatId,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let Some(stored) = self.by_id(chat).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        match &self.codec.mapping().message_place {
            MessagePlace::Rows => self.rows_of(&stored, size, before).await,
            MessagePlace::Embedded { field } => self.embedded_in(&stored, field, size, before).await,
            MessagePlace::Listed { field, .. } => self.listed_in(&stored, field, size, before).await,
        }
    }

    /// The rows that name the chat, latest first.
    async fn rows_of(
        &self,
        stored: &StoredChat,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let fields = &self.codec.mapping().message_fields;
        let mut filter = self.codec.of_chat(&stored.document_id, Vec::new());
        if let Some(before) = before {
            let id = id_value(before.id.as_str());
            let at = self.time_in_order(before.at, &id).await?;
            let mut after = vec![doc! { &fields.created_at: at.clone(), "_id": { "$lt": id } }];
            // Whatever its type: what has no time, or none of this form, comes after what has one.
            if at != Bson::Null {
                let field = format!("${}", fields.created_at);
                after.push(doc! { "$expr": { "$lt": [field, { "$literal": at }] } });
            }
            filter = self.codec.of_chat(&stored.document_id, after);
        }
        let _place = self.place_for_pages(1).await;
        let filter = self.codec.visible_messages(filter);
        let deadline = self.deadline();
        let (documents, is_cut) = until(deadline, &self.metrics, || async {
            let find = self.messages.find(filter.clone()).sort(doc! { &fields.created_at: -1, "_id": -1 });
            let mut cursor = find.limit(one_more(size)).max_time(deadline.server_time()).await?;
            let (mut documents, mut bytes) = (Vec::new(), 0);
            while cursor.advance().await? {
                if bytes > PAGE_BYTES {
                    return Ok((documents, true));
                }
                bytes += cursor.current().as_bytes().len();
                documents.push(cursor.current().to_owned());
            }
            Ok((documents, false))
        })
        .await?;
        let messages = documents.iter().map(|document| self.codec.message(document, &stored.chat.id));
        let messages = messages.collect::<Result<Vec<_>, StoreError>>()?;
        if is_cut {
            let next = messages.last().map(MessageCursor::after);
            return Ok(Page { items: messages, next });
        }
        Ok(Page::from_one_more(messages, size, MessageCursor::after))
    }

    /// The time of a message as the index has it. One that shows the age of its id may have none of the right form.
    async fn time_in_order(&self, at: Timestamp, id: &Bson) -> Result<Bson, StoreError> {
        let fields = &self.codec.mapping().message_fields;
        let time = fields.times.compared(at);
        if at != age(id) {
            return Ok(time);
        }
        let deadline = self.deadline();
        let this = doc! { "_id": id };
        let stored = until(deadline, &self.metrics, || async {
            let find = self.messages.find_one(this.clone()).projection(doc! { &fields.created_at: 1 });
            find.max_time(deadline.server_time()).await
        })
        .await?;
        let Some(stored) = stored else { return Ok(time) };
        let value = field(&stored, &fields.created_at).and_then(|value| Bson::try_from(value).ok());
        Ok(value.unwrap_or(Bson::Null))
    }

    /// Whether a primary answers and can see a majority.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let deadline = Deadline::after(self.patience / 4);
        until(deadline, &self.metrics, || async {
            self.chats.find_one(doc! {}).projection(doc! { "_id": 1 }).max_time(deadline.server_time()).await
        })
        .await?;
        Ok(())
    }
}

pub(crate) fn one_more(size: PageSize) -> i64 {
    i64::try_from(size.get()).unwrap_or(i64::MAX).saturating_add(1)
}
