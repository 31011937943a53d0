//! One batch of messages: their chats are found or made, the messages are pointed there, and the chats' times are raised.

use futures_util::TryStreamExt as _;
use mongodb::bson::{RawDocumentBuf, doc, oid::ObjectId};
use onechat_core::ParticipantsKey;
use onechat_migrate::Control;

use super::{
    super::{
        Lease, MigrateError, MongoMigrator, RunId,
        commands::persist,
        journal::{EntryState, JOURNAL, Pointed, PointedMessages},
    },
    ChatsReport,
    chats::{Holder, key_is_taken, own, timestamp},
    pairs::{Pair, Row},
};

/// What is needed to write.
pub(in crate::migration) struct Work<'a> {
    pub(in crate::migration) migrator: &'a MongoMigrator,
    pub(in crate::migration) lease: &'a Lease,
    pub(in crate::migration) run: &'a RunId,
    pub(in crate::migration) control: &'a dyn Control,
    pub(in crate::migration) report: ChatsReport,
}

impl Work<'_> {
    /// Sees to one batch.
    pub(in crate::migration) async fn settle(&mut self, pairs: Vec<Pair>) -> Result<(), MigrateError> {
        if pairs.is_empty() {
            return Ok(());
        }
        self.control.pace(pairs.iter().map(|pair| pair.rows.len() as u64).sum()).await?;
        self.lease.check().await?;
        let keys: Vec<ParticipantsKey> = pairs.iter().map(|pair| self.migrator.key_of(pair)).collect();
        let holders = self.found_or_made(&pairs, &keys).await?;
        let mut rows = Vec::with_capacity(pairs.len());
        for (pair, key) in pairs.iter().zip(&keys) {
            match own(&holders, key.as_str(), &pair.identity) {
                Some(chat) => rows.push(self.pointed(pair, chat)?),
                None => self.report.block(pair.rows.len(), || key_is_taken(pair, key)),
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let noted = self.migrator.journal_pointed(self.lease, self.run, &rows).await?;
        self.carry_out(noted, &rows).await
    }

    /// Carries out what an earlier run had noted and was cut off in.
    pub(in crate::migration) async fn finish_interrupted(&mut self) -> Result<(), MigrateError> {
        let chats = self.migrator.chats_name();
        let filter = doc! { "state": EntryState::Applying.name(), "chats": chats, "type": "pointed" };
        let journal = self.migrator.database.collection::<RawDocumentBuf>(JOURNAL);
        let noted: Vec<RawDocumentBuf> = persist(|| async {
            journal.find(filter.clone()).sort(doc! { "order": 1 }).await?.try_collect().await
        })
        .await?;
        for document in &noted {
            let PointedMessages { id, rows, .. } = PointedMessages::of(document)?;
            self.control.pace(rows.iter().map(|row| row.len() as u64).sum()).await?;
            self.lease.check().await?;
            self.carry_out(id, &rows).await?;
        }
        Ok(())
    }

    async fn carry_out(&mut self, noted: ObjectId, rows: &[Pointed]) -> Result<(), MigrateError> {
        self.point(rows).await?;
        self.raise(rows).await?;
        self.migrator.set_state(&[noted], EntryState::Done).await
    }

    /// The messages of a pair, and what they do to the times of its chat.
    fn pointed(&self, pair: &Pair, chat: &Holder) -> Result<Pointed, MigrateError> {
        let (null, absent): (Vec<_>, Vec<_>) = pair.rows.iter().partition(|row| row.is_null);
        let ids = |rows: Vec<&Row>| rows.into_iter().map(|row| row.id.clone()).collect();
        let newest = pair.newest().unwrap_or_else(|| self.lease.now().timestamp_millis());
        let raise = chat.times.raised(&self.migrator.codec.mapping().fields, Some(timestamp(newest)?));
        Ok(Pointed { to: chat.id.clone(), absent: ids(absent), null: ids(null), raise: Some(raise) })
    }
}
