//! The account of a run: what there was, what the journal names, what there is.

use serde::{Deserialize, Serialize};

/// How many rows, and a checksum over their ids that does not depend on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum, modulo 2^64, of a hash of each id.
    pub checksum: u64,
}

/// The account of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The collection.
    pub collection: String,
    /// What was there when the run began.
    pub before: Tally,
    /// What of that the journal says was removed.
    pub removed: Tally,
    /// What of it is there now.
    pub after: Tally,
}
