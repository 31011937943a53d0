//! The prover: drives a running service as its clients would, several at once and against each other, writes
//! down every answer, and checks the invariants of the design against what it saw, knowing nothing of the inside.
//!
//! What is done ([`stress`], [`mix`], [`replay`], [`store_race`]) is apart from what is concluded: the checks are
//! pure functions of the recorded history. Nothing here starts servers, reads flags or prints.

mod cast;
mod check;
mod control;
mod driver;
mod error;
mod history;
mod http;
mod interpret;
mod intruder;
mod latency;
mod mix;
mod names;
mod namespace;
mod plan;
mod population;
mod recorder;
mod render;
mod replay;
mod report;
mod rest;
mod seen;
mod session;
mod store_race;
mod stress;
mod target;
mod trace;
mod wire;

pub use check::{Evidence, Violation, ViolationKind};
pub use control::Control;
pub use error::ProveError;
pub use latency::LatencySummary;
pub use mix::mix;
pub use namespace::{Namespace, NamespaceError};
pub use plan::Workload;
pub use replay::{Replay, replay};
pub use report::{Counts, Ended, InvariantState, InvariantSummary, Report, Verdict, ViolationSummary};
pub use store_race::{StoreRace, store_race};
pub use stress::{Stress, stress};
pub use target::{Contexts, Target, TokenMint};
pub use trace::{Trace, TraceError, TraceLine};
