//! The benchmarks of the stores, as ratios measured in one run. What it does and why: `docs/BENCHMARKS.md`.

mod answers;
mod crowd;
mod fill;
mod folder;
mod format;
mod herd;
mod http;
mod loads;
mod machine;
mod migration;
mod mongo;
mod pairs;
mod phases;
mod programs;
mod record;
mod report;
mod run;
mod series;
mod servers;
mod target;
mod wrk;

pub(crate) use run::{Options, run};
