//! `POST /api/chats/{id}/messages`: says something, once, however often it is sent.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use onechat_core::{ClientMessageId, MessageText, NewMessage};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    access::{IdInPath, writable_chat},
    api::Shared,
    body::JsonBody,
    caller::Caller,
    problem::{Code, Problem},
    view::MessageView,
};

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SendMessage)]
struct Request {
    /// What to say: 1 to 16,384 bytes of UTF-8.
    #[schema(example = "Hello!")]
    text: String,
    /// The sender's own id of this message. Sent again with the same text, it answers with the first message
    /// and stores nothing.
    #[schema(example = "c1a7", min_length = 1, max_length = 128)]
    client_message_id: String,
}

pub(super) fn endpoint() -> Endpoint {
    let problems = [
        Code::InvalidMessage,
        Code::NotAParticipant,
        Code::ChatNotFound,
        Code::MessageMismatch,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::StoreRefused,
        Code::StoreUnprotected,
    ];
    Endpoint::call(routes!(send_message), &problems)
}

/// Sends a message.
///
/// Stored once per sender and `clientMessageId`: whoever did not get the answer can send it again, with the same text.
#[utoipa::path(
    post,
    path = "/api/chats/{id}/messages",
    tag = "messages",
    params(("id" = String, Path, description = "The chat's id, or an old one of it.")),
    request_body = Request,
    responses(
        (status = 200, description = "It was sent before: the first message.", body = MessageView<'_>),
        (status = 201, description = "The new message.", body = MessageView<'_>),
    )
)]
async fn send_message(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    id: IdInPath,
    JsonBody(request): JsonBody<Request>,
) -> Result<Response, Problem> {
    let invalid = |error| Problem::because(Code::InvalidMessage, &error);
    let text = MessageText::new(request.text).map_err(invalid)?;
    let client_message_id = ClientMessageId::new(request.client_message_id).map_err(invalid)?;
    let chat = writable_chat(&*shared.store, &caller, id).await?;
    let wanted = text.clone();
    let message = NewMessage {
        chat: chat.id,
        id: shared.ids.message_id(),
        sender: caller.participant,
        text,
        client_message_id,
        now: shared.clock.now(),
    };
    let sent = shared.store.send(message).await?.ok_or_else(Problem::chat_not_found)?;
    if sent.message.text != wanted {
        let detail = "Another text was sent with this clientMessageId before, and is what is stored. \
                      Send this one with a clientMessageId of its own.";
        let message = Some(Box::new(sent.message));
        return Err(Problem { message, ..Problem::new(Code::MessageMismatch, detail) });
    }
    let status = if sent.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(MessageView::new(&sent.message))).into_response())
}
