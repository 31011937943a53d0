//! `GET /api/chats/{id}`: one chat, by its id or by the id of a chat that was merged into it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    access::{IdInPath, readable_chat},
    api::Shared,
    caller::Caller,
    problem::{Code, Problem},
    view::ChatView,
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::call(routes!(get_chat), &[Code::ChatNotFound])
}

/// One chat.
///
/// The old id of a chat that was merged into another answers with the one that lives on.
#[utoipa::path(
    get,
    path = "/api/chats/{id}",
    tag = "chats",
    params(("id" = String, Path, description = "The chat's id, or an old one of it.")),
    responses((status = 200, description = "The chat.", body = ChatView<'_>))
)]
async fn get_chat(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    id: IdInPath,
) -> Result<Response, Problem> {
    let chat = readable_chat(&*shared.store, &caller, id).await?;
    Ok(Json(ChatView::new(&chat, shared.policy.context)).into_response())
}
