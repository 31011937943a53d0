//! The store on real servers, where the contract suite does not look: cost, indexes, layouts, limits, audit.

mod absent;
mod accounts;
mod audit;
mod backfill;
mod ghost;
mod herd;
mod indexes;
mod layouts;
mod old_data;
mod pressure;
mod refusals;
mod suggest;
mod support;
mod undoing;
mod undone_anyhow;
mod watching;
