//! The cases, by what they are about. A case is a function from a harness to a verdict.

pub mod audit;
pub mod collision;
pub mod contexts;
pub mod lists;
pub mod lookup;
pub mod messages;
pub mod persistence;
pub mod racing;
pub mod resolve;
pub mod sequential;
