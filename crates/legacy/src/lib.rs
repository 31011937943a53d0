//! Old data as real backends leave it: chats without keys, with wrong ones, many times over, with messages and much else that
//! refers to them. For tests, and for trying a migration out before it meets data that matter.
//!
//! The same seed gives the same data, and beside them what a migration has to make of them. Only `xtask` and tests may
//! depend on this. It shares nothing with the migration but the key of a set: what it expects is worked out from
//! how the data were made, not from how they are read.

mod chance;
mod check;
mod configuration;
mod differences;
mod duplicates;
mod error;
mod expected;
mod generate;
mod old_writer;
mod population;
mod raw_writes;
mod recipe;
mod shape;
mod value;

/// Named here so that tests need not know the driver.
pub use mongodb::Database;

pub use check::{Strictness, check};
pub use configuration::configuration;
pub use differences::differences;
pub use duplicates::{Recomputed, recompute};
pub use error::LegacyError;
pub use expected::{Expected, ExpectedIds, ExpectedSet, Kept, Record, Totals};
pub use generate::{connect, generate};
pub use old_writer::{Acknowledged, Keys, OldWriter, Written};
pub use population::{Piece, Place, Population};
pub use raw_writes::{RawWrites, same_indexes};
pub use recipe::{IndexOutcome, backfill, clean, create_index};
pub use shape::{People, PublicIds, Shape};
