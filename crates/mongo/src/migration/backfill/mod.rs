//! Gives every chat the key of its participants, in the order of `_id`, in batches, resumable.

mod change;
mod checkpoint;
mod contest;
mod forecast;
mod round;
mod seen;

use std::collections::HashSet;

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use onechat_core::StoreError;
use onechat_migrate::Control;
use serde::Serialize;

use super::{
    Lease, MigrateError, MongoMigrator, RunId,
    commands::persist,
    journal::shown,
    survey::{id_of, unpacked},
};

/// What progress is told under.
const STEP: &str = "backfill";
/// How many examples a report has.
const MAX_EXAMPLES: usize = 5;

/// What a backfill did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BackfillReport {
    /// The run in the journal; none for a dry run, or if nothing was written.
    pub run: Option<String>,
    /// Chats that were looked at.
    pub examined: u64,
    /// Chats that had no key and have one now.
    pub keyed: u64,
    /// Chats whose key was wrong and is right now.
    pub corrected: u64,
    /// Chats whose key another chat of the same people has: the merge's business. They keep what they had.
    pub duplicates: u64,
    /// Chats whose key a chat of other people holds (format `joined`): they stay without a key, and are reported.
    pub ambiguous: u64,
    /// Chats whose participants are no set: not touched.
    pub malformed: u64,
    /// The first few of the last two, in words.
    pub examples: Vec<String>,
}

impl BackfillReport {
    fn given(&mut self, was_wrong: bool) {
        *(if was_wrong { &mut self.corrected } else { &mut self.keyed }) += 1;
    }

    fn malformed(&mut self, document: &RawDocument, reason: &str) {
        self.malformed += 1;
        self.example(|| format!("chat {}: {reason}", shown(&id_value(document))));
    }

    fn ambiguous(&mut self, id: &Bson, key: &str) {
        self.ambiguous += 1;
        self.example(|| format!("chat {}: a chat of other people has its key {key:?}", shown(id)));
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(text());
        }
    }
}

/// A backfill at work.
struct Work<'a> {
    migrator: &'a MongoMigrator,
    lease: &'a Lease,
    run: &'a RunId,
    control: &'a dyn Control,
    /// Whether the collection compares text by rules of its own.
    is_collated: bool,
    /// Chats that lost a key that was another's, and that the pass has still to come to.
    evicted: HashSet<Vec<u8>>,
    /// Whether what was read ahead has changed by what was written since.
    is_read_ahead_stale: bool,
    report: BackfillReport,
}

impl MongoMigrator {
    /// Fills and corrects keys. With `dry_run` reads only. What it changes is in the journal.
    ///
    /// Refused on a collection where nothing keeps duplicates out: every key that is given would make the index that
    /// has to come harder to build. Refused, as its dry run, where the keys follow another formula than ours.
    pub async fn backfill(
        &self,
        lease: Option<&Lease>,
        run: Option<&RunId>,
        dry_run: bool,
        control: &dyn Control,
    ) -> Result<BackfillReport, MigrateError> {
        self.ensure_keys_are_ours().await?;
        if dry_run {
            return self.forecast(control).await;
        }
        let (Some(lease), Some(run)) = (lease, run) else {
            return Err(MigrateError::Refused("a backfill that writes needs the lease and a run".to_owned()));
        };
        let key = self.indexes().on_the_key().await?;
        if key.keeps_out().is_none() {
            return Err(MigrateError::Refused(format!(
                "nothing keeps new duplicates out of {} while keys are given: run `onechat guard on` first, or \
                 `onechat migrate`, which does all in order",
                self.chats_name()
            )));
        }
        self.ensure_outside_keys_may_be_taken().await?;
        self.seal(lease, run, control).await?;
        let (after, report) = self.checkpoint(run).await?;
        let is_collated = self.is_collated().await?;
        let evicted = HashSet::new();
        let mut work = Work {
            migrator: self,
            lease,
            run,
            control,
            is_collated,
            evicted,
            is_read_ahead_stale: false,
            report,
        };
        work.go_on(after).await?;
        self.forget_checkpoint(run).await?;
        Ok(work.report)
    }

    async fn about_how_many(&self) -> Result<u64, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        persist(|| async { chats.estimated_document_count().await }).await
    }

    async fn is_collated(&self) -> Result<bool, MigrateError> {
        let list = doc! { "listCollections": 1, "filter": { "name": self.chats_name() } };
        let reply = persist(|| async { self.database.run_command(list.clone()).await }).await?;
        let of = |document: &Document, name: &str| document.get_document(name).ok().cloned();
        let batch = of(&reply, "cursor").and_then(|cursor| cursor.get_array("firstBatch").ok().cloned());
        let first = batch.and_then(|batch| batch.first().and_then(Bson::as_document).cloned());
        let options = first.and_then(|first| of(&first, "options"));
        Ok(options.is_some_and(|options| options.contains_key("collation")))
    }
}

impl Work<'_> {
    async fn go_on(&mut self, mut after: Option<Bson>) -> Result<(), MigrateError> {
        let (migrator, run) = (self.migrator, self.run);
        let total = migrator.about_how_many().await?;
        let mut batch = migrator.next_chats(after.as_ref()).await?;
        while let Some(last) = batch.last() {
            let last = id_value(last);
            // The next chats are read, and the last ones are noted as done, while these are written. What is read is
            // compared again before it is written.
            let counted = self.report.clone();
            let note = async {
                match &after {
                    Some(after) => migrator.note_checkpoint(run, after, &counted).await,
                    None => Ok(()),
                }
            };
            let settle = self.settle(&batch, &last);
            let (settled, noted, next) = futures_util::join!(settle, note, migrator.next_chats(Some(&last)));
            settled.and(noted)?;
            self.report.examined += batch.len() as u64;
            self.control.advance(STEP, self.report.examined, total.max(self.report.examined));
            batch = match next {
                Ok(next) if !std::mem::take(&mut self.is_read_ahead_stale) => next,
                _ => migrator.next_chats(Some(&last)).await?,
            };
            after = Some(last);
        }
        Ok(())
    }

    /// Sees to one batch.
    async fn settle(&mut self, batch: &[RawDocumentBuf], last: &Bson) -> Result<(), MigrateError> {
        let (mut seen, mut malformed) = (Vec::with_capacity(batch.len()), Vec::new());
        for document in batch {
            match self.migrator.see(document) {
                Ok(chat) => seen.push(chat),
                Err(reason) => malformed.push((document, reason)),
            }
        }
        self.settle_seen(seen, last).await?;
        for (document, reason) in malformed {
            self.report.malformed(document, &reason);
        }
        Ok(())
    }
}

/// The `_id` of a document.
fn id_value(document: &RawDocument) -> Bson {
    unpacked(&id_of(document))
}

/// A reply that makes no sense.
fn damaged(what: &str) -> MigrateError {
    StoreError::Corrupt(format!("the server's reply has {what}")).into()
}
