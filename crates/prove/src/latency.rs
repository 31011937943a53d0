//! How long answers took, by operation.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// What was asked of the service, as latencies are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Open,
    Send,
    Lookup,
    Get,
    List,
    Read,
    Intrude,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "create-or-get",
            Self::Send => "send",
            Self::Lookup => "lookup",
            Self::Get => "get",
            Self::List => "list chats",
            Self::Read => "read messages",
            Self::Intrude => "intrude",
        }
    }
}

/// The latencies of one operation, over its requests that were answered, each try on its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Which operation.
    pub operation: &'static str,
    /// How many answers.
    pub answers: u64,
    /// Half of them took at most this long, in milliseconds.
    pub p50_ms: f64,
    /// Nine in ten took at most this long, in milliseconds.
    pub p90_ms: f64,
    /// Ninety-nine in a hundred took at most this long, in milliseconds.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

#[derive(Default)]
pub(crate) struct Latencies(BTreeMap<Operation, Histogram<u64>>);

impl Latencies {
    /// Far above the deadline of a request.
    const MAX_US: u64 = 120_000_000;

    pub(crate) fn record(&mut self, operation: Operation, latency: Duration) {
        let empty = || Histogram::new_with_max(Self::MAX_US, 3).expect("the bounds are valid");
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.entry(operation).or_insert_with(empty).saturating_record(us);
    }

    pub(crate) fn summary(&self) -> Vec<LatencySummary> {
        let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1000.0;
        let summary = |(operation, histogram): (&Operation, &Histogram<u64>)| LatencySummary {
            operation: operation.name(),
            answers: histogram.len(),
            p50_ms: ms(histogram.value_at_quantile(0.5)),
            p90_ms: ms(histogram.value_at_quantile(0.9)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            max_ms: ms(histogram.max()),
        };
        self.0.iter().map(summary).collect()
    }
}
