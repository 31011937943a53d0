//! A chat by its id, for a participant of it. To everybody else it must be as absent as one that does not exist, and the
//! time of the answer must not tell the two apart (I6).
//!
//! So the id and the participant decide together, in an index of both: the document of a chat of others is never
//! fetched. And a miss costs the same commands whether there is no such chat, a chat of others, or an alias of one.

use futures_util::{TryStreamExt as _, future::try_join_all};
use mongodb::{
    action::{Action as _, Find},
    bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc},
    options::{Collation, Hint},
};
use onechat_core::{Chat, ChatId, Participant, StoreError};

use crate::{
    attempt::until,
    codec::{field, text_of},
    collections::{ALIASES, Collections, MOST_HOPS},
    error::{code, code_of},
    guard::Guard,
    index::simple,
};

impl Collections {
    /// The chat with this id, or the one that it is an alias of, if this is a participant of it.
    pub(crate) async fn chat_for(
        &self,
        id: &ChatId,
        participant: &Participant,
        guard: &Guard,
    ) -> Result<Option<Chat>, StoreError> {
        // Lost since it was seen, it is done without until the guard looks again, within seconds.
        let indexes = guard.member_hints();
        let asked = Asked { participant, indexes: indexes.as_deref() };
        let mut ids = vec![id.clone()];
        if let Some(chat) = self.first_of(&ids, &asked).await? {
            return Ok(Some(chat));
        }
        for _ in 0..MOST_HOPS {
            // Looked for even if it is no alias, so that nothing can be told from the time.
            ids = self.chain(id).await?;
            if let Some(chat) = self.first_of(&ids, &asked).await? {
                return Ok(Some(chat));
            }
            if let Some(chat) = self.surely_one_of(&ids, &asked).await? {
                return Ok(Some(chat));
            }
            // The chat may have been merged since its ids were read.
            if self.chain(id).await? == ids {
                return Ok(None);
            }
        }
        Err(StoreError::Unavailable("the chat was merged over and over while it was looked for".to_owned()))
    }

    /// The id, and what it is an alias of, one after the other: one command however many there are.
    async fn chain(&self, id: &ChatId) -> Result<Vec<ChatId>, StoreError> {
        let deadline = self.deadline();
        let depth = i64::try_from(MOST_HOPS).unwrap_or(i64::MAX);
        let stages = [
            doc! { "$match": { "_id": id.as_str() } },
            doc! { "$graphLookup": {
                "from": ALIASES, "startWith": "$chat", "connectFromField": "chat", "connectToField": "_id",
                "as": "next", "maxDepth": depth, "depthField": "depth",
            } },
        ];
        let found: Vec<RawDocumentBuf> = until(deadline, &self.metrics, || async {
            let rows = self.aliases.aggregate(stages.clone()).max_time(deadline.server_time());
            rows.with_type::<RawDocumentBuf>().await?.try_collect().await
        })
        .await?;
        let mut ids = vec![id.clone()];
        let Some(alias) = found.first() else { return Ok(ids) };
        let target = |alias: &RawDocument| {
            let target = field(alias, "chat").and_then(text_of).and_then(|id| ChatId::new(id).ok());
            target.ok_or_else(|| StoreError::Corrupt(format!("the alias {id} names no chat")))
        };
        ids.push(target(alias)?);
        let next = field(alias, "next").and_then(RawBsonRef::as_array).into_iter().flatten();
        let mut next: Vec<_> = next.filter_map(|alias| alias.ok()?.as_document()).collect();
        next.sort_by_key(|alias| field(alias, "depth").and_then(RawBsonRef::as_i64));
        for alias in next {
            ids.push(target(alias)?);
        }
        Ok(ids)
    }

    /// The participant's chat with the first of these ids that there is one for.
    async fn first_of(&self, ids: &[ChatId], asked: &Asked<'_>) -> Result<Option<Chat>, StoreError> {
        let paths = self.codec.participants_paths().iter().enumerate();
        let found = paths.map(|(at, path)| self.found_at(path, ids, asked.participant, asked.index(at)));
        let found = try_join_all(found).await?.concat();
        let mut chats = Vec::with_capacity(1);
        for document in &found {
            chats.push(self.codec.chat(document)?.chat);
        }
        chats.sort_by_key(|chat| ids.iter().position(|id| *id == chat.id));
        // A collation may take others for the participant.
        Ok(chats.into_iter().find(|chat| chat.identity.participants.contains(asked.participant)))
    }

    /// The chats with these ids that have the participant at this path.
    async fn found_at(
        &self,
        path: &str,
        ids: &[ChatId],
        participant: &Participant,
        index: Option<&str>,
    ) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let deadline = self.deadline();
        let filter = self.is_member(path, ids, participant);
        let find = |index: Option<&str>| {
            let find = self.chats.find(filter.clone()).max_time(deadline.server_time());
            let find = find.optional(index.map(|name| Hint::Name(name.to_owned())), Find::hint);
            let find = find.optional(self.codec.without_messages(), Find::projection);
            find.optional(self.collation_of_members(index), Find::collation)
        };
        until(deadline, &self.metrics, || async {
            match find(index).await {
                // The index that was named is not there.
                Err(error) if code_of(&error) == Some(code::BAD_VALUE) => {
                    find(None).await?.try_collect().await
                }
                found => found?.try_collect().await,
            }
        })
        .await
    }

    /// The same, from a primary that is sure to be one.
    async fn surely_one_of(&self, ids: &[ChatId], asked: &Asked<'_>) -> Result<Option<Chat>, StoreError> {
        let participant = asked.participant;
        for (at, path) in self.codec.participants_paths().iter().enumerate() {
            let index = asked.index(at);
            let filter = self.is_member(path, ids, participant);
            let found = self.surely(filter, self.collation_of_members(index), index).await?;
            let chat =
                found.map(|found| found.chat).filter(|chat| chat.identity.participants.contains(participant));
            if chat.is_some() {
                return Ok(chat);
            }
        }
        Ok(None)
    }

    fn is_member(&self, path: &str, ids: &[ChatId], participant: &Participant) -> Document {
        let ids: Vec<Bson> = ids.iter().flat_map(|id| self.codec.ids(id)).collect();
        self.codec.visible(doc! {
            path: { "$in": self.codec.forms_of_name(participant.as_str()) },
            self.codec.id_field(): { "$in": ids },
        })
    }

    fn collation_of_members(&self, index: Option<&str>) -> Option<Collation> {
        if index.is_some() { Some(simple()) } else { self.collation_of_ids() }
    }
}

/// Who asks, and the indexes that answer, one for each path of participants.
struct Asked<'a> {
    participant: &'a Participant,
    indexes: Option<&'a [String]>,
}

impl Asked<'_> {
    fn index(&self, at: usize) -> Option<&str> {
        self.indexes.and_then(|indexes| indexes.get(at)).map(String::as_str)
    }
}
