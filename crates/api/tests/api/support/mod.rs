//! A service to call, and what to call it with.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod answer;
mod call;
mod service;
mod staged;
pub(crate) mod tokens;

pub(crate) use answer::Answer;
pub(crate) use call::Call;
pub(crate) use service::{Service, Setup};
pub(crate) use staged::{Fault, StagedStore};
