//! How a long run is watched and ended from outside.

use std::sync::Arc;

use onechat_core::ports::Progress;
use tokio::sync::watch;

/// The strings of a run.
#[derive(Clone)]
pub struct Control {
    /// Told after every operation, so it should be quick. The reading at the end counts from 0 again.
    pub progress: Arc<dyn Progress>,
    /// Turns true when the run should end: what is under way is finished, and what was seen is checked.
    pub stop: watch::Receiver<bool>,
}

impl Control {
    /// A run that nobody watches and nobody ends.
    pub fn unattended() -> Self {
        struct Nobody;
        impl Progress for Nobody {
            fn advance(&self, _done: u64, _total: u64) {}
        }
        // The last value stays readable when the sender is gone.
        Self { progress: Arc::new(Nobody), stop: watch::channel(false).1 }
    }

    pub(crate) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }
}
