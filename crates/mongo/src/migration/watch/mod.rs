//! Heals what old writers go on writing: chats without a key, duplicates, messages that name no chat or one that was merged.
//!
//! A change says only which document is worth a look; what is done about it depends on what stands there when it is
//! looked at. So it does no harm to see a change twice, or late, or our own: a healed document is left alone.

mod chats;
mod messages;
mod rows;
mod stream;

use std::time::Duration;

use onechat_core::StoreError;
use onechat_migrate::{Control, Stopped};
use serde::Serialize;
use tokio::time::Instant;

pub(super) use self::rows::values_at;
use self::stream::{Batch, Changes, Next};
use super::{Lease, MigrateError, MongoMigrator, RunId};

/// How often the place in the stream is noted while nothing happens: the oplog forgets places that are too old.
const NOTE_PERIOD: Duration = Duration::from_secs(1);
/// How long to wait before the streams are opened again after an error.
const PAUSE: Duration = Duration::from_millis(500);

/// What a watch did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WatchReport {
    /// Changes that it looked at.
    pub events: u64,
    /// Chats that it gave a key.
    pub keyed: u64,
    /// Groups that it merged.
    pub merged: u64,
    /// Rows that it pointed to the chat that lives on.
    pub moved: u64,
    /// Chats that it made for messages that named none.
    pub made: u64,
    /// Messages that it pointed to the chat of their sender and receiver.
    pub pointed: u64,
}

/// What all parts of one watch need.
struct Watch<'a> {
    migrator: &'a MongoMigrator,
    lease: &'a Lease,
    run: &'a RunId,
    control: &'a dyn Control,
    report: WatchReport,
}

impl MongoMigrator {
    /// Follows the change streams until `control` says stop. Goes on where it stopped last, across failovers and restarts; if that
    /// is too long ago for the oplog, it says so and makes a full pass first.
    pub async fn watch(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<WatchReport, MigrateError> {
        if !self.is_replicated {
            return Err(MigrateError::Refused(
                "a standalone server has no change streams to follow: repeat `onechat migrate` from time to time, \
                 or make the server a replica set of one member"
                    .to_owned(),
            ));
        }
        self.ensure_keys_are_ours().await?;
        let mut watch = Watch { migrator: self, lease, run, control, report: WatchReport::default() };
        tracing::info!(event = "watch_started", run = %run, "following what old writers write");
        watch.run().await?;
        Ok(watch.report)
    }
}

impl Watch<'_> {
    /// Until it is to stop. What a failover interrupts is begun again from the last place that was noted.
    async fn run(&mut self) -> Result<(), MigrateError> {
        let mut is_down = false;
        loop {
            match self.follow().await {
                Err(MigrateError::Stopped(Stopped { reason })) => {
                    tracing::info!(event = "watch_stopped", reason, "no longer watching");
                    return Ok(());
                }
                Err(MigrateError::Store(StoreError::Unavailable(reason))) => {
                    if !is_down {
                        self.control
                            .note(&format!("the database cannot be followed now, trying again: {reason}"));
                    }
                    is_down = true;
                    if self.control.pace(0).await.is_err() {
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE).await;
                    match self.lease.check().await {
                        Err(MigrateError::LeaseLost) => return Err(MigrateError::LeaseLost),
                        Err(_) => {}
                        Ok(()) => is_down = false,
                    }
                }
                Err(other) => return Err(other),
                Ok(()) => {}
            }
        }
    }

    /// Opens the stream where it was left, and heals until something fails.
    async fn follow(&mut self) -> Result<(), MigrateError> {
        let Some(mut changes) = self.open().await? else { return Ok(()) };
        self.finish_messages().await?;
        let (mut batch, mut noted) = (Batch::default(), Instant::now());
        loop {
            self.control.pace(0).await?;
            let next = changes.next().await?;
            let is_idle = matches!(next, Next::Nothing);
            match next {
                Next::Change(change) => batch.add(change),
                Next::Nothing => {}
                // The database was dropped, or renamed away: a new stream sees what comes afterwards.
                Next::End => return self.heal(std::mem::take(&mut batch)).await,
            }
            if batch.is_due(is_idle) {
                self.heal(std::mem::take(&mut batch)).await?;
                self.migrator.note_place(changes.place()).await?;
                noted = Instant::now();
            } else if batch.is_empty() && noted.elapsed() >= NOTE_PERIOD {
                // Another that has taken over notes places of its own.
                self.lease.check().await?;
                self.migrator.note_place(changes.place()).await?;
                noted = Instant::now();
            }
        }
    }

    /// The stream from the place that was noted; nothing if that place was given up, and the next try begins anew.
    async fn open(&mut self) -> Result<Option<Changes>, MigrateError> {
        if let Some(place) = self.migrator.noted_place().await? {
            match self.migrator.changes(Some(place)).await {
                Ok(changes) => return Ok(Some(changes)),
                Err(error) if stream::is_forgotten(&error) => {
                    self.control.note(
                        "the oplog does not go back to where the last watch stopped: \
                         a full pass makes up for what was missed",
                    );
                }
                Err(error) => return Err(MigrateError::driver(&error)),
            }
        }
        // The place is from before the pass: what is written during it is seen afterwards.
        let changes = self.migrator.changes(None).await;
        let mut changes = changes.map_err(|error| MigrateError::driver(&error))?;
        let place = changes.first_place().await?;
        drop(changes);
        self.full_pass().await?;
        self.migrator.note_place(Some(place)).await?;
        Ok(None)
    }

    /// What `migrate` does between guarding and enforcing.
    async fn full_pass(&mut self) -> Result<(), MigrateError> {
        let before = self.report.clone();
        let passed = self.full_pass_in_steps().await;
        self.tell(&before);
        passed
    }

    async fn full_pass_in_steps(&mut self) -> Result<(), MigrateError> {
        let backfill = self.migrator.backfill(Some(self.lease), Some(self.run), false, self.control).await?;
        self.report.keyed += backfill.keyed + backfill.corrected;
        let merge = self.migrator.merge(self.lease, self.run, self.control).await?;
        self.report.merged += merge.groups;
        self.report.moved += merge.moved;
        let chats = self.migrator.make_chats(self.lease, self.run, self.control).await?;
        self.report.made += chats.made;
        self.report.pointed += chats.pointed;
        self.report.moved += self.migrator.sweep(self.lease, self.control).await?.moved;
        Ok(())
    }

    /// Says what was healed since then, if anything was.
    fn tell(&self, before: &WatchReport) {
        let (keyed, merged) = (self.report.keyed - before.keyed, self.report.merged - before.merged);
        let (moved, made) = (self.report.moved - before.moved, self.report.made - before.made);
        let pointed = self.report.pointed - before.pointed;
        if keyed + merged + moved + made + pointed > 0 {
            tracing::info!(
                event = "healed",
                keyed,
                merged,
                moved,
                made,
                pointed,
                "what old writers wrote is put right"
            );
        }
    }

    /// Chats first: a row may name one that is merged just now.
    async fn heal(&mut self, batch: Batch) -> Result<(), MigrateError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.report.events += batch.events;
        self.lease.check().await?;
        let before = self.report.clone();
        let healed = self.heal_all(&batch).await;
        // What was done before an error is not done again.
        self.tell(&before);
        healed
    }

    async fn heal_all(&mut self, batch: &Batch) -> Result<(), MigrateError> {
        if let Some(ids) = batch.documents.get(self.migrator.chats_name()) {
            self.heal_chats(ids).await?;
        }
        if let Some(ids) = batch.documents.get(&self.migrator.codec.mapping().messages) {
            self.heal_messages(ids).await?;
        }
        self.heal_rows(batch).await
    }
}
