//! The mechanics of bringing an existing collection to the guaranteed state. What is decided, `onechat-migrate` decides.

mod account;
mod apply;
mod backfill;
mod commands;
mod enforce;
mod error;
mod formula;
mod from_messages;
mod journal;
mod lag;
mod lease;
mod migrator;
mod outside;
mod protect;
mod seal;
mod stragglers;
mod suggest;
pub(crate) mod survey;
mod sweep;
mod undo;
mod validator;
mod watch;

pub use account::AccountReport;
pub use apply::{MergeReport, PlanSummary};
pub use backfill::BackfillReport;
pub use enforce::EnforceReport;
pub use error::MigrateError;
pub use from_messages::ChatsReport;
pub use journal::{EntryDetails, EntrySummary, RunId, RunKind, RunSummary};
pub use lease::Lease;
pub use migrator::MongoMigrator;
pub use protect::ProtectionStatus;
pub use suggest::{Answer, Question, Reading, Suggestion};
pub use sweep::SweepReport;
pub use undo::{UndoReport, UndoTarget};
pub use watch::WatchReport;
