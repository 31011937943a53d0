//! What a run comes to: everything that a reader needs to believe it, or to look further.

use std::{collections::HashSet, time::Duration};

use serde::Serialize;

use crate::{
    LatencySummary, Violation, ViolationKind,
    check::{Findings, invariants},
    history::{Answer, History, Request},
    latency::Latencies,
};

/// The result of a run. [`Display`](std::fmt::Display) renders it for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What the run concludes.
    pub verdict: Verdict,
    /// How the run ended.
    pub ended: Ended,
    /// What was done, in words.
    pub workload: String,
    /// The prefix of the participants of this run.
    pub namespace: String,
    /// The seed, where chance was involved.
    pub seed: Option<u64>,
    /// How many acted at the same time.
    pub clients: usize,
    /// What a reader should know besides.
    pub notes: Vec<String>,
    /// How much there was.
    pub counts: Counts,
    /// How long the clients were active, in milliseconds, without the reading at rest.
    pub active_ms: u64,
    /// How many requests were made per second while the clients were active.
    pub requests_per_second: u64,
    /// Every promise, with how it fared.
    pub invariants: Vec<InvariantSummary>,
    /// Every kind of violation that was found.
    pub violations: Vec<ViolationSummary>,
    /// How long answers took.
    pub latencies: Vec<LatencySummary>,
}

/// What a run concludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was to be checked was checked, and no violation was found.
    Held,
    /// A violation was found.
    Violated,
    /// No violation was found, but not everything could be checked.
    Incomplete,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All was done.
    Completed,
    /// It was told to stop; what was seen until then is checked.
    Interrupted,
    /// The server stopped answering, and did not come back.
    ServerGone,
}

/// How much there was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Sets whose chat was handed out.
    pub chats: u64,
    /// Messages that were acknowledged.
    pub messages: u64,
    /// Requests, retries included.
    pub requests: u64,
    /// Requests that repeated one without an answer.
    pub retried: u64,
    /// Requests that were never answered, whatever became of them.
    pub unknown: u64,
    /// Requests that were refused with `key_collision`, each for a set that shares its key with another.
    pub collisions: u64,
    /// Lists that could not be read to their end at rest.
    pub unread: u64,
}

/// How one promise fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvariantSummary {
    /// Its number: `I1` to `I7`.
    pub invariant: String,
    /// What it promises.
    pub promise: &'static str,
    /// Whether it held.
    pub state: InvariantState,
    /// How many observations could have refuted it.
    pub observations: u64,
    /// How many violations were found.
    pub violations: u64,
}

/// Whether a promise held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvariantState {
    /// It was put to the test and held.
    Held,
    /// It did not hold.
    Violated,
    /// Nothing in the run could have refuted it.
    NotExercised,
}

/// One kind of violation that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViolationSummary {
    /// Which kind.
    pub kind: ViolationKind,
    /// The promise that it breaks.
    pub invariant: Option<String>,
    /// How often it was found.
    pub count: u64,
    /// The first few.
    pub examples: Vec<Violation>,
}

impl Report {
    /// Whether everything was checked and no violation was found.
    pub fn holds(&self) -> bool {
        self.verdict == Verdict::Held
    }
}

impl Counts {
    /// What the history alone tells.
    pub(crate) fn of(history: &History) -> Self {
        let (mut sets, mut messages, mut collisions) = (HashSet::new(), HashSet::new(), 0);
        for exchange in &history.exchanges {
            match (&exchange.request, &exchange.answer) {
                (Request::Open { set, .. }, Answer::Chat(_)) => drop(sets.insert(*set)),
                (Request::Send { message, .. }, Answer::Sent { .. }) => drop(messages.insert(*message)),
                (_, Answer::Collision) => collisions += 1,
                _ => {}
            }
        }
        let unread = history.rest.as_ref().map_or(0, |rest| rest.unread);
        Self {
            chats: sets.len() as u64,
            messages: messages.len() as u64,
            collisions,
            unread,
            ..Self::default()
        }
    }
}

/// What a report is made of besides its findings.
pub(crate) struct About {
    pub(crate) workload: String,
    pub(crate) namespace: String,
    pub(crate) seed: Option<u64>,
    pub(crate) clients: usize,
    pub(crate) notes: Vec<String>,
    pub(crate) ended: Ended,
    pub(crate) counts: Counts,
    pub(crate) active: Duration,
    pub(crate) requests_while_active: u64,
}

impl About {
    pub(crate) fn report(self, findings: Findings, latencies: &Latencies) -> Report {
        let invariants = invariants().map(|invariant| summary(invariant, &findings)).into();
        let violations: Vec<_> = findings
            .into_violations()
            .map(|(kind, count, examples)| ViolationSummary {
                kind,
                invariant: kind.invariant().map(|invariant| invariant.to_string()),
                count,
                examples,
            })
            .collect();
        let complete = self.ended == Ended::Completed && self.counts.unread == 0 && self.counts.chats > 0;
        let verdict = match (violations.is_empty(), complete) {
            (false, _) => Verdict::Violated,
            (true, true) => Verdict::Held,
            (true, false) => Verdict::Incomplete,
        };
        let active_ms = u64::try_from(self.active.as_millis()).unwrap_or(u64::MAX);
        Report {
            verdict,
            ended: self.ended,
            workload: self.workload,
            namespace: self.namespace,
            seed: self.seed,
            clients: self.clients,
            notes: self.notes,
            counts: self.counts,
            active_ms,
            requests_per_second: self.requests_while_active * 1000 / active_ms.max(1),
            invariants,
            violations,
            latencies: latencies.summary(),
        }
    }
}

fn summary(invariant: onechat_core::ports::Invariant, findings: &Findings) -> InvariantSummary {
    use onechat_core::ports::Invariant;
    let promise = match invariant {
        Invariant::I1 => "all answers for one set name the same chat",
        Invariant::I2 => "at most one answer per set says that it created",
        Invariant::I3 => "at rest, exactly one chat per set",
        Invariant::I4 => "an acknowledged message is stored exactly once, in the chat of its set",
        Invariant::I5 => "nobody is handed a stranger's chat",
        Invariant::I6 => "who is not in the set learns nothing",
        Invariant::I7 => "an acknowledged chat does not vanish",
    };
    let (observations, violations) = (findings.observations(invariant), findings.violations_of(invariant));
    let state = match (violations, observations) {
        (1.., _) => InvariantState::Violated,
        (0, 1..) => InvariantState::Held,
        (0, 0) => InvariantState::NotExercised,
    };
    InvariantSummary { invariant: invariant.to_string(), promise, state, observations, violations }
}
