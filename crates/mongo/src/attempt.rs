//! Tries again what can be tried again, until a deadline: a failover takes seconds, and a call can hang on a member
//! that does not answer any more.

use std::{future::Future, time::Duration};

use mongodb::error::Error;
use onechat_core::StoreError;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    error::{is_permanent, reason, unavailable},
    metrics::Metrics,
};

/// The moment when an operation is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    /// How long one try may take: a member that hangs must not use up the time in which another is elected.
    patience: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Deadline {
    pub(crate) fn after(duration: Duration) -> Self {
        Self { at: Instant::now() + duration, patience: duration / 4 }
    }

    pub(crate) fn at(self) -> Instant {
        self.at
    }

    pub(crate) fn has_passed(self) -> bool {
        Instant::now() >= self.at
    }

    /// Until when one try may take.
    pub(crate) fn of_this_try(self) -> Instant {
        self.at.min(Instant::now() + self.patience)
    }

    /// How long the server may work on one try.
    pub(crate) fn server_time(self) -> Duration {
        // 0 would mean for ever.
        self.of_this_try().saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }
}

/// Ever longer pauses between tries.
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pauses {
    pub(crate) async fn pause(&mut self, deadline: Deadline) {
        sleep(self.0.min(deadline.at.saturating_duration_since(Instant::now()))).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// One try.
pub(crate) async fn once<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, &'static str> {
    timeout_at(deadline.of_this_try(), work).await.map_err(|_| "no answer in time")
}

/// Does something that can be repeated until it succeeds, cannot succeed, or the deadline has passed.
pub(crate) async fn until<T, F>(
    deadline: Deadline,
    metrics: &Metrics,
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = Pauses::default();
    loop {
        let reason = match once(deadline, work()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) if is_permanent(&error) => return Err(unavailable(&error)),
            Ok(Err(error)) => reason(&error),
            Err(hung) => hung.to_owned(),
        };
        if deadline.has_passed() {
            metrics.deadline_misses.inc();
            return Err(StoreError::Unavailable(reason));
        }
        tracing::debug!(event = "tried", reason, "the database did not do it; trying again");
        pauses.pause(deadline).await;
    }
}
