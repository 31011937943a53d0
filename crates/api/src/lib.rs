//! The HTTP face of onechat: who asks, what they may, and what they are told. Decides nothing about chats.
//!
//! A composition root builds an [`Api`] over the ports of `onechat-core`, and gives its router to [`serve`].

mod access;
mod api;
mod auth;
mod body;
mod caller;
mod context_policy;
mod docs;
mod endpoints;
mod held;
mod intake;
mod metrics;
mod middleware;
mod page_answer;
mod problem;
mod query;
mod roles;
mod send_timeout;
mod server;
mod unread_body;
mod view;

pub use api::{Api, Limits, Policy};
pub use auth::{Authenticator, AuthenticatorHandle, KeyError, PublicKeyAlgorithm, UnknownAlgorithm};
pub use context_policy::{ContextPolicy, UnknownContextPolicy};
pub use docs::openapi;
pub use metrics::ApiMetrics;
pub use problem::{ProblemCode, problem_codes};
pub use server::{Drained, serve};
