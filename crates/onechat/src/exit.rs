//! What the process ends with. Stable: scripts depend on it.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked, and found nothing wrong.
    Success,
    /// It ran, and found something: a finding of the audit, a violation of the prover, a missing
    /// unique index.
    Found,
    /// It could not run, or not to the end.
    CouldNotRun,
}

/// The same table for readers, at the end of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done, and nothing wrong was found
  1  an audit found an error (warnings alone are 0), or the prover a violation, or a unique index is missing
  2  could not run, or not to the end: wrong usage or configuration, store or server out of reach";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Found => 1,
            Exit::CouldNotRun => 2,
        })
    }
}
