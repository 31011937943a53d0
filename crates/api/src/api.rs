//! Puts the service together: ports and settings in, a router out.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::StatusCode, routing};
use onechat_core::{
    ParticipantSet,
    ports::{ChatStore, Clock, IdSource},
};
use prometheus_client::registry::Registry;

use crate::{
    auth::AuthenticatorHandle,
    context_policy::ContextPolicy,
    docs,
    endpoints::{self, Readiness},
    intake::Intake,
    metrics::ApiMetrics,
    middleware::{Frame, FrameContext},
    page_answer::PageBudget,
    problem::{Code, Problem},
    query::QueryNames,
};

/// Everything that the service needs.
pub struct Api {
    /// Where chats and messages are.
    pub store: Arc<dyn ChatStore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where new ids come from.
    pub ids: Arc<dyn IdSource>,
    /// Who is let in; may be replaced while the service runs.
    pub authenticator: AuthenticatorHandle,
    /// What is allowed.
    pub policy: Policy,
    /// How much is taken on.
    pub limits: Limits,
    /// What is counted here.
    pub metrics: ApiMetrics,
    /// What `/metrics` shows: `metrics`, and whatever else has been registered.
    pub registry: Arc<Registry>,
}

/// What is a matter of taste, and so of configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether a participant may have a chat with nobody else in it.
    pub allow_note_to_self: bool,
    /// Whether chats have contexts.
    pub context: ContextPolicy,
}

/// How much is taken on before requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a request may take, its body included, before it is answered `timeout`.
    pub request_timeout: Duration,
    /// How many requests under `/api` are worked on at once; more are answered `overloaded`.
    pub max_concurrent_requests: usize,
    /// The largest body of a request; a larger one is answered `body_too_large`.
    pub max_body_bytes: usize,
    /// The largest head of a request, that is, its first line and its headers; a larger one is answered 431.
    pub max_header_bytes: usize,
    /// For how long a client may take nothing of its answer before its connection is ended.
    pub send_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            max_concurrent_requests: 1024,
            max_body_bytes: 256 * 1024,
            max_header_bytes: 16 * 1024,
            send_timeout: Duration::from_secs(5),
        }
    }
}

impl Policy {
    pub(crate) fn permit(self, participants: &ParticipantSet) -> Result<(), Problem> {
        if participants.members().len() == 1 && !self.allow_note_to_self {
            let detail = "The set has one member, and notes to self are not enabled here.";
            return Err(Problem::new(Code::NoteToSelfDisabled, detail));
        }
        Ok(())
    }
}

/// What endpoints share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ChatStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) authenticator: AuthenticatorHandle,
    pub(crate) policy: Policy,
    pub(crate) max_body_bytes: usize,
    pub(crate) query_names: QueryNames,
    pub(crate) intake: Intake,
    pub(crate) page_budget: PageBudget,
    pub(crate) metrics: ApiMetrics,
    pub(crate) registry: Arc<Registry>,
    pub(crate) openapi_json: Bytes,
    pub(crate) readiness: Readiness,
}

impl Api {
    /// The service, complete: every answer has a request id, and every refusal is a problem.
    pub fn router(self) -> Router {
        let context = Arc::new(FrameContext::new(&*self.ids, &self.limits, self.metrics.clone()));
        let frame = |route: &str| Frame::new(Arc::clone(&context), route);

        let mut router = Router::new();
        let mut query_names = QueryNames::default();
        for endpoint in endpoints::all() {
            let path = endpoint.path().to_owned();
            if endpoint.needs_token() {
                query_names.add(&path, endpoint.query_names());
            }
            let frame = frame(&path);
            let frame = if endpoint.needs_token() { frame.for_calls() } else { frame };
            router = router.route(&path, endpoint.into_method_router().layer(frame));
        }
        let shared = Shared {
            store: self.store,
            clock: self.clock,
            ids: self.ids,
            authenticator: self.authenticator,
            policy: self.policy,
            max_body_bytes: self.limits.max_body_bytes,
            query_names,
            intake: Intake::new(self.limits.max_concurrent_requests, self.limits.max_body_bytes),
            page_budget: PageBudget::new(),
            metrics: self.metrics,
            registry: self.registry,
            openapi_json: docs::openapi_json(),
            readiness: Readiness::default(),
        };
        let nothing_here = routing::any(|| async { StatusCode::NOT_FOUND }).layer(frame("(none)"));
        router
            .with_state(Arc::new(shared))
            .merge(docs::page().layer(frame(docs::PAGE_PATH).for_pages()))
            .fallback_service(nothing_here)
    }
}
