//! What the domain needs from the world, as traits. A store is a crate that implements some of them.

mod alias;
mod ambient;
mod audit;
mod chat_store;

pub use alias::AliasStore;
pub use ambient::{Clock, IdSource};
pub use audit::{Audit, AuditReport, Finding, FindingKind, Findings, Invariant, Progress, Severity};
pub use chat_store::ChatStore;
