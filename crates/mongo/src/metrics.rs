//! What operators see of this store. Racing upserts of other programs raise no duplicate-key error: lost races,
//! which the service counts, and the errors here tell of races; the rate of E11000 alone does not.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Index {
    pub(crate) index: String,
}

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) waiting: Gauge,
    pub(crate) lookup_batch_size: Histogram,
    pub(crate) insert_batch_size: Histogram,
    pub(crate) lookups_saved: Counter,
    pub(crate) lookup_seconds: Histogram,
    pub(crate) insert_seconds: Histogram,
    pub(crate) duplicate_keys: Family<Index, Counter>,
    pub(crate) lost_races: Counter,
    pub(crate) participant_lookups: Counter,
    pub(crate) adopted: Counter,
    pub(crate) refetches: Counter,
    pub(crate) majority_waits: Counter,
    pub(crate) deadline_misses: Counter,
    pub(crate) pool: Pool,
}

/// The driver's connections.
#[derive(Clone, Default)]
pub(crate) struct Pool {
    pub(crate) open: Gauge,
    pub(crate) in_use: Gauge,
    pub(crate) cleared: Counter,
    pub(crate) checkout_failures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let sizes = || Histogram::new(exponential_buckets(1.0, 2.0, 11));
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        Self {
            waiting: Gauge::default(),
            lookup_batch_size: sizes(),
            insert_batch_size: sizes(),
            lookups_saved: Counter::default(),
            lookup_seconds: seconds(),
            insert_seconds: seconds(),
            duplicate_keys: Family::default(),
            lost_races: Counter::default(),
            participant_lookups: Counter::default(),
            adopted: Counter::default(),
            refetches: Counter::default(),
            majority_waits: Counter::default(),
            deadline_misses: Counter::default(),
            pool: Pool::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "onechat_store_queue_depth",
            "Requests that were accepted and wait for the database",
            self.waiting.clone(),
        );
        registry.register(
            "onechat_mongo_lookup_batch_size",
            "Keys that shared one find",
            self.lookup_batch_size.clone(),
        );
        registry.register(
            "onechat_mongo_insert_batch_size",
            "New chats that shared one insert",
            self.insert_batch_size.clone(),
        );
        registry.register(
            "onechat_mongo_lookups_saved",
            "Requests that were answered by a find that another request had to make anyway",
            self.lookups_saved.clone(),
        );
        registry.register_with_unit(
            "onechat_mongo_lookup_duration",
            "Time that a find of chats by key took",
            Unit::Seconds,
            self.lookup_seconds.clone(),
        );
        registry.register_with_unit(
            "onechat_mongo_insert_duration",
            "Time that an insert of chats took to be on a majority of the members",
            Unit::Seconds,
            self.insert_seconds.clone(),
        );
        registry.register(
            "onechat_mongo_duplicate_key_errors",
            "Inserts of chats that a unique index kept out, by the index's fields",
            self.duplicate_keys.clone(),
        );
        registry.register(
            "onechat_mongo_lost_races",
            "Inserts of chats that found another server's or program's chat there first",
            self.lost_races.clone(),
        );
        registry.register(
            "onechat_mongo_participant_lookups",
            "Sets that no key found and that were looked for by their participants; none once the collection is migrated",
            self.participant_lookups.clone(),
        );
        registry.register(
            "onechat_mongo_adopted_chats",
            "Chats of old that were given their key when somebody asked for them",
            self.adopted.clone(),
        );
        registry.register(
            "onechat_mongo_refetches",
            "Finds that were made because an insert did not settle the matter",
            self.refetches.clone(),
        );
        registry.register(
            "onechat_mongo_majority_waits",
            "Refetches that did not see the winner yet, as it was not on a majority of the members",
            self.majority_waits.clone(),
        );
        registry.register(
            "onechat_mongo_deadline_misses",
            "Operations that were given up with an unknown outcome",
            self.deadline_misses.clone(),
        );
        registry.register("onechat_mongo_pool_open", "Connections to the database", self.pool.open.clone());
        registry.register("onechat_mongo_pool_in_use", "Connections in use", self.pool.in_use.clone());
        registry.register(
            "onechat_mongo_pool_cleared",
            "How often all connections to a member were given up",
            self.pool.cleared.clone(),
        );
        registry.register(
            "onechat_mongo_pool_checkout_failures",
            "Operations that got no connection",
            self.pool.checkout_failures.clone(),
        );
    }
}
