//! `GET /healthz`: whether the process is alive. Asks nobody, so that an ill store does not get it killed.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Endpoint;

/// That all is well.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

impl Status {
    pub(super) const OK: Self = Self { status: "ok" };
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::open(routes!(healthz), &[])
}

/// Whether the process is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It is.", body = Status))
)]
async fn healthz() -> Json<Status> {
    Json(Status::OK)
}
