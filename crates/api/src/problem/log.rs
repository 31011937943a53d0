//! What the operator is told about a problem, beyond what the client is. The field `event` is stable.
//!
//! One line a second for an event at most: what makes many requests fail must not fill the log as well. Collisions and
//! bugs are the exception, since each names a case of its own.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{Cause, Code, Problem};

/// What has been logged lately, event by event.
pub(crate) struct ProblemLog {
    started: Instant,
    events: [Throttle; Event::COUNT],
}

/// The events of problems, each with a throttle of its own.
#[derive(Clone, Copy)]
enum Event {
    KeyCollision,
    Overload,
    StoreUnavailable,
    StoreUnprotected,
    NotMigrated,
    StoreRefused,
    Timeout,
    Internal,
}

impl Event {
    const COUNT: usize = Self::Internal as usize + 1;

    /// The event of a problem. Mistakes of clients are theirs, and counted, not logged; `/readyz`, which every probe
    /// asks, logs by itself when its answer changes.
    fn of(problem: &Problem) -> Option<Self> {
        Some(match (problem.code, &problem.cause) {
            (_, Some(Cause::Collision(_))) => Self::KeyCollision,
            (Code::Overloaded, _) => Self::Overload,
            (Code::StoreUnavailable, _) => Self::StoreUnavailable,
            (Code::StoreUnprotected, _) => Self::StoreUnprotected,
            (Code::NotMigrated, _) => Self::NotMigrated,
            (Code::StoreRefused | Code::OutsideFilter, _) => Self::StoreRefused,
            (Code::Timeout, _) => Self::Timeout,
            (Code::Internal, _) => Self::Internal,
            _ => return None,
        })
    }
}

impl ProblemLog {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), events: Default::default() }
    }

    /// Logs what somebody should know of. `left_out` counts the lines of this event since its last one.
    pub(crate) fn write(&self, problem: &Problem, request_id: &str) {
        let Some(event) = Event::of(problem) else { return };
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left_out = match event {
            Event::KeyCollision | Event::Internal => 0,
            _ => match self.events[event as usize].pass(now_ms) {
                Some(left_out) => left_out,
                None => return,
            },
        };
        let reason = match &problem.cause {
            Some(Cause::Store(text) | Cause::Panic(text)) => text,
            _ => "",
        };
        match event {
            Event::KeyCollision => {
                let Some(Cause::Collision(collision)) = &problem.cause else { return };
                tracing::warn!(
                    event = "key_collision",
                    request_id,
                    key = %collision.key,
                    holder = %collision.holder,
                    "two chats have the same key"
                );
            }
            Event::Overload => {
                let detail = &problem.detail;
                tracing::warn!(event = "overload", request_id, left_out, "a request was refused: {detail}");
            }
            Event::StoreUnavailable => {
                tracing::error!(
                    event = "store_unavailable",
                    request_id,
                    left_out,
                    reason,
                    "the store has failed"
                );
            }
            Event::StoreUnprotected => {
                tracing::error!(
                    event = "store_unprotected",
                    request_id,
                    left_out,
                    reason,
                    "a write was not safe"
                );
            }
            Event::NotMigrated => {
                tracing::error!(
                    event = "not_migrated",
                    request_id,
                    left_out,
                    reason,
                    "a chat was not created"
                );
            }
            Event::StoreRefused => {
                tracing::error!(
                    event = "store_refused",
                    request_id,
                    left_out,
                    reason,
                    "the database refused a write"
                );
            }
            Event::Timeout => {
                tracing::warn!(event = "timeout", request_id, left_out, "a request took too long");
            }
            Event::Internal => {
                tracing::error!(event = "internal", request_id, reason, "a request has failed");
            }
        }
    }
}

/// Lets one line a second through, and counts the others.
#[derive(Default)]
struct Throttle {
    /// In milliseconds since the log began.
    due_at_ms: AtomicU64,
    left_out: AtomicU64,
}

impl Throttle {
    const INTERVAL_MS: u64 = 1000;

    /// If a line is due, how many were left out before it.
    fn pass(&self, now_ms: u64) -> Option<u64> {
        let due_at_ms = self.due_at_ms.load(Ordering::Relaxed);
        let next_ms = now_ms.saturating_add(Self::INTERVAL_MS);
        let is_due = now_ms >= due_at_ms
            && self
                .due_at_ms
                .compare_exchange(due_at_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}
