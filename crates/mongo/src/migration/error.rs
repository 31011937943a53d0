//! Why a step of a migration did not do what it was asked.

use onechat_core::StoreError;
use onechat_migrate::Stopped;

use crate::error::unavailable;

/// Why a step did not come to its end. What it had done stays done.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The operator wanted it to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Another run is at work.
    #[error(
        "another run is at work: {holder}, last heard of {seconds_ago} s ago; wait for its end, or stop it"
    )]
    Leased {
        /// What it is and where.
        holder: String,
        /// When it last said that it lives.
        seconds_ago: u64,
    },
    /// Another run has taken the lease over, since this one was not heard of for too long.
    #[error(
        "this run was not heard of for too long, and another one has taken over: repeat the command when that has ended"
    )]
    LeaseLost,
    /// It makes no sense here, and what would.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MigrateError {
    /// The database failed, in the driver's words.
    pub(crate) fn driver(error: &mongodb::error::Error) -> Self {
        Self::Store(unavailable(error))
    }
}
