//! The HTTP face of onechat: who asks, what they may, and what they are told. Decides nothing about chats.
//!
//! A composition root builds an [`Api`] over the ports of `onechat-core`, and gives its router to [`serve`].

mod access;
mod api;
mod auth;
mod body;
mod caller;
mod docs;
mod endpoints;
mod metrics;
mod middleware;
mod problem;
mod query;
mod server;
mod view;

pub use api::{Api, Limits, Policy};
pub use auth::{Authenticator, AuthenticatorHandle, KeyError, PublicKeyAlgorithm, UnknownAlgorithm};
pub use docs::openapi;
pub use metrics::ApiMetrics;
pub use problem::{ProblemCode, problem_codes};
pub use server::{Drained, serve};
