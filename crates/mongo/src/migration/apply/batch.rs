//! A batch of groups, made smaller while it does not go through.

use std::{collections::HashSet, sync::Arc};

use onechat_migrate::{Blocked, Control, Group, GroupPlan, MergeRules};

use super::{
    super::{Lease, MigrateError, MongoMigrator, RunId, journal::EntryState, survey::bytes_of},
    MergeReport, Wanted,
    read::{Read, ReadGroup, Reader},
    statements::{self, Merge},
};

/// How often a batch of several groups is tried before it is cut.
const TRIES: usize = 2;
/// How often a single group is tried while a unique index refuses it.
const TRIES_ALONE: usize = 8;
/// How many rows a group may have before they are pointed to its survivor ahead of the merge.
pub(super) const MANY_ROWS: usize = 10_000;

/// What merging needs.
pub(super) struct Work<'a> {
    pub(super) migrator: &'a MongoMigrator,
    pub(super) lease: &'a Lease,
    pub(super) run: &'a RunId,
    pub(super) control: &'a dyn Control,
    pub(super) rules: Arc<MergeRules>,
}

/// A group that was read, and what is to be done with it.
pub(in crate::migration) type Decided = (ReadGroup, Result<GroupPlan, Blocked>);

/// Plans what was read.
pub(super) fn decide(rules: &MergeRules, read: Read) -> Vec<Decided> {
    let decided = read.groups.into_iter().map(|read| {
        let plan = onechat_migrate::plan(rules, &read.group);
        (read, plan)
    });
    decided.collect()
}

/// Rows that merges change one by one, by their collection.
pub(super) type EditedRows = HashSet<(String, Vec<u8>)>;

/// Merges that can be carried out together.
pub(super) struct Planned {
    pub(super) merges: Vec<Merge>,
    pub(super) tally: Tally,
    /// The rows that they change one by one.
    pub(super) edited: EditedRows,
}

/// What came of a batch.
pub(super) enum Done {
    /// All that could be merged is, but for these groups, which change rows that others of the batch have changed.
    All(Vec<Wanted>),
    /// All is done but what somebody wrote to meanwhile: these groups are tried again, each by itself, which takes less time.
    Spared(Vec<Wanted>),
    /// Nothing is done: there is too much in it.
    TooMuch,
    /// Nothing is done: others write to its chats.
    Conflict,
    /// Nothing is done: a unique index on these fields refuses it.
    Clash(Vec<String>),
}

/// What a batch adds to the report once it is done.
#[derive(Default)]
pub(super) struct Tally {
    groups: u64,
    losers: u64,
    moved: u64,
    edited: u64,
    conflicts: u64,
    stale: u64,
    blocked: Vec<(String, Blocked)>,
    postponed: Vec<Wanted>,
}

impl Tally {
    /// Takes out what could not be done after all.
    pub(super) fn spare(&mut self, groups: u64, losers: u64) {
        self.groups = self.groups.saturating_sub(groups);
        self.losers = self.losers.saturating_sub(losers);
    }

    /// Returns the groups that have to wait for the next batch.
    #[must_use]
    pub(super) fn add_to(self, report: &mut MergeReport) -> Vec<Wanted> {
        report.groups += self.groups;
        report.losers += self.losers;
        report.moved += self.moved;
        report.edited += self.edited;
        report.conflicts += self.conflicts;
        report.stale += self.stale;
        for (key, why) in &self.blocked {
            report.block(key, why);
        }
        self.postponed
    }
}

impl Work<'_> {
    /// Merges groups; those that cannot be are counted in the report.
    pub(super) async fn merge(&self, wanted: Vec<Wanted>) -> Result<MergeReport, MigrateError> {
        let mut report = MergeReport::default();
        let mut batches = vec![wanted];
        while let Some(mut batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            let chats: usize = batch.iter().map(|wanted| wanted.ids.len()).sum();
            self.control.pace(chats as u64).await?;
            self.make_way(&batch).await?;
            let before = report.rows();
            if let [alone] = &batch[..] {
                report.moved += self.ahead(alone).await?;
            }
            let tries = if batch.len() > 1 { TRIES } else { TRIES_ALONE };
            let done = if self.migrator.is_replicated {
                self.in_transaction(&batch, tries, &mut report).await?
            } else {
                self.in_steps(&batch, tries, &mut report).await?
            };
            match done {
                Done::All(postponed) => {
                    batches.push(postponed);
                    self.pace_rows(report.rows() - before).await?;
                }
                Done::Spared(spared) => batches.extend(spared.into_iter().map(|wanted| vec![wanted])),
                Done::Clash(fields) if batch.len() == 1 => {
                    let key =
                        onechat_core::ParticipantsKey::new(&batch[0].identity, self.migrator.key_format);
                    let why = format!(
                        "a unique index on {} refuses what it would become; `onechat audit` lists chats that share a key",
                        fields.join(", ")
                    );
                    report.block(key.as_str(), &why);
                }
                Done::TooMuch | Done::Conflict | Done::Clash(_) => {
                    let half = batch.len() / 2;
                    let rest = batch.split_off(half);
                    batches.extend([rest, batch]);
                }
            }
        }
        Ok(report)
    }

    /// Documents outside give up the keys of these groups.
    pub(super) async fn make_way(&self, wanted: &[Wanted]) -> Result<(), MigrateError> {
        if self.migrator.codec.only().is_none() {
            return Ok(());
        }
        let key =
            |wanted: &Wanted| onechat_core::ParticipantsKey::new(&wanted.identity, self.migrator.key_format);
        let keys: Vec<_> = wanted.iter().map(key).collect();
        let keys: Vec<&str> = keys.iter().map(onechat_core::ParticipantsKey::as_str).collect();
        self.migrator.take_from_outside(self.lease, self.run, &keys).await.map(drop)
    }

    /// Waits for rows that are written already: how many there are shows only then.
    pub(super) async fn pace_rows(&self, rows: u64) -> Result<(), MigrateError> {
        if rows > 0 {
            self.control.pace(rows).await?;
        }
        Ok(())
    }

    /// Puts together what can be carried out at once. Groups that change rows of `busy`, or those of others before them, are
    /// postponed.
    pub(super) fn planned(
        &self,
        decided: Vec<Decided>,
        state: EntryState,
        busy: &EditedRows,
    ) -> Result<Planned, MigrateError> {
        let (mut merges, mut tally, mut edited) = (Vec::new(), Tally::default(), EditedRows::new());
        for (read, plan) in decided {
            match plan {
                Ok(plan) => {
                    let rows: Vec<_> =
                        plan.edits.iter().map(|edit| (edit.collection.clone(), bytes_of(&edit.id))).collect();
                    // A row that names chats of several groups can be changed for one of them at a time.
                    if rows.iter().any(|row| edited.contains(row) || busy.contains(row)) {
                        tally.postponed.push(read.wanted);
                        continue;
                    }
                    edited.extend(rows);
                    let is_stale = read.wanted.plan.as_ref().is_some_and(|old| !old.is_as(&plan));
                    tally.stale += u64::from(is_stale);
                    let merge = statements::merge(self.lease, self.run, state, plan, read)?;
                    tally.groups += 1;
                    tally.losers += merge.entry.losers.len() as u64;
                    tally.moved += merge.entry.moved.unsigned_abs();
                    tally.edited += merge.entry.edited.unsigned_abs();
                    tally.conflicts += merge.entry.conflicts.unsigned_abs();
                    merges.push(merge);
                }
                Err(why) => tally.blocked.push((read.group.key.as_str().to_owned(), why)),
            }
        }
        Ok(Planned { merges, tally, edited })
    }

    /// One group without its rows, where these do not decide who survives.
    pub(super) async fn outline(&self, wanted: &Wanted) -> Result<Option<Group>, MigrateError> {
        let mut rules = MergeRules::clone(&self.rules);
        if !rules.needs_activity() {
            rules.references.clear();
        }
        let read = super::super::commands::persist(|| async {
            let mut reader =
                Reader { migrator: self.migrator, rules: &rules, session: None, most_rows: usize::MAX };
            reader.groups(std::slice::from_ref(wanted)).await
        })
        .await?;
        Ok(read.groups.into_iter().next().map(|read| read.group))
    }
}
