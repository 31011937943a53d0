//! The chats of a participant, page by page. What a page costs does not grow with the list: indexes hold its parts in
//! order, and each gives no more than a page from the cursor on.

use futures_util::{TryStreamExt as _, future::try_join_all};
use mongodb::{
    bson::{RawDocumentBuf, doc},
    options::Hint,
};
use onechat_core::{Chat, ChatCursor, Context, Page, PageSize, Participant, StoreError};

use crate::{
    attempt::{Deadline, until},
    collections::{Collections, one_more},
    error::{code, code_of},
    guard::{Guard, ListIndexes},
    index::simple,
    list_order::{List, Part},
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
        let lists: Vec<List<'_>> =
            paths.map(|path| List::new(&self.codec, path, &forms, context, after)).collect();
        let deadline = self.deadline();
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
