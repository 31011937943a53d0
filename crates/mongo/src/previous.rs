//! Chats by their previous keys, while servers that know no others are on the collection: see
//! `docs/decisions/0011-rekey.md`.

use std::{collections::HashMap, sync::Arc};

use futures_util::TryStreamExt as _;
use mongodb::{
    action::{Action as _, Find},
    bson::{RawDocumentBuf, doc},
    error::Error,
    options::{Hint, ReadConcern},
};
use onechat_core::{Chat, StoreError};

use crate::{
    attempt::{Deadline, until},
    codec::Previous,
    collections::Collections,
    error::{code, code_of},
    historic::{FoundBySet, Historic, Wanted, rank},
    index::simple,
};

impl Collections {
    /// The chat of each set that has the set's previous key.
    pub(crate) async fn by_previous(
        &self,
        wanted: &[&Wanted],
        concern: &ReadConcern,
        hint: Option<&str>,
        deadline: Deadline,
    ) -> Result<FoundBySet, StoreError> {
        let mut found: FoundBySet = HashMap::new();
        for (wanted, chat) in self.under_previous(wanted, concern, hint, deadline).await? {
            let is_theirs = chat.as_ref().map_or(true, |found| found.chat.identity == *wanted.identity);
            if is_theirs && found.get(wanted).is_none_or(|known| rank(&chat) < rank(known)) {
                found.insert(wanted.clone(), chat);
            }
        }
        Ok(found)
    }

    /// The chat of another set that has the previous key of this one: both cannot have it.
    pub(crate) async fn stranger_under_previous(
        &self,
        wanted: &Wanted,
        hint: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<Arc<Chat>>, StoreError> {
        let found = self.under_previous(&[wanted], &ReadConcern::majority(), hint, deadline).await?;
        let mut chats = found.into_iter().filter_map(|(_, found)| Some(found.ok()?.chat));
        Ok(chats.find(|chat| chat.identity != *wanted.identity))
    }

    /// Whether there is really no chat under the previous key: see [`Collections::surely_by_key`].
    pub(crate) async fn surely_by_previous(
        &self,
        wanted: &Wanted,
        hint: Option<&str>,
    ) -> Result<Option<Arc<Chat>>, StoreError> {
        if !self.is_replicated {
            return Ok(None);
        }
        let concern = ReadConcern::linearizable();
        let mut found = self.by_previous(&[wanted], &concern, hint, self.deadline()).await?;
        Ok(found.remove(wanted).transpose()?.map(|found| found.chat))
    }

    /// Everything inside under the previous keys of these sets, whosever it is. One that is damaged stands for each of them.
    async fn under_previous<'a>(
        &self,
        wanted: &[&'a Wanted],
        concern: &ReadConcern,
        hint: Option<&str>,
        deadline: Deadline,
    ) -> Result<Vec<(&'a Wanted, Result<Historic, StoreError>)>, StoreError> {
        let Some(previous) = self.codec.previous() else { return Ok(Vec::new()) };
        let mut by_key: HashMap<Box<str>, Vec<&Wanted>> = HashMap::with_capacity(wanted.len());
        for wanted in wanted {
            by_key.entry(previous.key_for(&wanted.identity).as_str().into()).or_default().push(wanted);
        }
        let keys: Vec<&str> = by_key.keys().map(|key| &**key).collect();
        let documents = until(deadline, &self.metrics, || async {
            match self.find_previous(previous, &keys, concern, hint, deadline).await {
                // The index that was named is not there. The guard sees that too, within seconds.
                Err(error) if code_of(&error) == Some(code::BAD_VALUE) && hint.is_some() => {
                    self.find_previous(previous, &keys, concern, None, deadline).await
                }
                other => other,
            }
        })
        .await?;
        let mut found = Vec::with_capacity(documents.len());
        for document in &documents {
            let key = previous.stored(document).unwrap_or_default();
            for wanted in by_key.get(key).map(Vec::as_slice).unwrap_or_default() {
                found.push((*wanted, self.historic(document, wanted)));
            }
        }
        Ok(found)
    }

    async fn find_previous(
        &self,
        previous: &Previous,
        keys: &[&str],
        concern: &ReadConcern,
        hint: Option<&str>,
        deadline: Deadline,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let find = self
            .chats
            .find(self.codec.inside(doc! { previous.field(): { "$in": keys } }))
            .projection(self.parts())
            .collation(simple())
            .read_concern(concern.clone())
            .max_time(deadline.server_time());
        find.optional(hint.map(|name| Hint::Name(name.to_owned())), Find::hint).await?.try_collect().await
    }
}
