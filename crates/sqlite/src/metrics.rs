//! What operators see of the writer: how much waits, how well commits are shared, how long the disk takes.

use prometheus_client::{
    metrics::{
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) queue_depth: Gauge,
    pub(crate) batch_size: Histogram,
    pub(crate) commit_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            queue_depth: Gauge::default(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 15)),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "onechat_store_queue_depth",
            "Writes that were accepted and wait for their commit",
            self.queue_depth.clone(),
        );
        registry.register(
            "onechat_store_batch_size",
            "Writes that shared one commit",
            self.batch_size.clone(),
        );
        registry.register_with_unit(
            "onechat_store_commit_duration",
            "Time that a commit took to be on the disk",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
    }
}
