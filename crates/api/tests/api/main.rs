//! The real router, on real sockets, over a real store: what a client of the service would notice.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

mod acting_for_others;
mod authentication;
mod backend;
mod chats;
mod contexts;
mod documentation;
mod failures;
mod limits;
mod log;
mod messages;
mod operations;
mod privacy;
mod public_keys;
mod racing;
mod requests;
mod roles;
mod serving;
mod slow_readers;
mod slow_writers;
