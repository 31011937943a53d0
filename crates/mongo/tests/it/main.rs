//! The store on real servers, where the contract suite does not look: cost, indexes, layouts, limits, audit.

mod absent;
mod audit;
mod backfill;
mod ghost;
mod herd;
mod indexes;
mod layouts;
mod pressure;
mod refusals;
mod support;
