//! The store on MongoDB: any number of servers on one replica set, beside other programs that write there.
//!
//! No type of the driver leaves this crate. Why it is built this way: `docs/decisions/0008-mongodb-store.md`.

mod attempt;
mod audit;
mod clients;
mod codec;
mod collections;
mod connection;
mod error;
mod filter;
mod formula;
mod gatherer;
mod guard;
mod historic;
mod hold;
mod index;
mod list_order;
mod lists;
mod mapping;
mod members;
mod message_arrays;
mod meta;
mod metrics;
mod migration;
mod needed;
mod options;
mod outside;
mod previous;
mod resolver;
mod sending;
mod state;
mod store;
mod unreachable;

pub use audit::MongoAudit;
pub use clients::closing_clients;
pub use codec::TimeForm;
pub use connection::drop_database;
pub use error::{IndexError, OpenError};
pub use filter::{Filter, FilterError};
pub use index::{FoundIndex, IndexPurpose, IndexStatus, MongoIndexes, UnfitIndex};
pub use mapping::{
    ChatFields, ChatIdForm, IdMapping, Mapping, MessageFields, MessagePlace, Order, PreviousKeys,
    PublicIdForm, ValueForm,
};
pub use migration::{
    AccountReport, Answer, BackfillReport, ChatsReport, EnforceReport, EntryDetails, EntrySummary, Lease,
    MergeReport, MigrateError, MongoMigrator, PlanSummary, ProtectionStatus, Question, Reading, RekeyReport,
    RunId, RunKind, RunSummary, Suggestion, SweepReport, UndoReport, UndoTarget, WatchReport,
};
pub use onechat_migrate::UuidOrder;
pub use options::MongoOptions;
pub use store::MongoChatStore;
