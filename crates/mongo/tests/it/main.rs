//! The store on real servers, where the contract suite does not look: cost, indexes, layouts, limits, audit, and the
//! steps of a migration.

mod absent;
mod accounts;
mod adoption;
mod audit;
mod backfill;
mod contexts;
mod enforcing;
mod explained;
mod ghost;
mod guarding;
mod herd;
mod indexes;
mod layouts;
mod leases;
mod lists;
mod members;
mod merged;
mod merging;
mod old_data;
mod only;
mod pages;
mod pressure;
mod pushing;
mod refusals;
mod renumbering;
mod rush;
mod sealing;
mod states;
mod support;
mod sweeping;
mod times;
mod undoing;
mod undone_anyhow;
mod validators;
mod watching;
