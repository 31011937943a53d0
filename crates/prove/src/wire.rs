//! The part of the HTTP contract that the prover reads. Written down a second time on purpose: the service's own
//! types would change along with the service.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chat {
    pub(crate) id: String,
    #[serde(rename = "_id")]
    pub(crate) mongoose_id: String,
    pub(crate) participants: Vec<String>,
    /// Absent where the service has no contexts, or knows of none.
    pub(crate) context: Option<String>,
    pub(crate) participants_key: String,
    pub(crate) created: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) chat_id: String,
    pub(crate) sender: String,
    pub(crate) text: String,
    pub(crate) client_message_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Problem {
    pub(crate) code: String,
}
