//! The table of problem codes: the only place where a code, its status and its meaning meet.

use axum::http::StatusCode;

/// One row of the table of problem codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemCode {
    /// The stable name that answers carry as `code`.
    pub code: &'static str,
    /// The HTTP status that it comes with.
    pub status: u16,
    /// What it means, for a reader of the documentation.
    pub meaning: &'static str,
    /// After how many seconds a client may try again, sent as `Retry-After`.
    pub retry_after_seconds: Option<u8>,
}

/// Every code that an answer can carry, in the order of their statuses.
pub fn problem_codes() -> &'static [ProblemCode] {
    TABLE
}

macro_rules! codes {
    ($($variant:ident = $code:literal, $status:literal $(retry $retry:literal)?, $meaning:literal;)+) => {
        /// Why a request was not answered as it wished.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($variant,)+
        }

        const TABLE: &[ProblemCode] = &[$(ProblemCode {
            code: $code,
            status: $status,
            meaning: $meaning,
            retry_after_seconds: codes!(@retry $($retry)?),
        },)+];
    };
    (@retry) => { None };
    (@retry $seconds:literal) => { Some($seconds) };
}

codes! {
    InvalidRequest = "invalid_request", 400,
        "The request cannot be understood: its JSON, a field or a query parameter is not as documented.";
    InvalidParticipants = "invalid_participants", 400,
        "The participants do not form a set: one is empty, too long or has control characters, or they are too many.";
    InvalidContext = "invalid_context", 400,
        "The context is empty, too long or has control characters.";
    NoteToSelfDisabled = "note_to_self_disabled", 400,
        "The set has one member, and this service is configured without notes to self.";
    InvalidMessage = "invalid_message", 400,
        "The text or the clientMessageId of the message breaks a rule.";
    Unauthorized = "unauthorized", 401,
        "The bearer token is missing, malformed, expired, not yet valid, or not signed by a trusted key.";
    NotAParticipant = "not_a_participant", 403,
        "The caller is not one of the participants, and has to be.";
    ScopeRequired = "scope_required", 403,
        "To act for others (`as`), a token needs the scope chats:any.";
    ChatNotFound = "chat_not_found", 404,
        "There is no such chat, or it is not the caller's: the two cannot be told apart.";
    NotFound = "not_found", 404,
        "The path is not one of this service.";
    MethodNotAllowed = "method_not_allowed", 405,
        "The path exists, but not with this method.";
    BodyTimeout = "body_timeout", 408,
        "The body did not arrive in time, or took longer than others when too many were on their way. Nothing was done.";
    KeyCollision = "key_collision", 409,
        "A chat of other participants, or of another context, has the same key. Possible in the joined key format, with participants or contexts that contain `_` or begin with `%in:`, and while keys are exchanged for others (`[mongodb.previous]`).";
    MessageMismatch = "message_mismatch", 409,
        "The sender has sent another text with this clientMessageId. The message that is stored is in the field `message`; nothing was changed.";
    BodyTooLarge = "body_too_large", 413,
        "The body is larger than this service takes.";
    UnsupportedMediaType = "unsupported_media_type", 415,
        "The body is not declared as application/json, or has a Content-Encoding.";
    StoreRefused = "store_refused", 422,
        "A rule of the database that is not this service's, such as another unique index, refuses what should be written. The detail names it; repeating does not help.";
    OutsideFilter = "outside_filter", 422,
        "The new chat would not be among those that this service guarantees: it is configured for some of a collection (`only`), and makes new chats of another kind. The detail names the field; whoever runs the service can put it right.";
    ContextNotEnabled = "context_not_enabled", 422,
        "The request has a context, and this service is configured without contexts.";
    ContextRequired = "context_required", 422,
        "The request has no context, and this service is configured so that each chat has one.";
    RolesRequired = "roles_required", 422,
        "There is no chat of these participants yet, and a new one has a place for each of them: the request has to say in `roles` who is what. The detail names the roles.";
    RolesUnknown = "roles_unknown", 422,
        "The `roles` of the request are not those of chats here, or do not name each participant. The detail says what they are.";
    HeadTooLarge = "head_too_large", 431,
        "The first line and the headers of the request are larger than this service takes.";
    Internal = "internal", 500,
        "The service has failed. Its log says why, under the same request id.";
    Overloaded = "overloaded", 503 retry 1,
        "Too many requests are being worked on. Nothing was done.";
    StoreUnavailable = "store_unavailable", 503 retry 1,
        "The store cannot be reached or cannot write. Whether the request took effect is unknown; repeating it is safe.";
    StoreUnprotected = "store_unprotected", 503 retry 1,
        "The unique index that keeps duplicates out is missing, so nothing that needs it is done until an operator makes it: the detail says how. Chats can still be read by id and listed.";
    NotMigrated = "not_migrated", 503 retry 1,
        "The collection of chats has a history that was never brought to the guarantee, so no chat is created until an operator runs `onechat migrate`: the detail says why. Chats that exist are found, read, listed and written to.";
    Timeout = "timeout", 503 retry 1,
        "The answer took too long. Whether the request took effect is unknown; repeating it is safe.";
    NotReady = "not_ready", 503 retry 1,
        "The service cannot serve chats now. Answered by /readyz only.";
}

impl Code {
    pub(crate) const fn row(self) -> &'static ProblemCode {
        &TABLE[self as usize]
    }

    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).expect("the table has valid statuses")
    }
}
