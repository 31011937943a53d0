//! What is counted. The names are part of the contract: dashboards and alerts are built on them.

use std::sync::Arc;

use onechat_core::OutcomeKind;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::problem::{Code, problem_codes};

/// The metrics of the HTTP API.
#[derive(Clone)]
pub struct ApiMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RequestLabels, Histogram>,
    pub(crate) in_flight: Gauge,
    problems: Family<ProblemLabels, Counter>,
    created: Counter,
    existing: Counter,
    lost_race: Counter,
    pub(crate) collision: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabels {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// From half a millisecond, which an answer from memory beats, to the default timeout, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl ApiMetrics {
    /// Adds the metrics to `registry`, under names that begin with `onechat_`.
    pub fn register(registry: &mut Registry) -> Self {
        let outcomes = Family::<OutcomeLabels, Counter>::default();
        let outcome = |outcome| outcomes.get_or_create_owned(&OutcomeLabels { outcome });
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            in_flight: Gauge::default(),
            problems: Family::default(),
            created: outcome("created"),
            existing: outcome("existing"),
            lost_race: outcome("lost_race"),
            collision: outcome("collision"),
        };
        for row in problem_codes() {
            // From the start, so that an alert can tell none from unknown.
            drop(metrics.problems.get_or_create(&ProblemLabels { code: row.code }));
        }
        registry.register("onechat_http_requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "onechat_http_request_duration",
            "Time from a request's head to its answer's",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "onechat_http_in_flight",
            "Requests under /api that are being worked on",
            metrics.in_flight.clone(),
        );
        registry.register("onechat_problems", "Problems answered, by their code", metrics.problems.clone());
        registry.register("onechat_create_or_get", "Calls of create-or-get, by what they found", outcomes);
        metrics
    }

    pub(crate) fn count_request(&self, method: &'static str, route: &Arc<str>, status: u16, seconds: f64) {
        let labels = RequestLabels { method, route: Arc::clone(route), status };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&labels).observe(seconds);
    }

    pub(crate) fn count_problem(&self, code: Code) {
        self.problems.get_or_create(&ProblemLabels { code: code.row().code }).inc();
    }

    pub(crate) fn count_outcome(&self, kind: OutcomeKind) {
        let counter = match kind {
            OutcomeKind::Created => &self.created,
            OutcomeKind::Existing => &self.existing,
            OutcomeKind::LostRace => &self.lost_race,
        };
        counter.inc();
    }
}
