//! What the operator is told about a problem, beyond what the client is. The field `event` is stable.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{Cause, Code, Problem};

impl Problem {
    /// Logs what somebody should know of. Mistakes of clients are theirs, and counted, not logged; `/readyz`, which every
    /// probe asks, logs by itself when its answer changes.
    pub(crate) fn log(&self, request_id: &str, overload_log: &OverloadLog) {
        let reason = match &self.cause {
            Some(Cause::Store(text) | Cause::Panic(text)) => text,
            _ => "",
        };
        match (self.code, &self.cause) {
            (_, Some(Cause::Collision(collision))) => tracing::warn!(
                event = "key_collision",
                request_id,
                key = %collision.key,
                holder = %collision.holder,
                "two participant sets have the same key"
            ),
            (Code::Overloaded, _) if overload_log.is_due() => {
                tracing::warn!(event = "overload", request_id, "a request was refused: {}", self.detail);
            }
            (Code::StoreUnavailable, _) => {
                tracing::error!(event = "store_unavailable", request_id, reason, "the store has failed");
            }
            (Code::StoreUnprotected, _) => {
                tracing::error!(event = "store_unprotected", request_id, reason, "a write was not safe");
            }
            (Code::NotMigrated, _) => {
                tracing::error!(event = "not_migrated", request_id, reason, "a chat was not created");
            }
            (Code::StoreRefused, _) => {
                tracing::error!(event = "store_refused", request_id, reason, "the database refused a write");
            }
            (Code::Timeout, _) => {
                tracing::warn!(event = "timeout", request_id, "a request took too long");
            }
            (Code::Internal, _) => {
                tracing::error!(event = "internal", request_id, reason, "a request has failed");
            }
            _ => {}
        }
    }
}

/// Lets one message a second through: overload must not fill the log as well.
pub(crate) struct OverloadLog {
    started: Instant,
    /// In milliseconds since `started`.
    due_at: AtomicU64,
}

impl OverloadLog {
    const INTERVAL_MS: u64 = 1000;

    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), due_at: AtomicU64::new(0) }
    }

    fn is_due(&self) -> bool {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due_at = self.due_at.load(Ordering::Relaxed);
        let next = now.saturating_add(Self::INTERVAL_MS);
        now >= due_at
            && self.due_at.compare_exchange(due_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
