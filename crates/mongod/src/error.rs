//! What can go wrong before a test has its MongoDB. Each message says what to do about it, as it is often the first
//! thing that a newcomer sees of this crate.

use std::{io, path::PathBuf, time::Duration};

/// Why there is no MongoDB, or why it does not do as it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MongodError {
    /// A `mongod` was named or found, and cannot be used.
    #[error("the mongod {program}, {origin}, cannot be used: {reason}; {advice}")]
    Unusable {
        /// Where it is.
        program: PathBuf,
        /// Who named it.
        origin: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// None was found, and none could be fetched.
    #[error(
        "there is no mongod: ONECHAT_MONGOD is not set, the PATH has none, and {reason}. Install MongoDB 6.0 or later \
         and put `mongod` on the PATH, or set ONECHAT_MONGOD to its path"
    )]
    Missing {
        /// Why it could not be fetched.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// How it was refused.
        source: io::Error,
    },
    /// A member ended by itself.
    #[error("member {member} ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        /// Its index.
        member: usize,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{what} after {} s; last seen: {last}; the ends of the logs:\n{log}", after.as_secs())]
    Late {
        /// What did not happen.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
        /// How things stood.
        last: String,
        /// The last lines that the members wrote.
        log: String,
    },
    /// What was asked for makes no sense as things are.
    #[error("{0}")]
    Refused(String),
    /// The database refused a command.
    #[error("{what}: {reason}")]
    Command {
        /// What was tried.
        what: &'static str,
        /// What the database or its driver said.
        reason: String,
    },
}

impl MongodError {
    /// For `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
