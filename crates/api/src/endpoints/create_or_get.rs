//! `POST /api/chats/create-or-get`: the one chat of a set of people, created if there is none.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use onechat_core::{
    ChatIdentity, Outcome, OutcomeKind, Participant, ParticipantSet, Proposal, ResolveError, Roles,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    api::Shared,
    body::JsonBody,
    caller::Caller,
    problem::{Code, Problem},
    roles::NamedRoles,
    view::ChatView,
};

/// The body, read leniently, so that a refusal can say what is wrong.
#[derive(Deserialize)]
struct Request {
    participants: Option<Vec<String>>,
    with: Option<Vec<String>>,
    context: Option<String>,
    roles: Option<NamedRoles>,
}

/// For the document only. Whose chat is wanted, by exactly one of the two fields, and what about.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = CreateOrGet, example = json!({ "with": ["bob"] }))]
#[expect(dead_code, reason = "its fields are read by the derive")]
enum RequestSchema {
    /// Everybody.
    Participants {
        /// All participants, the caller among them.
        participants: Vec<String>,
        /// What the chat is about, where contexts are enabled.
        #[schema(example = "listing:42")]
        context: Option<String>,
        /// Who is what in a new chat, where chats have roles.
        #[schema(example = json!({ "buyer": "alice", "seller": "bob" }))]
        roles: Option<BTreeMap<String, String>>,
    },
    /// Everybody else.
    With {
        /// The participants besides the caller.
        with: Vec<String>,
        /// What the chat is about, where contexts are enabled.
        #[schema(example = "listing:42")]
        context: Option<String>,
        /// Who is what in a new chat, where chats have roles.
        #[schema(example = json!({ "buyer": "alice", "seller": "bob" }))]
        roles: Option<BTreeMap<String, String>>,
    },
}

impl Request {
    /// Whose chat it is, and who would be what in a new one.
    fn take_set(&mut self, caller: &Caller) -> Result<(ParticipantSet, Roles), Problem> {
        let by_name = self.roles.take().map(NamedRoles::take).transpose()?.unwrap_or_default();
        let (set, named) = match (self.participants.take(), self.with.take()) {
            (Some(participants), None) => (set_of(&participants, caller)?, participants),
            (None, Some(others)) => {
                let set = caller.set_with(others.iter().map(String::as_str))?;
                (set, [vec![caller.participant.as_str().to_owned()], others].concat())
            }
            _ => return Err(Problem::new(Code::InvalidRequest, "Give either `participants` or `with`.")),
        };
        let in_order = named.into_iter().filter_map(|name| Participant::new(name).ok());
        Ok((set, Roles::new(in_order.collect(), by_name)))
    }
}

fn set_of(participants: &[String], caller: &Caller) -> Result<ParticipantSet, Problem> {
    let set = ParticipantSet::parse(participants.iter().map(String::as_str))
        .map_err(|error| Problem::because(Code::InvalidParticipants, &error))?;
    if caller.acts_for_anyone || set.contains(&caller.participant) {
        Ok(set)
    } else {
        Err(Problem::new(Code::NotAParticipant, "The caller is not one of the participants."))
    }
}

pub(super) fn endpoint() -> Endpoint {
    let problems = [
        Code::NoteToSelfDisabled,
        Code::InvalidContext,
        Code::NotAParticipant,
        Code::KeyCollision,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::StoreRefused,
        Code::OutsideFilter,
        Code::ContextNotEnabled,
        Code::ContextRequired,
        Code::RolesRequired,
        Code::RolesUnknown,
        Code::StoreUnprotected,
        Code::NotMigrated,
    ];
    Endpoint::call(routes!(create_or_get), &problems)
}

/// The one chat of a set of people, or of a set of people in a context.
///
/// Creates it if there is none. However many ask at once, at most one answer says `created: true`, and all name
/// the same chat.
#[utoipa::path(
    post,
    path = "/api/chats/create-or-get",
    tag = "chats",
    request_body = RequestSchema,
    responses(
        (status = 200, description = "The chat was there already.", body = ChatView<'_>),
        (status = 201, description = "This request created the chat.", body = ChatView<'_>),
    )
)]
async fn create_or_get(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    JsonBody(mut request): JsonBody<Request>,
) -> Result<Response, Problem> {
    let (participants, roles) = request.take_set(&caller)?;
    shared.policy.permit(&participants)?;
    let identity = ChatIdentity { participants, context: shared.policy.context.of_chat(request.context)? };
    let proposal = Proposal { identity, id: shared.ids.chat_id(), now: shared.clock.now(), roles };
    let Outcome { chat, kind } = shared.store.create_or_get(proposal).await.inspect_err(|error| {
        if let ResolveError::Collision(_) = error {
            shared.metrics.collision.inc();
        }
    })?;
    shared.metrics.count_outcome(kind);
    if kind == OutcomeKind::LostRace {
        tracing::info!(event = "lost_race", chat = %chat.id, "somebody else created the chat first");
    }
    let is_created = kind == OutcomeKind::Created;
    let status = if is_created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ChatView::new(&chat, shared.policy.context).with_created(is_created))).into_response())
}
