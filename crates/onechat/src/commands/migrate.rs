//! `migrate`: all steps in the order that `onechat_migrate::course` decides.

use async_trait::async_trait;
use onechat_core::ports::AuditReport;
use onechat_migrate::{
    Differences,
    course::{self, Arrival, Ending, Enforced, Look, Steps},
};
use onechat_mongo::{
    AccountReport, BackfillReport, ChatsReport, EnforceReport, Lease, MergeReport, ProtectionStatus, RunId,
    RunKind, SweepReport,
};
use serde_json::{Value, json};

use super::{
    audit, migrate_dry_run,
    session::{Question, Session},
    words,
};
use crate::{cli::Migrate, exit::Exit, output::say};

const WHAT: &str = "\
The collection is brought to the guarantee while it is in use: new duplicates are kept out, every chat gets
its key, duplicates are merged, and the index becomes unique. All that is changed is in the journal and can be
given back. Have a backup all the same.";
const REQUIRED: &str = "\nNew chats without a key will be refused (--require-key).";

/// The run that is being made, which others will read of.
const COMMAND: &str = "onechat migrate";

pub(super) async fn run(arguments: Migrate) -> anyhow::Result<Exit> {
    let Migrate { place, change, explain, survivor, require_key, flags } = arguments;
    let session = Session::open_answered(place, flags, survivor.survivor).await?;
    if explain {
        return explained(&session).await;
    }
    if change.dry_run {
        return Box::pin(migrate_dry_run::run(&session, require_key)).await;
    }
    let required = if require_key { REQUIRED } else { "" };
    let question = session.confirmation(change.yes, &format!("{WHAT}{required}"))?;
    let mut migration = Migration {
        session: &session,
        question,
        require_key,
        begun: None,
        refused: false,
        is_unexplained: false,
        did: Did::default(),
        audit: None,
    };
    let arrival = course::migrate(&mut migration).await;
    session.operator.clear();
    if migration.refused || migration.is_unexplained {
        return Ok(Exit::CouldNotRun);
    }
    if let Err(error) = &arrival {
        // A run that failed for a reason of its own need not keep the next one waiting.
        if error.downcast_ref::<onechat_migrate::Stopped>().is_none() {
            migration.give_back().await;
        }
    }
    let arrival = arrival?;
    migration.print(arrival)?;
    Ok(Exit::found(migration.is_wanting(arrival)))
}

/// For each group of duplicates, why these are one chat. Reads only.
async fn explained(session: &Session) -> anyhow::Result<Exit> {
    let Session { migrator, operator, .. } = session;
    let mut plans = Vec::new();
    let mut sink = |plan| {
        plans.push(plan);
        Ok(())
    };
    let summary = session.read(migrator.plan(operator, &mut sink)).await?;
    let mut explanations = Vec::new();
    for plan in &plans {
        explanations.push(session.read(migrator.explain(plan)).await?);
    }
    if session.json {
        say(format_args!("{:#}", json!({"outcome": "explained", "groups": explanations, "plan": summary})))?;
    } else {
        if let Some(only) = &session.store.mongodb.mapping.only {
            say(format_args!("Only documents that this filter selects are compared: {only}\n"))?;
        }
        explanations.iter().try_for_each(say)?;
        say(words::plan(&summary))?;
        if !summary.unexplained.is_empty() {
            say(format_args!("\n{}", summary.unexplained))?;
        }
    }
    if !summary.unexplained.is_empty() {
        return Ok(Exit::CouldNotRun);
    }
    Ok(Exit::found(summary.blocked > 0))
}

struct Migration<'a> {
    session: &'a Session,
    question: Question,
    require_key: bool,
    begun: Option<(Lease, RunId)>,
    /// Whether the operator answered no.
    refused: bool,
    /// Whether the configuration has to say first what becomes of something.
    is_unexplained: bool,
    did: Did,
    audit: Option<AuditReport>,
}

/// What all passes did.
#[derive(Default)]
struct Did {
    run: Option<String>,
    protection: Option<ProtectionStatus>,
    backfill: BackfillReport,
    merge: MergeReport,
    /// Nothing if the configuration does not ask for it.
    chats: Option<ChatsReport>,
    sweep: SweepReport,
    enforce: EnforceReport,
    account: Option<AccountReport>,
}

impl Migration<'_> {
    /// A line of progress, for people who watch.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.session.json { Ok(()) } else { say(text) }
    }

    fn lease(&self) -> anyhow::Result<&(Lease, RunId)> {
        self.begun.as_ref().ok_or_else(|| anyhow::anyhow!("the course writes without having taken the lease"))
    }

    /// Every difference is explained, or the operator is shown what to choose from and nothing is begun.
    fn ensure_explained(&mut self, differences: &Differences) -> anyhow::Result<()> {
        if differences.is_empty() {
            return Ok(());
        }
        self.session.operator.clear();
        self.is_unexplained = true;
        let audit = self.audit.as_ref().map(audit::to_json);
        let result = json!({"outcome": "unexplained", "audit": audit, "unexplained": differences});
        self.session.print(&result, &differences.to_string())?;
        anyhow::bail!("unexplained");
    }

    async fn give_back(&mut self) {
        if let Some((lease, _)) = self.begun.take()
            && let Err(error) = lease.release().await
        {
            eprintln!("onechat: the lease could not be given back, and runs out by itself: {error}");
        }
    }

    fn is_wanting(&self, arrival: Arrival) -> bool {
        !matches!(arrival.ending, Ending::NothingToDo | Ending::Enforced)
            || arrival.account_holds == Some(false)
            || self.did.merge.blocked > 0
            || self.did.chats.as_ref().is_some_and(|chats| chats.blocked > 0)
            || self.did.sweep.goes_on
            || self.did.sweep.blocked > 0
    }

    fn print(&self, arrival: Arrival) -> anyhow::Result<()> {
        let (name, words) = match arrival.ending {
            Ending::NothingToDo => {
                ("nothing_to_do", "Nothing to do: there is one chat per set, and it stays so.")
            }
            Ending::Enforced => ("enforced", "Done: there is one chat per set, and it stays so."),
            Ending::OldWriterGoesOn => (
                "old_writer_goes_on",
                "An old writer goes on writing chats without a key, faster than they can be counted to zero. \
                 What to do: `onechat watch` heals them for as long as it lives; or refuse them by \
                 `onechat guard on --require-key`, and repeat this command.",
            ),
            Ending::Left => (
                "left",
                "Something is left that no run can put right by itself; see above, and `onechat audit`. \
                 New duplicates are kept out meanwhile. Put it right and repeat this command.",
            ),
        };
        if !self.session.json {
            say(words)?;
            // True of nothing at all: what it is not said of has to be seen.
            if let Some(audit) = self.audit.as_ref().filter(|audit| audit.chats == 0 && audit.outside > 0) {
                let outside = words::count(audit.outside, "document", "documents");
                say(format_args!(
                    "No chat is inside `only`, which leaves out {outside}: see that this is meant."
                ))?;
            }
            return Ok(());
        }
        let did = &self.did;
        let mut result = json!({"outcome": name, "passes": arrival.passes, "audit": self.audit.as_ref().map(audit::to_json)});
        if let (Value::Object(result), false) = (&mut result, arrival.ending == Ending::NothingToDo) {
            let rest = json!({
                "run": did.run, "protection": did.protection, "backfill": did.backfill, "merge": did.merge,
                "chats": did.chats, "sweep": did.sweep, "enforce": did.enforce, "account": did.account,
            });
            result.extend(rest.as_object().cloned().unwrap_or_default());
        }
        say(format_args!("{result:#}"))
    }
}

#[async_trait(?Send)]
impl Steps for Migration<'_> {
    type Error = anyhow::Error;

    async fn audit(&mut self) -> anyhow::Result<Look> {
        let Session { migrator, operator, store, .. } = self.session;
        if let Some(question) = operator.reading(migrator.question_of_outside_keys()).await? {
            operator.clear();
            anyhow::bail!(question);
        }
        self.session.ensure_keys_are_ours().await?;
        let protection = operator.reading(migrator.protection()).await?;
        let report = operator.reading(audit::audit_with(store, operator)).await?;
        operator.clear();
        if !self.session.json {
            audit::print(&report)?;
            say("")?;
        }
        audit::ensure_readable(&report)?;
        self.audit = Some(report);
        let mut look = Look::of_the_protection(protection.state, protection.is_unique);
        let chats = operator.reading(migrator.would_make_chats(operator)).await?;
        look.unnamed = chats.map_or(0, |chats| chats.pointed);
        // What is left matters only where there may be nothing: to count it takes as long as the audit.
        if look.is_protected() {
            let keys = operator.reading(migrator.backfill(None, None, true, operator)).await?;
            let plan = operator.reading(migrator.plan(operator, &mut |_| Ok(()))).await?;
            self.ensure_explained(&plan.unexplained)?;
            look.keys = keys.keyed + keys.corrected;
            (look.groups, look.blocked) = (plan.groups, plan.blocked);
            look.strays = operator.reading(migrator.unswept(operator)).await?;
            let runs = operator.reading(migrator.runs()).await?;
            let is_open = |run: &onechat_mongo::RunSummary| {
                run.kind == "migrate" && run.ended_at.is_none() && migrator.is_of_our_keys(run)
            };
            look.is_cut_off = runs.iter().any(is_open);
        } else {
            let differences = operator.reading(migrator.differences(operator)).await?;
            self.ensure_explained(&differences)?;
        }
        operator.clear();
        Ok(look)
    }

    async fn inventory(&mut self) -> anyhow::Result<()> {
        if !self.question.ask()? {
            self.refused = true;
            anyhow::bail!("refused");
        }
        let Session { migrator, operator, .. } = self.session;
        let lease = self.session.lease(COMMAND).await?;
        let run = operator.hold(migrator.begin_run(&lease, RunKind::Migrate)).await??;
        self.did.run = Some(run.to_string());
        self.begun = Some((lease, run));
        let (lease, run) = self.lease()?;
        operator.hold(migrator.take_inventory(lease, run, operator)).await??;
        self.say(&format!("inventory: taken; this is run {run}"))
    }

    async fn guard(&mut self) -> anyhow::Result<()> {
        let Session { migrator, operator, .. } = self.session;
        let (lease, _) = self.lease()?;
        let status = operator.hold(migrator.guard_on(lease, self.require_key, operator)).await??;
        self.say(&format!("guard: {}", words::protection(&status)))?;
        self.did.protection = Some(status);
        Ok(())
    }

    async fn backfill(&mut self) -> anyhow::Result<u64> {
        let Session { migrator, operator, .. } = self.session;
        let (lease, run) = self.lease()?;
        let report = operator.hold(migrator.backfill(Some(lease), Some(run), false, operator)).await??;
        self.say(&format!("backfill: {}", words::backfill(&report, false)))?;
        let set = report.keyed + report.corrected;
        let before = std::mem::replace(&mut self.did.backfill, report);
        self.did.backfill.keyed += before.keyed;
        self.did.backfill.corrected += before.corrected;
        Ok(set)
    }

    async fn merge(&mut self) -> anyhow::Result<u64> {
        let Session { migrator, operator, .. } = self.session;
        let (lease, run) = self.lease()?;
        let report = operator.hold(migrator.merge(lease, run, operator)).await??;
        self.say(&format!("merge: {}", words::merge(&report)))?;
        let merged = report.groups;
        let before = std::mem::replace(&mut self.did.merge, report);
        let all = &mut self.did.merge;
        all.groups += before.groups;
        all.losers += before.losers;
        all.moved += before.moved;
        all.edited += before.edited;
        all.conflicts += before.conflicts;
        all.stale += before.stale;
        Ok(merged)
    }

    async fn make_chats(&mut self) -> anyhow::Result<u64> {
        let Session { migrator, operator, makes_chats, .. } = self.session;
        if !makes_chats {
            return Ok(0);
        }
        let (lease, run) = self.lease()?;
        let mut report = operator.hold(migrator.make_chats(lease, run, operator)).await??;
        self.say(&format!("chats: {}", words::chats_of_messages(&report, false)))?;
        let pointed = report.pointed;
        if let Some(before) = &self.did.chats {
            report.made += before.made;
            report.pointed += before.pointed;
        }
        self.did.chats = Some(report);
        Ok(pointed)
    }

    async fn sweep(&mut self) -> anyhow::Result<()> {
        let Session { migrator, operator, .. } = self.session;
        let (lease, _) = self.lease()?;
        let report = operator.hold(migrator.sweep(lease, operator)).await??;
        self.say(&format!("sweep: {}", words::sweep(&report)))?;
        self.did.sweep.moved += report.moved;
        self.did.sweep.passes += report.passes;
        self.did.sweep.goes_on = report.goes_on;
        self.did.sweep.blocked = report.blocked;
        Ok(())
    }

    async fn enforce(&mut self) -> anyhow::Result<Enforced> {
        let Session { migrator, operator, .. } = self.session;
        let (lease, _) = self.lease()?;
        let report = operator.hold(migrator.enforce(Some(lease), false, operator)).await??;
        self.say(&format!("enforce: {}", words::enforce(&report, false)))?;
        let enforced = Enforced { is_unique: report.is_unique, is_enforced: report.without_key == 0 };
        self.did.enforce = report;
        Ok(enforced)
    }

    async fn account(&mut self) -> anyhow::Result<bool> {
        let Session { migrator, operator, .. } = self.session;
        let (_, run) = self.lease()?;
        let report = operator.hold(migrator.account(run, operator)).await??;
        let status = operator.hold(migrator.protection()).await??;
        operator.hold(migrator.end_run(run)).await??;
        self.say(&format!("account: {}\n", words::account(&report)))?;
        let holds = report.holds;
        self.did.account = Some(report);
        self.did.protection = Some(status);
        self.give_back().await;
        Ok(holds)
    }
}
