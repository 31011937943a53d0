//! The store on real servers, where the contract suite does not look: cost, indexes, layouts, limits, audit.

mod absent;
mod adoption;
mod audit;
mod enforcing;
mod ghost;
mod guarding;
mod herd;
mod indexes;
mod layouts;
mod merged;
mod pressure;
mod refusals;
mod states;
mod support;
mod validators;
