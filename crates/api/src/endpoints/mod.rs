//! The endpoints, one file each.

mod create_or_get;
mod endpoint;
mod get_chat;
mod healthz;
mod list_chats;
mod list_messages;
mod lookup;
mod metrics;
mod openapi_json;
mod readyz;
mod send_message;

pub(crate) use endpoint::Endpoint;
pub(crate) use openapi_json::PATH as OPENAPI_PATH;
pub(crate) use readyz::Readiness;

/// Every endpoint, in the order of the documentation.
pub(crate) fn all() -> Vec<Endpoint> {
    vec![
        create_or_get::endpoint(),
        lookup::endpoint(),
        list_chats::endpoint(),
        get_chat::endpoint(),
        send_message::endpoint(),
        list_messages::endpoint(),
        healthz::endpoint(),
        readyz::endpoint(),
        metrics::endpoint(),
        openapi_json::endpoint(),
    ]
}
