//! How an operator holds a long operation: slower, paused, stopped.

use async_trait::async_trait;

/// Asked before every batch of writes and told how far the work has come.
#[async_trait]
pub trait Control: Send + Sync {
    /// Waits as long as the operator's limits demand before `documents` more are written; an error if the work is to
    /// stop. Everything done so far stays, and the work can be resumed.
    async fn pace(&self, documents: u64) -> Result<(), Stopped>;

    /// `done` of about `total` items of the step named `step` are done.
    fn advance(&self, step: &str, done: u64, total: u64);

    /// Something an operator should read now.
    fn note(&self, text: &str);
}

/// The operator wants the work to stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stopped: {reason}; what was done stays, and the same command resumes")]
pub struct Stopped {
    /// Who or what asked for it.
    pub reason: String,
}

/// No limits, nobody listening.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uncontrolled;

#[async_trait]
impl Control for Uncontrolled {
    async fn pace(&self, _documents: u64) -> Result<(), Stopped> {
        Ok(())
    }

    fn advance(&self, _step: &str, _done: u64, _total: u64) {}

    fn note(&self, _text: &str) {}
}
