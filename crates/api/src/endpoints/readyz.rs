//! `GET /readyz`: whether the store can serve reads and writes now, for load balancers.

use std::{borrow::Cow, sync::Arc};

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
    shared.store.ready().await.map_err(|error| {
        let reason: Cow<'static, str> = match &error {
            StoreError::Overloaded => "The store has too many operations waiting.".into(),
            StoreError::Unavailable(_) => "The store is unavailable; the service's log says why.".into(),
            StoreError::Unprotected(reason) => format!("Nothing is written: {reason}").into(),
            StoreError::NotMigrated(reason) => format!("No chat is created: {reason}").into(),
            StoreError::Refused(reason) => format!("The database refuses writes: {reason}").into(),
            StoreError::Corrupt(_) => "The stored data is damaged; the service's log says where.".into(),
        };
        Problem { cause: Some(Cause::Store(error.to_string())), ..Problem::new(Code::NotReady, reason) }
    })?;
    Ok(Json(Status::OK))
}
