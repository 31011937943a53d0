//! Gives back what a run, or one merge of it, has changed.
//!
//! Whatever was written since stays: each document is compared with what the journal says was left there, and what
//! differs is kept and listed. Nothing is forced.
//!
//! An entry is read, and what it takes to undo it is put together as a value ([`reversal::Reversal`]), whose
//! statements all name what they expect to find. With transactions, a batch of entries is undone as a whole or not at
//! all; without, the statements go in an order in which a cut-off undo can be repeated.

mod edited;
mod foreseen;
mod keys;
mod made;
mod named;
mod now;
mod order;
mod reversal;
mod statements;
mod write;

pub(super) use now::{Now, value_at};
pub(super) use reversal::Loaded;

use mongodb::bson::oid::ObjectId;
use onechat_migrate::Control;
use serde::Serialize;

use self::foreseen::Foreseen;
use super::{
    Lease, MigrateError, MongoMigrator, RunId,
    journal::{Entry, EntryState},
};

/// What is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoTarget {
    /// Everything that a run did: the last first.
    Run(RunId),
    /// One merged group, by the name of its entry.
    Group(String),
}

/// What an undo did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UndoReport {
    /// Groups that were given back.
    pub groups: u64,
    /// Chats that live again.
    pub revived: u64,
    /// Rows that were pointed back.
    pub moved_back: u64,
    /// Keys that were taken back.
    pub keys: u64,
    /// Chats that the run had made and that are gone again.
    pub removed: u64,
    /// Writes made since that are kept.
    pub kept: u64,
    /// Each row that could not be given back as it was, with what stands there now.
    pub conflicts: Vec<String>,
}

/// What all parts of one undo need.
struct Undo<'a> {
    migrator: &'a MongoMigrator,
    /// None for a dry run.
    lease: Option<&'a Lease>,
    control: &'a dyn Control,
    report: UndoReport,
    foreseen: Foreseen,
}

impl MongoMigrator {
    /// Undoes. Refused while a unique or guarding index would refuse the chats that come back: `rollback` first. With `dry_run`
    /// reads only.
    pub async fn undo(
        &self,
        lease: Option<&Lease>,
        target: &UndoTarget,
        dry_run: bool,
        control: &dyn Control,
    ) -> Result<UndoReport, MigrateError> {
        if self.protection().await?.keeps_duplicates_out {
            let refusal = "an index keeps duplicates out, and the chats that come back are duplicates: \
                           `onechat rollback` first";
            if !dry_run {
                return Err(MigrateError::Refused(refusal.to_owned()));
            }
            control.note(refusal);
        }
        let lease = lease.filter(|_| !dry_run);
        if lease.is_none() && !dry_run {
            return Err(MigrateError::Refused("an undo that writes needs the lease".to_owned()));
        }
        let mut undo = Undo {
            migrator: self,
            lease,
            control,
            report: UndoReport::default(),
            foreseen: Foreseen::default(),
        };
        match target {
            UndoTarget::Run(run) => undo.run(run).await?,
            UndoTarget::Group(name) => undo.group(name).await?,
        }
        Ok(undo.report)
    }
}

impl Undo<'_> {
    async fn group(&mut self, name: &str) -> Result<(), MigrateError> {
        let refused = |why: &str| MigrateError::Refused(format!("{name:?} {why}: see `onechat merge list`"));
        let id = ObjectId::parse_str(name).map_err(|_| refused("is no name of a merged group"))?;
        let entry = self.migrator.header(id).await?.ok_or_else(|| refused("is not in the journal"))?;
        self.migrator.ensure_of_our_keys(&entry.run).await?;
        refuse_unfinished(&entry)?;
        if entry.state == EntryState::Undone {
            self.control.note("this group is undone already");
            return Ok(());
        }
        if let Some(later) = self.migrator.later(std::slice::from_ref(&entry), None).await?.first() {
            return Err(MigrateError::Refused(format!(
                "the entry {} of the run {} came later and has to do with the same chats: undo that first",
                later.id, later.run
            )));
        }
        let mut entries = vec![entry];
        entries.extend(self.migrator.ahead_of(&entries[0]).await?);
        let total = entries.len() as u64;
        for (done, entry) in (1..).zip(entries) {
            self.batch(vec![entry]).await?;
            self.control.advance("undo", done, total);
        }
        Ok(())
    }

    async fn run(&mut self, run: &RunId) -> Result<(), MigrateError> {
        self.migrator.ensure_of_our_keys(run).await?;
        let total = self.migrator.to_undo(run).await?;
        if total == 0 {
            self.control.note("this run left nothing that could be undone");
        }
        let (mut done, mut before) = (0, None);
        loop {
            let page = self.migrator.page_of(run, before).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.order());
            for step in order::batches(page) {
                done += match step {
                    order::Step::Merges(entries) => {
                        entries.iter().try_for_each(refuse_unfinished)?;
                        let count = entries.len() as u64;
                        let entries = self.without_blocked(run, entries).await?;
                        self.batch(entries).await?;
                        count
                    }
                    order::Step::Keys(keys) => {
                        self.take_back(run, keys).await?;
                        1
                    }
                    order::Step::Pointed(messages) => {
                        self.point_back(run, messages).await?;
                        1
                    }
                    order::Step::Made(chats) => {
                        self.unmake(run, chats).await?;
                        1
                    }
                };
                self.control.advance("undo", done, total.max(done));
            }
        }
    }

    /// Leaves out what a later run has built on: that has to be undone first, and is not forced here.
    async fn without_blocked(
        &mut self,
        run: &RunId,
        mut entries: Vec<Entry>,
    ) -> Result<Vec<Entry>, MigrateError> {
        // A dry run leaves the later entries of the same run as they are.
        let within = self.lease.is_none().then_some(run);
        for later in self.migrator.later(&entries, within).await? {
            entries.retain(|entry| {
                let is_blocked = order::builds_on(&later, entry);
                if is_blocked {
                    self.report.conflicts.push(format!(
                        "the group {} ({:?}) is not undone: the entry {} of the run {} came later and has to do \
                         with the same chats; undo that first",
                        entry.id, entry.key, later.id, later.run
                    ));
                }
                !is_blocked
            });
        }
        Ok(entries)
    }
}

/// One that was cut off while it was applied is finished first: then there is one state to go back from.
fn refuse_unfinished(entry: &Entry) -> Result<(), MigrateError> {
    if entry.state != EntryState::Applying {
        return Ok(());
    }
    Err(MigrateError::Refused(format!(
        "the entry {} of the run {} was cut off while it was applied: finish it by `onechat merge apply`, then undo it",
        entry.id, entry.run
    )))
}
