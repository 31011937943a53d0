//! `merge`: duplicates planned, merged, shown and given back.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, anyhow};
use onechat_migrate::GroupPlan;
use onechat_mongo::{Lease, MigrateError, RunId, RunKind, UndoTarget};
use serde_json::json;

use super::{session::Session, words};
use crate::{
    cli::{MergeAction, MergeApply, MergeList, MergePlan, MergeShow, MergeUndo},
    config::MigrateFlags,
    exit::Exit,
    output::say,
    plan_file::{PlanFile, PlanHead, PlanWriter},
};

const APPLY: &str = "\
Of each group of duplicates one chat lives on. The others end: what they held goes into it, what refers to
them is pointed to it, their ids become aliases of it. All that is changed is in the journal, and can be
given back by `onechat merge undo`.";
const UNDO: &str = "\
What was merged is taken apart again: the chats live as they did, and what was pointed elsewhere is pointed
back. Writes made since are kept where they can be, and what conflicts is listed.";

pub(super) async fn run(action: MergeAction) -> anyhow::Result<Exit> {
    match action {
        MergeAction::Plan(arguments) => plan(arguments).await,
        MergeAction::Apply(arguments) => apply(arguments).await,
        MergeAction::List(arguments) => list(arguments).await,
        MergeAction::Show(arguments) => show(arguments).await,
        MergeAction::Undo(arguments) => undo(arguments).await,
    }
}

async fn plan(arguments: MergePlan) -> anyhow::Result<Exit> {
    let MergePlan { place, survivor, out } = arguments;
    let session = Session::open_answered(place, MigrateFlags::default(), survivor.survivor).await?;
    let mut file = out.as_deref().map(|path| PlanWriter::new(path, &head(&session))).transpose()?;
    let in_words = file.is_none() && !session.json;
    let mut sink = |plan: GroupPlan| -> std::io::Result<()> {
        if let Some(file) = &mut file {
            file.write(&plan)?;
        }
        if in_words {
            say(&plan).map_err(std::io::Error::other)?;
        }
        Ok(())
    };
    let summary = session.read(session.migrator.plan(&session.operator, &mut sink)).await?;
    let mut words = words::plan(&summary);
    if !summary.unexplained.is_empty() {
        session.print(&summary, &format!("{words}\n\n{}", summary.unexplained))?;
        return Ok(Exit::CouldNotRun);
    }
    if let (Some(file), Some(path)) = (file, out) {
        file.finish()?;
        let path = path.display();
        words =
            format!("{words}\n  written to {path}; to merge these groups: onechat merge apply --plan {path}");
    }
    let made = session.read(session.migrator.would_make_chats(&session.operator)).await?;
    if let Some(made) = &made {
        let made = words::chats_of_messages(made, true);
        words = format!("{words}\nchats of messages, which `onechat migrate` makes: {made}");
    }
    let mut result = serde_json::to_value(&summary)?;
    if let (Some(made), Some(result)) = (made, result.as_object_mut()) {
        result.insert("chats".to_owned(), serde_json::to_value(made)?);
    }
    session.print(&result, &words)?;
    Ok(Exit::found(summary.blocked > 0))
}

fn head(session: &Session) -> PlanHead {
    PlanHead::new(session.migrator.database(), session.chats(), &session.rules)
}

async fn apply(arguments: MergeApply) -> anyhow::Result<Exit> {
    let MergeApply { place, change, survivor, plan, flags } = arguments;
    let session = Session::open_answered(place, flags, survivor.survivor).await?;
    session.ensure_keys_are_ours().await?;
    let file = plan.as_deref().map(|path| checked(&session, path)).transpose()?;
    if change.dry_run {
        return would(&session, file).await;
    }
    let differences = session.read(session.migrator.differences(&session.operator)).await?;
    if !differences.is_empty() {
        session.print(&json!({"unexplained": differences}), &differences.to_string())?;
        return Ok(Exit::CouldNotRun);
    }
    if !session.confirmation(change.yes, APPLY)?.ask()? {
        return Ok(Exit::CouldNotRun);
    }
    let (migrator, operator) = (&session.migrator, &session.operator);
    let work = async |lease: &Lease, run: &RunId| -> Result<_, MigrateError> {
        migrator.take_inventory(lease, run, operator).await?;
        let report = match file {
            Some(file) => {
                let mut plans = file.plans().map_err(|error| MigrateError::Refused(format!("{error:#}")))?;
                migrator.apply(lease, run, &mut plans, operator).await?
            }
            None => migrator.merge(lease, run, operator).await?,
        };
        Ok((report, migrator.account(run, operator).await?))
    };
    let (report, account) = session.in_run("onechat merge apply", RunKind::Merge, work).await?;
    let words = format!("{}\n{}", words::merge(&report), words::account(&account));
    session.print(&json!({"merge": report, "account": account}), &words)?;
    Ok(Exit::found(report.blocked + report.stale > 0 || !account.holds))
}

/// The plan, read to its end once: half of a plan is not applied.
fn checked(session: &Session, path: &Path) -> anyhow::Result<PlanFile> {
    let file = PlanFile::open(path)?;
    file.check(&head(session)).with_context(|| format!("the plan {} cannot be applied", path.display()))?;
    Ok(file)
}

async fn would(session: &Session, file: Option<PlanFile>) -> anyhow::Result<Exit> {
    let summary = session.read(session.migrator.plan(&session.operator, &mut |_| Ok(()))).await?;
    let mut words = words::plan(&summary);
    if let Some(file) = &file {
        words = format!(
            "of the {} groups of the file those that are as they were would be merged; now there are:\n{words}",
            file.groups()
        );
    }
    if !summary.unexplained.is_empty() {
        session.print(&summary, &format!("{words}\n\n{}", summary.unexplained))?;
        return Ok(Exit::CouldNotRun);
    }
    session.print(&summary, &words)?;
    Ok(Exit::found(summary.blocked > 0))
}

async fn list(arguments: MergeList) -> anyhow::Result<Exit> {
    let MergeList { place, run, skip, limit } = arguments;
    let run = run.map(|run| run.parse::<RunId>()).transpose().map_err(|reason| anyhow!(reason))?;
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    if let Some(run) = run {
        let entries = session.read(session.migrator.entries(&run, skip, limit.into())).await?;
        let words: Vec<_> = entries
            .iter()
            .map(|entry| {
                let losers = entry.losers.join(", ");
                format!(
                    "{} {}: {} lives on, not {losers}; {} rows moved, {} conflicts; key {}",
                    entry.entry, entry.state, entry.survivor, entry.moved, entry.conflicts, entry.key
                )
            })
            .collect();
        let words = if words.is_empty() { "no groups".to_owned() } else { words.join("\n") };
        session.print(&json!({"entries": entries}), &words)?;
    } else {
        let runs = session.read(session.migrator.runs()).await?;
        let words: Vec<_> = runs
            .iter()
            .map(|run| {
                let end = run.ended_at.as_deref().unwrap_or("not ended");
                let mut text = format!(
                    "{} {} from {} to {end}: {} merged, {} undone, {} keyed",
                    run.run, run.kind, run.started_at, run.merged, run.undone, run.keyed
                );
                if run.made + run.pointed > 0 {
                    let _ = write!(text, ", {} made, {} pointed", run.made, run.pointed);
                }
                text
            })
            .collect();
        let words = if words.is_empty() { "no runs".to_owned() } else { words.join("\n") };
        session.print(&json!({"runs": runs}), &words)?;
    }
    Ok(Exit::Success)
}

async fn show(arguments: MergeShow) -> anyhow::Result<Exit> {
    let MergeShow { place, entry } = arguments;
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    let details = session.read(session.migrator.entry(&entry)).await?;
    let documents: Vec<_> = details.documents.iter().map(|document| format!("{document:#}")).collect();
    let summary = &details.summary;
    let words = format!(
        "{} ({}): {} lives on, not {}\n{}",
        summary.entry,
        summary.state,
        summary.survivor,
        summary.losers.join(", "),
        documents.join("\n")
    );
    session.print(&details, &words)?;
    Ok(Exit::Success)
}

async fn undo(arguments: MergeUndo) -> anyhow::Result<Exit> {
    let MergeUndo { place, change, run, group, flags } = arguments;
    let target = match (run, group) {
        (Some(run), _) => UndoTarget::Run(run.parse().map_err(|reason: String| anyhow!(reason))?),
        (None, group) => UndoTarget::Group(group.context("say --run or --group")?),
    };
    let session = Session::open(place, flags, None).await?;
    let (migrator, operator) = (&session.migrator, &session.operator);
    let report = if change.dry_run {
        session.read(migrator.undo(None, &target, true, operator)).await?
    } else {
        if !session.confirmation(change.yes, UNDO)?.ask()? {
            return Ok(Exit::CouldNotRun);
        }
        let work = async |lease: &_| migrator.undo(Some(lease), &target, false, operator).await;
        session.write("onechat merge undo", work).await?
    };
    session.print(&report, &words::undo(&report, change.dry_run))?;
    Ok(Exit::found(!report.conflicts.is_empty()))
}
