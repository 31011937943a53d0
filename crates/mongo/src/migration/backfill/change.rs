//! Changes of keys: into the journal, then to the server, each on the condition that nobody was faster.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc};

use super::{
    super::{
        MigrateError,
        commands::persist,
        journal::{KeyChange, shown},
        survey::id_of,
    },
    Work, damaged,
    seen::{Seen, packed_value},
};
use crate::{
    codec::field,
    error::{code, number},
};

/// How many commands are sent side by side.
const LANES: usize = 4;

/// A chat that should have a key and has it not.
pub(super) struct Taker {
    pub(super) seen: Seen,
    pub(super) was_wrong: bool,
}

/// What is to be written.
pub(super) enum Change {
    Give(Taker),
    /// Because a chat of others keeps the key: it is reported, and stays without.
    TakeAway(Seen),
    /// Because the key is not its own: it gets its own in the next round, or when the pass comes to it.
    Evict(Seen),
}

impl Change {
    fn seen(&self) -> &Seen {
        match self {
            Self::Give(taker) => &taker.seen,
            Self::TakeAway(seen) | Self::Evict(seen) => seen,
        }
    }

    fn after(&self) -> Option<&str> {
        match self {
            Self::Give(taker) => Some(&taker.seen.right),
            Self::TakeAway(_) | Self::Evict(_) => None,
        }
    }
}

impl Work<'_> {
    /// Journals and writes; those that have to be looked at again.
    pub(super) async fn write(
        &mut self,
        changes: Vec<Change>,
        last: &Bson,
    ) -> Result<Vec<Taker>, MigrateError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut evicted = Vec::new();
        // Keys are taken away first: in one command nothing says which statement comes first.
        let (mut gives, takes): (Vec<Change>, Vec<Change>) =
            changes.into_iter().partition(|change| matches!(change, Change::Give(_)));
        let to_come = self.still_to_come(&takes, last).await?;
        self.is_read_ahead_stale |= !to_come.is_empty();
        let (applied, _) = self.apply(takes).await?;
        for change in applied {
            let is_to_come = to_come.contains(&packed_value(&change.seen().id));
            match change {
                Change::TakeAway(seen) if !is_to_come => self.report.ambiguous(&seen.id, &seen.right),
                Change::Evict(seen) if is_to_come => self.had_another_key(&seen.id),
                Change::Evict(seen) => evicted.push(Taker { seen: seen.without_key(), was_wrong: true }),
                Change::TakeAway(_) | Change::Give(_) => {}
            }
        }
        // One that has just lost a wrong key is not as it was seen: it comes again, and the journal names no key that it never
        // had.
        let lost: HashSet<Vec<u8>> = evicted.iter().map(|taker| packed_value(&taker.seen.id)).collect();
        gives.retain(|change| !lost.contains(&packed_value(&change.seen().id)));
        let (applied, refused) = self.apply(gives).await?;
        for change in applied {
            if let Change::Give(taker) = change {
                self.report.given(taker.was_wrong);
            }
        }
        // Who should have got a key is asked first again: others of the same identity are counted as duplicates.
        let mut again = self.look_again(refused).await?;
        again.extend(evicted);
        // One that should have got a key may have lost a wrong one at the same time.
        let mut once = HashSet::new();
        again.retain(|taker| once.insert(packed_value(&taker.seen.id)));
        Ok(again)
    }

    async fn still_to_come(&self, takes: &[Change], last: &Bson) -> Result<HashSet<Vec<u8>>, MigrateError> {
        if takes.is_empty() {
            return Ok(HashSet::new());
        }
        let ids = takes.iter().map(|change| change.seen().id.clone()).collect();
        Ok(self.migrator.to_come(ids, last).await?.into_iter().collect())
    }

    /// Makes the changes; those that were made, and those that were not since somebody was faster.
    async fn apply(&mut self, changes: Vec<Change>) -> Result<(Vec<Change>, Vec<Change>), MigrateError> {
        if changes.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        self.control.pace(changes.len() as u64).await?;
        let journaled: Vec<KeyChange> = changes.iter().map(journaled).collect();
        // What the journal names and nobody wrote is nothing to an undo, so the two need not wait for each other.
        let journal = self.migrator.journal_keys(self.lease, self.run, &journaled);
        let (held, journaled) = futures_util::join!(self.lease.check(), journal);
        held.and(journaled)?;
        self.report.run.get_or_insert_with(|| self.run.to_string());
        let (matched, errors) = self.send(&changes).await?;
        let all_matched = matched == changes.len() - errors.len();
        let as_wanted = if all_matched { None } else { Some(self.as_wanted(&changes).await?) };
        let (mut applied, mut others) = (Vec::new(), Vec::new());
        for (index, change) in changes.into_iter().enumerate() {
            let is_there = |ids: &HashSet<Vec<u8>>| ids.contains(&packed_value(&change.seen().id));
            if !errors.contains(&index) && as_wanted.as_ref().is_none_or(is_there) {
                applied.push(change);
            } else {
                others.push(change);
            }
        }
        Ok((applied, others))
    }

    /// How many chats were still as they were seen, and which statements failed. No two are about the same key, so
    /// that they can be sent side by side: a conditional update takes the server about twice as long as one by `_id`.
    async fn send(&self, changes: &[Change]) -> Result<(usize, HashSet<usize>), MigrateError> {
        let part = changes.len().div_ceil(LANES);
        let replies = changes.chunks(part).map(|changes| {
            let statement =
                |change: &Change| self.migrator.statement(change.seen(), change.after(), self.is_collated);
            let statements: Vec<Document> = changes.iter().map(statement).collect();
            let chats = self.migrator.chats_name();
            self.migrator.write(doc! { "update": chats, "ordered": false, "updates": statements })
        });
        let (mut matched, mut failed) = (0, HashSet::new());
        // All of them come to an end before an error of one does anything.
        let replies = futures_util::future::join_all(replies).await;
        for (reply, (lane, changes)) in replies.into_iter().zip(changes.chunks(part).enumerate()) {
            let reply = reply?;
            let count = number(reply.get("n")).and_then(|count| usize::try_from(count).ok());
            matched += count.ok_or_else(|| damaged("no count"))?;
            failed.extend(self.write_errors(&reply, changes)?.into_iter().map(|index| lane * part + index));
        }
        Ok((matched, failed))
    }

    /// The statements that failed. A key that somebody else has by now is a race; anything else would come again.
    fn write_errors(&self, reply: &Document, changes: &[Change]) -> Result<HashSet<usize>, MigrateError> {
        if let Ok(doubt) = reply.get_document("writeConcernError") {
            return Err(damaged(&format!("a write that may not last: {doubt}")));
        }
        let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
        let mut failed = HashSet::new();
        for error in errors.iter().filter_map(Bson::as_document) {
            let index = number(error.get("index")).and_then(|index| usize::try_from(index).ok());
            let index =
                index.filter(|index| *index < changes.len()).ok_or_else(|| damaged("a stray error"))?;
            let is_of_the_key = error
                .get_document("keyPattern")
                .is_ok_and(|pattern| pattern.keys().eq([self.migrator.codec.key_field()]));
            if number(error.get("code")) != Some(i64::from(code::DUPLICATE_KEY)) || !is_of_the_key {
                return Err(MigrateError::Refused(format!(
                    "chat {} cannot be given its key: {}",
                    shown(&changes[index].seen().id),
                    error.get_str("errmsg").unwrap_or("the database does not say why")
                )));
            }
            failed.insert(index);
        }
        Ok(failed)
    }

    /// Those chats that have now what they should.
    async fn as_wanted(&self, changes: &[Change]) -> Result<HashSet<Vec<u8>>, MigrateError> {
        let now = self.now(changes).await?;
        let wanted: HashMap<Vec<u8>, Option<&str>> =
            changes.iter().map(|change| (packed_value(&change.seen().id), change.after())).collect();
        let is_so = |chat: &&RawDocumentBuf| {
            let key = field(chat, self.migrator.codec.key_field());
            wanted.get(&id_of(chat)).is_some_and(|wanted| key.and_then(RawBsonRef::as_str) == *wanted)
        };
        Ok(now.iter().filter(is_so).map(|chat| id_of(chat)).collect())
    }

    async fn now(&self, changes: &[Change]) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let migrator = self.migrator;
        let chats = migrator.database.collection::<RawDocumentBuf>(migrator.chats_name());
        let ids: Vec<&Bson> = changes.iter().map(|change| &change.seen().id).collect();
        persist(|| async {
            let these = migrator.codec.inside(doc! { "_id": { "$in": &ids } });
            let find = chats.find(these).projection(migrator.projection());
            find.await?.try_collect().await
        })
        .await
    }

    /// As they are now. One that is gone, outside, right, or no set any more is somebody else's doing.
    async fn look_again(&self, refused: Vec<Change>) -> Result<Vec<Taker>, MigrateError> {
        if refused.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now(&refused).await?;
        let now: HashMap<Vec<u8>, &RawDocumentBuf> = now.iter().map(|chat| (id_of(chat), chat)).collect();
        let again = refused.into_iter().filter_map(|change| {
            let Change::Give(taker) = change else { return None };
            let seen = self.migrator.see(now.get(&packed_value(&taker.seen.id))?).ok()?;
            (!seen.is_right()).then_some(Taker { seen, ..taker })
        });
        Ok(again.collect())
    }
}

fn journaled(change: &Change) -> KeyChange {
    let seen = change.seen();
    KeyChange { id: seen.id.clone(), before: seen.key.clone(), after: change.after().map(str::to_owned) }
}
