//! A service to call, and what to call it with.

mod answer;
mod call;
mod service;
mod staged;
pub(crate) mod tokens;

pub(crate) use answer::Answer;
pub(crate) use call::Call;
pub(crate) use service::{Service, Setup};
pub(crate) use staged::{Fault, StagedStore};
