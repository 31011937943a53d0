//! The chats of a participant, page by page. What a page costs does not grow with the list: indexes hold its parts in
//! order, and each gives no more than a page from the cursor on.

use futures_util::{TryStreamExt as _, future::try_join_all};
use mongodb::{
    bson::{Bson, RawDocumentBuf, doc},
    options::Hint,
};
use onechat_core::{Chat, ChatCursor, ChatId, Context, Page, PageSize, Participant, StoreError};

use crate::{
    attempt::{Deadline, until},
    codec::field,
    collections::{Collections, one_more},
    error::{code, code_of},
    guard::{Guard, ListIndexes},
    index::simple,
    list_order::{List, Part, rank},
};

/// The field that lists are sorted by, which exists only while a list is made without an index.
const POSITION: &str = "__onechat_position";

impl Collections {
    /// The chats of a participant from the cursor on, latest first.
    pub(crate) async fn chats_of(
        &self,
        participant: &Participant,
        context: Option<&Context>,
        size: PageSize,
        after: Option<&ChatCursor>,
        guard: &Guard,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        let none = Page { items: Vec::new(), next: None };
        if context.is_some() && self.codec.mapping().fields.context.is_none() {
            return Ok(none);
        }
        let forms = self.codec.forms_of_name(participant.as_str());
        let paths = self.codec.participants_paths().iter();
        // Of each it may read three parts of a page.
        let _place = self.place_for_pages(3 * paths.len()).await;
        let deadline = self.deadline();
        let after = match after {
            Some(after) => Some((after.at, self.place_of(&after.id, deadline).await?)),
            None => None,
        };
        let lists: Vec<List<'_>> =
            paths.map(|path| List::new(&self.codec, path, &forms, context, after.as_ref())).collect();
        if let Some(indexes) = guard.list_indexes() {
            if let Some(rows) = self.all_indexed(&lists, size, &indexes, deadline).await? {
                return match lists[0].page(rows, size)? {
                    Some(page) => Ok(page),
                    None => self.sorted_here(&lists, size, deadline).await,
                };
            }
            // An index that was named is not there.
            let _ = guard.check().await;
        }
        let rows = lists.iter().map(|list| self.computed(list, size, deadline));
        match lists[0].page(try_join_all(rows).await?.concat(), size)? {
            Some(page) => Ok(page),
            None => self.sorted_here(&lists, size, deadline).await,
        }
    }

    /// The value by which the chat with this id stands in the order of ids.
    async fn place_of(&self, id: &ChatId, deadline: Deadline) -> Result<Bson, StoreError> {
        let mut ids = self.codec.ids(id);
        if ids.len() > 1 {
            let these = doc! { "_id": { "$in": &ids } };
            let found: Vec<RawDocumentBuf> = until(deadline, &self.metrics, || async {
                let find = self.chats.find(these.clone()).projection(doc! { "_id": 1 });
                find.max_time(deadline.server_time()).await?.try_collect().await
            })
            .await?;
            // Of several none is left out. One that is gone stood where new ones are.
            let last = found.iter().filter_map(|chat| field(chat, "_id")).max_by_key(|id| rank(Some(*id)));
            let written = || self.codec.mapping().chat_id.and_then(|form| form.written(id.as_str()));
            ids.extend(last.and_then(|id| Bson::try_from(id).ok()).or_else(written));
        }
        // No chat has an id that cannot be written.
        Ok(ids.pop().unwrap_or(Bson::MinKey))
    }

    /// The page if times have several forms, which no server has in order: all chats of the participant are read.
    async fn sorted_here(
        &self,
        lists: &[List<'_>],
        size: PageSize,
        deadline: Deadline,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        let rows = until(deadline, &self.metrics, || async {
            let mut kept = Vec::new();
            for list in lists {
                let find = self.chats.find(self.codec.visible(list.all())).projection(self.parts());
                let mut rows = find.collation(simple()).max_time(deadline.server_time()).await?;
                while rows.advance().await? {
                    list.keep(&mut kept, rows.current().to_owned(), size);
                }
            }
            Ok(kept)
        });
        lists[0].first_of(rows.await?, size)
    }

    /// At least as many of the next chats as a page and one more has, of all lists; nothing if an index is gone.
    async fn all_indexed(
        &self,
        lists: &[List<'_>],
        size: PageSize,
        indexes: &[ListIndexes],
        deadline: Deadline,
    ) -> Result<Option<Vec<RawDocumentBuf>>, StoreError> {
        let rows = lists.iter().zip(indexes);
        let rows = rows.map(|(list, indexes)| self.indexed(list, size, indexes, deadline));
        let rows: Option<Vec<_>> = try_join_all(rows).await?.into_iter().collect();
        Ok(rows.map(|rows| rows.concat()))
    }

    /// At least as many of the next chats as a page and one more has; nothing if an index is gone.
    ///
    /// A chat goes from the silent part to the active one with its first message. It must not be missed by both, so
    /// the active part is read last.
    async fn indexed(
        &self,
        list: &List<'_>,
        size: PageSize,
        indexes: &ListIndexes,
        deadline: Deadline,
    ) -> Result<Option<Vec<RawDocumentBuf>>, StoreError> {
        let undated = async {
            match list.undated() {
                Some(part) => self.part(part, &indexes.silent, size, deadline).await,
                None => Ok(Some(Vec::new())),
            }
        };
        let silent = self.part(list.silent(), &indexes.silent, size, deadline);
        let (Some(undated), Some(silent)) = tokio::try_join!(undated, silent)? else { return Ok(None) };
        let active = self.part(list.active(), &indexes.active, size, deadline).await?;
        Ok(active.map(|active| [active, silent, undated].concat()))
    }

    /// The first chats of a part. The index is named: without it the server would sort all of them.
    async fn part(
        &self,
        part: Part,
        index: &str,
        size: PageSize,
        deadline: Deadline,
    ) -> Result<Option<Vec<RawDocumentBuf>>, StoreError> {
        until(deadline, &self.metrics, || async {
            let find = self
                .chats
                .find(self.codec.visible(part.filter.clone()))
                .sort(part.sort.clone())
                .limit(one_more(size));
            // Others may hold all their messages in the chat.
            let find = find.projection(self.parts());
            let find = find.hint(Hint::Name(index.to_owned())).collation(simple());
            match find.max_time(deadline.server_time()).await {
                Err(error) if code_of(&error) == Some(code::BAD_VALUE) => Ok(None),
                found => found?.try_collect().await.map(Some),
            }
        })
        .await
    }

    /// The same without indexes: the server reads all chats of the participant and sorts them, for each page.
    async fn computed(
        &self,
        list: &List<'_>,
        size: PageSize,
        deadline: Deadline,
    ) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let mut stages = vec![
            doc! { "$match": self.codec.visible(list.all()) },
            doc! { "$set": { POSITION: list.position() } },
        ];
        stages.extend(list.after_by(POSITION).map(|after| doc! { "$match": after }));
        stages.push(doc! { "$sort": { POSITION: -1, self.codec.id_field(): -1 } });
        stages.push(doc! { "$limit": one_more(size) });
        stages.push(doc! { "$project": self.parts() });
        until(deadline, &self.metrics, || async {
            let rows = self.chats.aggregate(stages.clone()).max_time(deadline.server_time());
            let rows = rows.collation(simple());
            rows.with_type::<RawDocumentBuf>().await?.try_collect().await
        })
        .await
    }
}
