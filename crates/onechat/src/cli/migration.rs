//! The commands that bring an existing collection on MongoDB to the guarantee.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Sources;
use crate::config::{MigrateFlags, StoreSettings, Survivor};

/// What each of the commands is told.
#[derive(Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Prints the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

/// Of commands that change something.
#[derive(Args, Clone, Copy)]
pub(crate) struct Change {
    /// Reads only, and says what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not ask; required where nobody can be asked
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Which chat of a group lives on.
#[derive(Args, Clone, Copy)]
pub(crate) struct WhoSurvives {
    /// Which chat of a group lives on [default: oldest]
    #[arg(long, value_name = "WHICH")]
    pub(crate) survivor: Option<Survivor>,
}

#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Reads only, and says for each group of duplicates why they are one chat, and what decides where they differ
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) survivor: WhoSurvives,
    /// Also refuses new chats without a key, by the collection's validator: old writers that omit it get an error
    #[arg(long)]
    pub(crate) require_key: bool,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}

#[derive(Subcommand)]
pub(crate) enum GuardAction {
    /// Makes the index, not unique yet, and lets it keep new duplicates out; servers then find chats without a key too
    On(GuardOn),
    /// Takes the guard off: anybody can create duplicates again, and servers create nothing
    Off(GuardOff),
    /// Shows what protects the collection; changes nothing
    Status(Place),
}

#[derive(Args)]
pub(crate) struct GuardOn {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Also refuses new chats without a key, by the collection's validator: old writers that omit it get an error
    #[arg(long)]
    pub(crate) require_key: bool,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}

#[derive(Args)]
pub(crate) struct GuardOff {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Backfill {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}

#[derive(Subcommand)]
pub(crate) enum MergeAction {
    /// Says what would become of every group of duplicates; reads only
    Plan(MergePlan),
    /// Merges every group of duplicates, or those of a plan
    ///
    /// A group that has changed since its plan was made is planned anew, and counted as stale.
    Apply(MergeApply),
    /// Lists the runs, or the groups that one of them merged
    List(MergeList),
    /// Shows one merged group: documents before, documents after, what was moved
    Show(MergeShow),
    /// Gives back what a run, or one merge of it, has changed
    ///
    /// Writes made since are kept where they can be; what conflicts is listed row by row. Not while an index keeps the
    /// chats out that come back: `rollback` first.
    Undo(MergeUndo),
}

#[derive(Subcommand)]
pub(crate) enum RekeyAction {
    /// Ends a rekeying: the keys that [mongodb.previous] names stop to count, and go
    ///
    /// Servers of the previous configuration are told to create nothing, the previous unique index is dropped, and the
    /// previous key is removed from every chat. An interrupted run resumes. The only way back is another rekeying.
    Finish(RekeyFinish),
}

#[derive(Args)]
pub(crate) struct RekeyFinish {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}

#[derive(Args)]
pub(crate) struct MergePlan {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) survivor: WhoSurvives,
    /// Writes the plan to a file, one group a line, for review and for `merge apply --plan`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct MergeApply {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) survivor: WhoSurvives,
    /// Merges the groups of this plan alone
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}

#[derive(Args)]
pub(crate) struct MergeList {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The run whose groups are listed
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Leaves out this many groups
    #[arg(long, value_name = "N", default_value_t = 0, requires = "run")]
    pub(crate) skip: u64,
    /// Lists at most this many groups
    #[arg(long, value_name = "N", default_value_t = 100, requires = "run", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

#[derive(Args)]
pub(crate) struct MergeShow {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The group's entry, as `merge list --run ID` names it
    pub(crate) entry: String,
}

#[derive(Args)]
#[group(id = "target", required = true, multiple = false, args = ["run", "group"])]
pub(crate) struct MergeUndo {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Undoes everything that this run did: its merges, the last one first, then its keys
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Undoes the merge of one group
    #[arg(long, value_name = "ENTRY")]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}

#[derive(Args)]
pub(crate) struct Enforce {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Account {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The run, as `merge list` names it
    pub(crate) run: String,
}

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) survivor: WhoSurvives,
    #[command(flatten)]
    pub(crate) flags: MigrateFlags,
}
