//! The embedded store: one SQLite file, one writer with group commit, readers apart from it.
//!
//! No type of the driver leaves this crate. Why it is built this way: `docs/decisions/0003-embedded-store.md`.

mod audit;
mod connection;
mod error;
mod lock;
mod metrics;
mod path;
mod readers;
mod reads;
mod rows;
mod schema;
mod store;
mod writer;
mod writes;

pub use audit::SqliteAudit;
pub use error::OpenError;
pub use store::{SqliteChatStore, SqliteOptions};
