//! Merges groups: reads them as they are now, plans, journals and applies, many groups at a time.

mod ahead;
mod batch;
mod facts;
mod lanes;
mod meanwhile;
mod ordered;
mod pipeline;
mod read;
mod resume;
mod statements;
mod transaction;

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use onechat_core::{ChatIdentity, Context, ParticipantSet};
use onechat_migrate::{Blocked, Control, Differences, Explanation, GroupPlan, MergeRules};
use serde::Serialize;

pub(super) use self::{
    batch::Decided,
    read::scalar,
    statements::{delete, replace},
};
use self::{batch::Work, read::Reader};
use super::{Lease, MigrateError, MongoMigrator, RunId};

/// How much is merged at once: so many groups, of so many chats at most; a group of more is on its own.
#[derive(Clone, Copy)]
struct Size {
    groups: usize,
    chats: usize,
}

/// In a transaction, which others should not have to wait for.
const TRANSACTION: Size = Size { groups: 100, chats: 400 };
/// In steps: what is in one page of the database is changed at one go, as far as possible.
const STEPS: Size = Size { groups: 500, chats: 2000 };
/// How many times duplicates are looked for. Each pass ends what was there when it began, but for chats that somebody
/// wrote to in that moment.
const MOST_PASSES: u32 = 20;
/// How many examples a report keeps.
const EXAMPLES: usize = 10;

/// What a merge did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MergeReport {
    /// The run in the journal.
    pub run: Option<String>,
    /// Groups that were merged.
    pub groups: u64,
    /// Chats that ended.
    pub losers: u64,
    /// Rows elsewhere that were pointed to a survivor.
    pub moved: u64,
    /// Rows elsewhere that were changed one by one.
    pub edited: u64,
    /// Conflicts that are kept in the journal.
    pub conflicts: u64,
    /// Groups of a plan that had changed since and were planned anew.
    pub stale: u64,
    /// Groups that cannot be merged, and why, the first few.
    pub blocked: u64,
    /// The first few blocked ones, in words.
    pub examples: Vec<String>,
}

impl MergeReport {
    fn of(run: &RunId) -> Self {
        Self { run: Some(run.to_string()), ..Self::default() }
    }

    /// Rows that were written.
    fn rows(&self) -> u64 {
        self.moved + self.edited
    }

    fn add(&mut self, more: Self) {
        self.groups += more.groups;
        self.losers += more.losers;
        self.moved += more.moved;
        self.edited += more.edited;
        self.conflicts += more.conflicts;
        self.stale += more.stale;
        self.blocked += more.blocked;
        self.examples.extend(more.examples);
        self.examples.truncate(EXAMPLES);
    }

    fn block(&mut self, key: &str, why: &dyn std::fmt::Display) {
        self.blocked += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{key:?} is not merged: {why}"));
        }
    }
}

/// What a plan says in all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PlanSummary {
    /// Groups that would be merged.
    pub groups: u64,
    /// Chats that would end.
    pub losers: u64,
    /// Rows elsewhere that would be pointed to a survivor.
    pub moves: u64,
    /// Rows elsewhere that would be changed one by one.
    pub edits: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// Groups that cannot be merged.
    pub blocked: u64,
    /// The first few of them, in words.
    pub examples: Vec<String>,
    /// Fields in which chats of a group differ, and of which no rule says what becomes of them.
    pub unexplained: Differences,
}

/// A group that is to be merged.
#[derive(Debug, Clone)]
struct Wanted {
    identity: ChatIdentity,
    /// The `_id`s of its chats.
    ids: Vec<Bson>,
    /// What was planned for it before.
    plan: Option<GroupPlan>,
}

impl MongoMigrator {
    /// Plans every group of duplicates and hands each plan to `sink`. Reads only.
    pub async fn plan(
        &self,
        control: &dyn Control,
        sink: &mut (dyn FnMut(GroupPlan) -> std::io::Result<()> + Send),
    ) -> Result<PlanSummary, MigrateError> {
        let rules = self.rules_with_facts().await?;
        let mut duplicates = self.duplicates(control).await?;
        let (total, mut done) = (duplicates.groups(), 0);
        let mut summary = PlanSummary::default();
        loop {
            let batch = next_batch(&mut duplicates, self.batch_size())?;
            if batch.is_empty() {
                return Ok(summary);
            }
            control.pace(0).await?;
            for wanted in &batch {
                self.plan_one(&rules, wanted, &mut summary, sink).await?;
            }
            done += batch.len() as u64;
            control.advance("plan", done, total);
        }
    }

    /// Why the chats of a planned group are one chat. Reads only.
    pub async fn explain(&self, plan: &GroupPlan) -> Result<Explanation, MigrateError> {
        let ids: Vec<&Bson> =
            [&plan.survivor].into_iter().chain(plan.losers.iter().map(|loser| &loser.id)).collect();
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let filter = doc! { "_id": { "$in": ids } };
        let found: Vec<RawDocumentBuf> =
            super::commands::persist(|| async { chats.find(filter.clone()).await?.try_collect().await })
                .await?;
        Ok(Explanation::new(&self.rules, plan, &found))
    }

    /// Finds every field in which chats of a group differ and of which no rule says what becomes of it, in all groups of
    /// duplicates. Reads only, and less than a plan does: no messages, no references but rows with state per participant.
    pub async fn differences(&self, control: &dyn Control) -> Result<Differences, MigrateError> {
        let mut rules = self.rules.clone();
        rules.references.retain(|reference| reference.state.is_some());
        rules.embedded.iter_mut().for_each(|array| array.ids_of = None);
        let rules = Arc::new(rules);
        let mut duplicates = self.duplicates(control).await?.by_place()?;
        let (total, mut done) = (duplicates.groups(), 0);
        let mut differences = Differences::default();
        loop {
            let batch = next_batch(&mut duplicates, STEPS)?;
            if batch.is_empty() {
                return Ok(differences);
            }
            control.pace(0).await?;
            done += batch.len() as u64;
            let mut batches = vec![batch];
            while let Some(mut batch) = batches.pop() {
                let found = super::commands::persist(|| async {
                    let most_rows = if batch.len() > 1 { batch::MANY_ROWS } else { usize::MAX };
                    let mut reader = Reader { migrator: self, rules: &rules, session: None, most_rows };
                    reader.groups(&batch).await
                })
                .await?;
                if found.is_too_much {
                    let rest = batch.split_off(batch.len() / 2);
                    batches.extend([rest, batch]);
                    continue;
                }
                for (_, plan) in batch::decide(&rules, found) {
                    if let Err(Blocked::Unexplained(of_group)) = plan {
                        differences.add(of_group);
                    }
                }
            }
            control.advance("differences", done, total);
        }
    }

    async fn plan_one(
        &self,
        rules: &MergeRules,
        wanted: &Wanted,
        summary: &mut PlanSummary,
        sink: &mut (dyn FnMut(GroupPlan) -> std::io::Result<()> + Send),
    ) -> Result<(), MigrateError> {
        let found = super::commands::persist(|| async {
            let mut reader = Reader { migrator: self, rules, session: None, most_rows: usize::MAX };
            reader.groups(std::slice::from_ref(wanted)).await
        })
        .await?;
        let mut decided = batch::decide(rules, found);
        self.keep_inside(&mut decided).await?;
        for (found, plan) in decided {
            match plan {
                Ok(plan) => {
                    summary.groups += 1;
                    summary.losers += plan.losers.len() as u64;
                    summary.moves += plan.moves.iter().map(|moved| moved.rows).sum::<u64>();
                    summary.edits += plan.edits.len() as u64;
                    summary.conflicts += plan.conflicts.len() as u64;
                    sink(plan).map_err(|error| {
                        MigrateError::Refused(format!("the plan cannot be written: {error}"))
                    })?;
                }
                Err(Blocked::Unexplained(of_group)) => summary.unexplained.add(of_group),
                Err(why) => {
                    summary.blocked += 1;
                    if summary.examples.len() < EXAMPLES {
                        summary
                            .examples
                            .push(format!("{:?} cannot be merged: {why}", found.group.key.as_str()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Merges every group of duplicates that there is, pass after pass until a pass finds none that it can merge. Finishes first
    /// what an earlier run was cut off in.
    pub async fn merge(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<MergeReport, MigrateError> {
        self.ensure_outside_keys_may_be_taken().await?;
        self.ensure_keys_are_ours().await?;
        self.seal(lease, run, control).await?;
        self.finish_interrupted(lease, control).await?;
        let work = self.work(lease, run, control).await?;
        let mut report = MergeReport::of(run);
        for pass in 1.. {
            let mut duplicates = self.duplicates(control).await?.by_place()?;
            let (total, mut done) = (duplicates.groups(), 0);
            let merged = work
                .merge_all(&mut || next_batch(&mut duplicates, self.batch_size()), &mut |groups| {
                    done += groups;
                    control.advance("merge", done, total);
                })
                .await?;
            let is_over = merged.groups == 0;
            (report.blocked, report.examples) = (0, Vec::new());
            report.add(merged);
            if is_over {
                break;
            }
            if pass == MOST_PASSES {
                control
                    .note("chats are written to all the time: repeat the command when there is less to do");
                break;
            }
        }
        Ok(report)
    }

    /// Merges the groups of a plan that was made before. One that has changed since is planned anew.
    pub async fn apply(
        &self,
        lease: &Lease,
        run: &RunId,
        plans: &mut (dyn Iterator<Item = std::io::Result<GroupPlan>> + Send),
        control: &dyn Control,
    ) -> Result<MergeReport, MigrateError> {
        self.ensure_outside_keys_may_be_taken().await?;
        self.ensure_keys_are_ours().await?;
        self.seal(lease, run, control).await?;
        self.finish_interrupted(lease, control).await?;
        let work = self.work(lease, run, control).await?;
        let (mut report, mut done) = (MergeReport::of(run), 0);
        let merged = work
            .merge_all(&mut || planned_batch(plans, self.batch_size()), &mut |groups| {
                done += groups;
                control.advance("merge", done, done);
            })
            .await?;
        report.add(merged);
        Ok(report)
    }

    /// Merges groups that somebody has found.
    pub(super) async fn merge_groups(
        &self,
        lease: &Lease,
        run: &RunId,
        groups: Vec<(ChatIdentity, Vec<Bson>)>,
        control: &dyn Control,
    ) -> Result<MergeReport, MigrateError> {
        self.seal(lease, run, control).await?;
        let work = self.work(lease, run, control).await?;
        let mut report = MergeReport::of(run);
        let wanted: Vec<Wanted> =
            groups.into_iter().map(|(identity, ids)| Wanted { identity, ids, plan: None }).collect();
        for batch in wanted.chunks(self.batch_size().groups) {
            report.add(work.merge(batch.to_vec()).await?);
        }
        Ok(report)
    }

    fn batch_size(&self) -> Size {
        if self.is_replicated { TRANSACTION } else { STEPS }
    }

    async fn work<'a>(
        &'a self,
        lease: &'a Lease,
        run: &'a RunId,
        control: &'a dyn Control,
    ) -> Result<Work<'a>, MigrateError> {
        let rules = Arc::new(self.rules_with_facts().await?);
        Ok(Work { migrator: self, lease, run, control, rules })
    }
}

/// The next groups of duplicates that are handled together.
fn next_batch(duplicates: &mut super::survey::Duplicates, size: Size) -> Result<Vec<Wanted>, MigrateError> {
    let (mut batch, mut chats) = (Vec::new(), 0);
    while batch.len() < size.groups && chats < size.chats {
        let Some(group) = duplicates.next() else { break };
        let (identity, ids) = group?;
        chats += ids.len();
        batch.push(Wanted { identity, ids, plan: None });
    }
    Ok(batch)
}

/// The next groups of a plan that was made before.
fn planned_batch(
    plans: &mut (dyn Iterator<Item = std::io::Result<GroupPlan>> + Send),
    size: Size,
) -> Result<Vec<Wanted>, MigrateError> {
    let unreadable =
        |why: &dyn std::fmt::Display| MigrateError::Refused(format!("the plan cannot be read: {why}"));
    let mut batch = Vec::new();
    for plan in plans.take(size.groups) {
        let plan = plan.map_err(|error| unreadable(&error))?;
        let participants = ParticipantSet::parse(plan.participants.iter().map(String::as_str))
            .map_err(|error| unreadable(&error))?;
        let context = plan.context.as_deref().map(Context::new).transpose();
        let identity = ChatIdentity { participants, context: context.map_err(|error| unreadable(&error))? };
        let mut ids = vec![plan.survivor.clone()];
        ids.extend(plan.losers.iter().map(|loser| loser.id.clone()));
        batch.push(Wanted { identity, ids, plan: Some(plan) });
    }
    Ok(batch)
}
