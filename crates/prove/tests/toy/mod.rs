//! A service in memory that answers as the contract has it, and can be told to break one promise.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use onechat_core::{ChatIdentity, Context, KeyFormat, ParticipantSet, ParticipantsKey};
use serde_json::{Value, json};

/// What a toy does wrong.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fault, and they are independent")]
pub(crate) struct Faults {
    /// Gives the second caller of a set a chat of its own, as a service does that looks before it inserts
    /// when two callers come at once. Whether they really do is not left to the scheduler.
    pub(crate) racy: bool,
    /// Shows every chat to everybody.
    pub(crate) open_doors: bool,
    /// Shows every chat to whom a service acts for (`as`).
    pub(crate) as_widens: bool,
    /// Finds chats by the plain join and does not compare.
    pub(crate) joined: bool,
    /// Has never heard of contexts.
    pub(crate) ignores_context: bool,
    /// With `ignores_context`: answers with the context that was asked for, whatever the chat's.
    pub(crate) echoes_context: bool,
    /// Lists the chats of a context without looking at it.
    pub(crate) lists_every_context: bool,
    /// Refuses to open a chat without a context.
    pub(crate) requires_context: bool,
    /// Acknowledges every tenth message without keeping it.
    pub(crate) forgetful: bool,
    /// Does not know the ids any more that it has handed out, but has the chats in its lists.
    pub(crate) ghostly: bool,
    /// Refuses every so many requests; 0 for none.
    pub(crate) overloaded_every: u64,
    /// Answers nothing after so many requests; 0 for never.
    pub(crate) dies_after: u64,
}

pub(crate) struct Toy {
    faults: Faults,
    requests: AtomicU64,
    data: Mutex<Data>,
}

#[derive(Default)]
struct Data {
    chats: Vec<Chat>,
    by_key: HashMap<String, usize>,
    sent: u64,
}

struct Chat {
    members: Vec<String>,
    context: Option<String>,
    key: String,
    messages: Vec<Value>,
}

/// The caller whom no chat is hidden from.
const ANYBODY: &str = "*";

type App = State<Arc<Toy>>;

pub(crate) fn router(toy: Arc<Toy>) -> Router {
    Router::new()
        .route("/api/chats/create-or-get", post(open))
        .route("/api/chats/lookup", get(lookup))
        .route("/api/chats", get(list))
        .route("/api/chats/{id}", get(one))
        .route("/api/chats/{id}/messages", get(read).post(send))
        .layer(from_fn_with_state(Arc::clone(&toy), trouble))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(toy)
}

/// A token that carries any id through a header.
pub(crate) fn token(participant: &str) -> String {
    participant.bytes().fold(String::new(), |token, byte| format!("{token}{byte:02x}"))
}

async fn trouble(State(toy): App, mut request: Request, next: Next) -> Response {
    let number = toy.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let overloaded = toy.faults.overloaded_every > 0 && number.is_multiple_of(toy.faults.overloaded_every);
    if overloaded || (toy.faults.dies_after > 0 && number > toy.faults.dies_after) {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response();
    }
    if let Some(person) = values(request.uri().query(), "as").first() {
        let caller = if toy.faults.as_widens { ANYBODY } else { person };
        let value = format!("Bearer {}", token(caller)).parse().expect("hexadecimal digits");
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    next.run(request).await
}

async fn open(State(toy): App, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let me = caller(&headers);
    let texts = |name: &str| -> Option<Vec<String>> { serde_json::from_value(body.get(name)?.clone()).ok() };
    let members = match (texts("participants"), texts("with")) {
        (Some(members), _) => members,
        (_, Some(mut others)) => {
            others.push(me.clone());
            others
        }
        _ => return problem(StatusCode::BAD_REQUEST, "bad_request"),
    };
    if !members.contains(&me) {
        return problem(StatusCode::FORBIDDEN, "not_a_participant");
    }
    let asked: Option<String> = body["context"].as_str().map(ToOwned::to_owned);
    if asked.is_none() && toy.faults.requires_context {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "context_required");
    }
    let context = asked.clone().filter(|_| !toy.faults.ignores_context);
    let (key, members) = toy.key(members, context.as_deref());
    let mut data = toy.data.lock().expect("no holder panics");
    let chats = data.chats.iter().filter(|chat| chat.key == key).count();
    let unseen = toy.faults.racy && chats == 1;
    let found = if unseen { None } else { data.by_key.get(&key).copied() };
    let (index, created) = found.map_or_else(
        || {
            data.chats.push(Chat { members, context, key: key.clone(), messages: Vec::new() });
            let index = data.chats.len() - 1;
            data.by_key.insert(key.clone(), index);
            (index, true)
        },
        |index| (index, false),
    );
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut chat = data.chat(index, Some(created));
    if toy.faults.echoes_context {
        chat["context"] = asked.into();
    }
    (status, Json(chat)).into_response()
}

async fn lookup(State(toy): App, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let mut members = values(query.as_deref(), "with");
    members.push(caller(&headers));
    let context = values(query.as_deref(), "context").into_iter().next();
    let context = context.filter(|_| !toy.faults.ignores_context);
    let (key, _) = toy.key(members, context.as_deref());
    let data = toy.data.lock().expect("no holder panics");
    match data.by_key.get(&key) {
        Some(&index) => Json(data.chat(index, None)).into_response(),
        None => absent(),
    }
}

async fn list(State(toy): App, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let me = caller(&headers);
    let data = toy.data.lock().expect("no holder panics");
    let wanted = values(query.as_deref(), "context").into_iter().next();
    let wanted = wanted.filter(|_| !toy.faults.ignores_context && !toy.faults.lists_every_context);
    let mine = (0..data.chats.len()).filter(|&index| {
        let Chat { members, context, .. } = &data.chats[index];
        members.contains(&me) && (wanted.is_none() || *context == wanted)
    });
    page(&mine.map(|index| data.chat(index, None)).collect::<Vec<_>>(), query.as_deref(), "cursor")
}

async fn one(State(toy): App, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let data = toy.data.lock().expect("no holder panics");
    match toy.visible(&data, &id, &caller(&headers)).filter(|_| !toy.faults.ghostly) {
        Some(index) => Json(data.chat(index, None)).into_response(),
        None => absent(),
    }
}

async fn read(
    State(toy): App,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let data = toy.data.lock().expect("no holder panics");
    match toy.visible(&data, &id, &caller(&headers)) {
        Some(index) => page(
            &data.chats[index].messages.iter().rev().cloned().collect::<Vec<_>>(),
            query.as_deref(),
            "before",
        ),
        None => absent(),
    }
}

async fn send(
    State(toy): App,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let me = caller(&headers);
    let mut data = toy.data.lock().expect("no holder panics");
    let Some(index) = toy.visible(&data, &id, &me) else { return absent() };
    let same = |message: &&Value| {
        message["sender"] == me.as_str() && message["clientMessageId"] == body["clientMessageId"]
    };
    if let Some(first) = data.chats[index].messages.iter().find(same) {
        return Json(first.clone()).into_response();
    }
    data.sent += 1;
    let message = json!({
        "id": format!("m{}", data.sent), "chatId": id, "sender": me,
        "text": body["text"], "clientMessageId": body["clientMessageId"], "createdAt": "",
    });
    if !(toy.faults.forgetful && data.sent.is_multiple_of(10)) {
        data.chats[index].messages.push(message.clone());
    }
    (StatusCode::CREATED, Json(message)).into_response()
}

impl Toy {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { faults, requests: AtomicU64::new(0), data: Mutex::default() }
    }

    fn key(&self, members: Vec<String>, context: Option<&str>) -> (String, Vec<String>) {
        let identity = ChatIdentity {
            participants: ParticipantSet::parse(members).expect("the toy is asked properly"),
            context: context.map(|text| Context::new(text).expect("the toy is asked properly")),
        };
        let format = if self.faults.joined { KeyFormat::Joined } else { KeyFormat::Escaped };
        let key = ParticipantsKey::new(&identity, format).to_string();
        (key, identity.participants.members().iter().map(ToString::to_string).collect())
    }

    fn visible(&self, data: &Data, id: &str, caller: &String) -> Option<usize> {
        let index: usize = id.strip_prefix('c')?.parse().ok()?;
        let chat = data.chats.get(index)?;
        (self.faults.open_doors || caller == ANYBODY || chat.members.contains(caller)).then_some(index)
    }
}

impl Data {
    fn chat(&self, index: usize, created: Option<bool>) -> Value {
        let Chat { members, context, key, .. } = &self.chats[index];
        let id = format!("c{index}");
        json!({
            "id": id, "_id": id, "participants": members, "participantsKey": key, "context": context,
            "created": created,
        })
    }
}

fn caller(headers: &HeaderMap) -> String {
    let token = headers[header::AUTHORIZATION]
        .to_str()
        .expect("the toy is asked properly")
        .strip_prefix("Bearer ")
        .expect("the toy is asked properly");
    let byte = |at: usize| u8::from_str_radix(&token[at..at + 2], 16).expect("the toy is asked properly");
    String::from_utf8((0..token.len()).step_by(2).map(byte).collect()).expect("the toy is asked properly")
}

fn page(items: &[Value], query: Option<&str>, cursor: &str) -> Response {
    let number = |name| values(query, name).first().and_then(|value| value.parse::<usize>().ok());
    let from = number(cursor).unwrap_or(0);
    let to = items.len().min(from + number("limit").unwrap_or(50));
    let next = (to < items.len()).then(|| to.to_string());
    Json(json!({ "items": items[from..to], "nextCursor": next })).into_response()
}

fn values(query: Option<&str>, wanted: &str) -> Vec<String> {
    let url = reqwest::Url::parse(&format!("http://x/?{}", query.unwrap_or_default()))
        .expect("the toy is asked properly");
    let values = url.query_pairs().filter(|(name, _)| name == wanted);
    values.map(|(_, value)| value.into_owned()).collect()
}

fn absent() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found")
}

fn problem(status: StatusCode, code: &str) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let request_id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    (status, Json(json!({ "code": code, "status": status.as_u16(), "requestId": request_id })))
        .into_response()
}
