//! `GET /readyz`: whether the store can serve reads and writes now, for load balancers.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, extract::State};
use onechat_core::StoreError;
use utoipa_axum::routes;

use super::{Endpoint, healthz::Status};
use crate::{
    api::Shared,
    problem::{Cause, Code, Problem},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::open(routes!(readyz), &[Code::NotReady, Code::Timeout])
}

/// Whether the service can serve chats now.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses((status = 200, description = "It can.", body = Status))
)]
async fn readyz(State(shared): State<Arc<Shared>>) -> Result<Json<Status>, Problem> {
    let ready = shared.store.ready().await;
    shared.readiness.note(ready.as_ref().err());
    ready.map_err(|error| {
        let reason: Cow<'static, str> = match &error {
            StoreError::Overloaded => "The store has too many operations waiting.".into(),
            StoreError::Unavailable(_) => "The store is unavailable; the service's log says why.".into(),
            StoreError::Unprotected(reason) => format!("Nothing is written: {reason}").into(),
            StoreError::NotMigrated(reason) => format!("No chat is created: {reason}").into(),
            StoreError::OutsideFilter(_) | StoreError::RolesRequired(_) | StoreError::RolesUnknown(_) => {
                error.to_string().into()
            }
            StoreError::Refused(reason) => format!("The database refuses writes: {reason}").into(),
            StoreError::Corrupt(_) => "The stored data is damaged; the service's log says where.".into(),
        };
        Problem { cause: Some(Cause::Store(error.to_string())), ..Problem::new(Code::NotReady, reason) }
    })?;
    Ok(Json(Status::OK))
}

/// What the last probe was told: probes come every few seconds, and only a change is worth a line in the log.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<Code>>);

impl Readiness {
    /// Logs if the answer is not the one that the last probe was given.
    fn note(&self, error: Option<&StoreError>) {
        // The kind alone is compared: the reason names what differs from probe to probe, such as a server.
        let now = error.map(|error| Problem::from(error.clone()).code);
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), now);
        if now == before {
            return;
        }
        let code = now.map(|code| code.row().code).unwrap_or_default();
        match error {
            None => tracing::info!(event = "ready", "the store serves reads and writes again"),
            // Neither is a failure of the store: both end by themselves, or by a command that is run on purpose.
            Some(reason @ (StoreError::NotMigrated(_) | StoreError::Overloaded)) => {
                tracing::warn!(event = "not_ready", code, %reason, "/readyz answers 503");
            }
            Some(reason) => tracing::error!(event = "not_ready", code, %reason, "/readyz answers 503"),
        }
    }
}
