//! A real MongoDB for tests and for development: finds or fetches a `mongod`, starts it standalone or as a replica
//! set on loopback, and does to its members what a bad night does: pause, kill, restart, step down.
//!
//! Only `xtask` and tests may depend on this. It must not decide anything about chats, and nothing that it starts may
//! outlive the process that started it, however that process ends.
//!
//! ```no_run
//! # async fn example() -> Result<(), onechat_mongod::MongodError> {
//! let set = onechat_mongod::Deployment::replica_set().await?;
//! let first = set.primary().await?;
//! set.kill(first)?;
//! assert_ne!(set.primary().await?, first);
//! set.restart(first).await?;
//! set.wait_until_healthy().await?;
//! # Ok(())
//! # }
//! ```

mod ask;
mod deployment;
mod error;
mod fetch;
mod find;
mod folder;
mod member;
mod port;
mod process;
mod setup;
mod shared;

pub use ask::Role;
pub use deployment::{Deployment, MemberStatus};
pub use error::MongodError;
pub use find::Mongod;
pub use member::Life;
pub use setup::Setup;
pub use shared::{fresh_database, shared_protected, shared_replica_set, shared_standalone};
