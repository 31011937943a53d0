//! A name for every request, to find it again in logs: the client's own, or a new one.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use onechat_core::ports::IdSource;

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_BYTES: usize = 64;

/// New request ids: one id of this process, and a number.
pub(super) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(ids: &dyn IdSource) -> Self {
        Self { process: ids.message_id().to_string(), next: AtomicU64::new(1) }
    }

    /// The id that the client has chosen, if it is fit to be logged, or a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        match headers.get(HEADER) {
            Some(value) if is_fit(value.as_bytes()) => RequestId(value.clone()),
            _ => self.make(),
        }
    }

    fn make(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("{}-{number:x}", self.process);
        RequestId(HeaderValue::try_from(text).expect("ids have no control characters"))
    }
}

/// The id of one request, in the form in which it is sent back.
pub(super) struct RequestId(pub(super) HeaderValue);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn is_fit(bytes: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}
