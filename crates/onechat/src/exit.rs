//! What the process ends with. Stable: scripts depend on it.

use std::process::ExitCode;

use onechat_migrate::Stopped;
use onechat_mongo::MigrateError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked, and found nothing wrong.
    Success,
    /// It ran, and found something: a finding of the audit, a violation of the prover, a missing unique index,
    /// chats that a migration cannot put right by itself, an account that does not hold.
    Found,
    /// It could not run, or not to the end.
    CouldNotRun,
    /// It was asked to stop, and the same command goes on where it stopped.
    Stopped,
    /// Another run is at work on the same collection.
    Leased,
}

/// The same table for readers, at the end of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done, and nothing wrong was found
  1  an audit found an error that is not accepted in its --baseline (warnings alone are 0), or
     the prover a violation, or a unique index is missing, or something is left to people:
     groups that cannot be merged, chats without a key, an old writer that goes on, conflicts of
     an undo, a plan whose groups had changed, an account that does not hold
  2  could not run, or not to the end: wrong usage, configuration or baseline, store or server
     out of reach, duplicates that differ in what the configuration does not explain
  3  stopped on request (Ctrl-C, SIGTERM, the flag file): the same command goes on where it stopped
  4  another run is at work on the same collection";

impl Exit {
    /// How a command ended that failed.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<Stopped>().is_some() {
            return Self::Stopped;
        }
        match error.downcast_ref::<MigrateError>() {
            Some(MigrateError::Stopped(_)) => Self::Stopped,
            Some(MigrateError::Leased { .. } | MigrateError::LeaseLost) => Self::Leased,
            _ => Self::CouldNotRun,
        }
    }

    /// [`Exit::Found`] if something was.
    pub(crate) fn found(something: bool) -> Self {
        if something { Self::Found } else { Self::Success }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Found => 1,
            Exit::CouldNotRun => 2,
            Exit::Stopped => 3,
            Exit::Leased => 4,
        })
    }
}
