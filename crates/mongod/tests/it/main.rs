//! What tests of other crates rely on, shown on real members. Nothing here sleeps and hopes: everything is waited for.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

mod control;
mod gone;
mod shared;
