//! The account of a run: what there was, what the journal names, what there is.

use std::fmt;

use bson::{RawBson, RawBsonRef};
use serde::{Deserialize, Serialize};

use crate::fields::{bytes_of, hash_of};

/// How many rows, and a checksum over their ids that does not depend on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum, modulo 2^64, of a hash of each id.
    pub checksum: u64,
}

impl Tally {
    /// Counts a row.
    pub fn add(&mut self, id: RawBsonRef<'_>) {
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(hash_of(&bytes_of(id)));
    }

    /// Counts all rows that another tally has counted.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }

    /// The tally of some ids.
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a RawBson>) -> Self {
        let mut tally = Self::default();
        for id in ids {
            tally.add(id.as_raw_bson_ref());
        }
        tally
    }

    /// What is left when rows that were counted are gone; nothing if more are gone than there were.
    pub fn without(self, gone: Self) -> Option<Self> {
        let count = self.count.checked_sub(gone.count)?;
        Some(Self { count, checksum: self.checksum.wrapping_sub(gone.checksum) })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:016x})", self.count, self.checksum)
    }
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
    /// What of it is there now; rows that came since, too, if they cannot be told apart.
    pub after: Tally,
}

impl Account {
    /// Whether nothing is missing: at least what is left without the removed rows is there, and if it is as many, it
    /// is the same ones. Rows that came since may hide as many that are missing; where the caller can leave them out
    /// of `after`, nothing can.
    pub fn holds(&self) -> bool {
        self.before.without(self.removed).is_some_and(|left| {
            self.after.count > left.count || (self.after.count == left.count && self.after == left)
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collection, before, removed, after } = self;
        write!(f, "{collection}: {before} before, {removed} removed as the journal says, {after} now: ")?;
        match before.without(*removed) {
            None => f.write_str("more were removed than there were"),
            Some(left) if after.count < left.count => write!(f, "{} are missing", left.count - after.count),
            Some(left) if after.count > left.count => {
                write!(f, "holds, with {} that came since", after.count - left.count)
            }
            Some(left) if *after != left => f.write_str("as many as there should be, but not the same ones"),
            Some(_) => f.write_str("holds"),
        }
    }
}
