//! `GET /api/chats/{id}/messages`: what was said in a chat, newest first.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use onechat_core::MessageCursor;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    access::{IdInPath, readable_chat},
    api::Shared,
    caller::Caller,
    problem::{Code, Problem},
    query::Query,
    view::{MessagePageView, MessageView},
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "its fields are read by the derive")]
struct Parameters {
    /// How many messages to answer with at most. A page also ends before it exceeds 1 MiB, or less under load.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u16>,
    /// Where to go on: the `nextCursor` of an earlier page.
    before: Option<String>,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::call(routes!(list_messages), &[Code::ChatNotFound])
}

/// The messages of a chat, newest first.
#[utoipa::path(
    get,
    path = "/api/chats/{id}/messages",
    tag = "messages",
    params(("id" = String, Path, description = "The chat's id, or an old one of it."), Parameters),
    responses((status = 200, description = "A page of messages.", body = MessagePageView<'_>))
)]
async fn list_messages(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    id: IdInPath,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::of(&uri)?;
    let before: Option<MessageCursor> = query.cursor("before")?;
    let limit = query.limit()?;
    let chat = readable_chat(&*shared.store, &caller, id).await?;
    let read = |size| shared.store.messages(&chat.id, size, before.as_ref());
    Ok(shared
        .page_budget
        .answer(limit, read, |message, json| serde_json::to_writer(json, &MessageView::new(message)))
        .await?)
}
