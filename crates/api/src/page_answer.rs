//! Answers with pages of lists: bounded in bytes as well as in items, each and in total.
//!
//! A page of the largest items has many megabytes, and lasts until its client has read it. When the total of unsent
//! pages approaches its bound, pages get smaller: a client only has to ask for more of them.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use onechat_core::Page;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::held::bytes_holding;

/// The largest page. Only a single item may be larger.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// How much all pages together may have that are not sent yet. Only single items may exceed it.
const MAX_UNSENT_BYTES: usize = 32 * 1024 * 1024;

/// Which part of the remaining bytes one page may take, so that something is left for the next.
const SHARE: usize = 8;

/// The bytes that pages may have in memory, shared by all of them.
pub(crate) struct PageBudget {
    /// One permit a byte.
    free: Arc<Semaphore>,
}

impl PageBudget {
    pub(crate) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(MAX_UNSENT_BYTES)) }
    }

    /// Answers with as many items of `page` as fit, but with one at least. `cursor` is the position after an item.
    pub(crate) fn answer<'a, T, C, V>(
        &self,
        page: &'a Page<T, C>,
        view: impl Fn(&'a T) -> V,
        cursor: impl Fn(&T) -> C,
    ) -> Response
    where
        C: Clone + ToString,
        V: Serialize,
    {
        let mut share = self.take_share();
        let mut json = Vec::with_capacity(512);
        json.extend_from_slice(br#"{"items":["#);
        let mut shown = 0;
        for item in &page.items {
            let length = json.len();
            if shown > 0 {
                json.push(b',');
            }
            serde_json::to_writer(&mut json, &view(item)).expect("views are made of texts and lists only");
            if json.len() > share.num_permits() && shown > 0 {
                json.truncate(length);
                break;
            }
            shown += 1;
        }
        let next = match page.items.get(..shown).and_then(<[T]>::last) {
            Some(last) if shown < page.items.len() => Some(cursor(last)),
            _ => page.next.clone(),
        };
        json.extend_from_slice(br#"],"nextCursor":"#);
        serde_json::to_writer(&mut json, &next.map(|next| next.to_string())).expect("a text can be written");
        json.push(b'}');
        drop(share.split(share.num_permits().saturating_sub(json.len())));

        let mut response = Response::new(Body::from(bytes_holding(json, share)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn take_share(&self) -> OwnedSemaphorePermit {
        let mut bytes = MAX_PAGE_BYTES.min(self.free.available_permits() / SHARE);
        loop {
            let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
            match Arc::clone(&self.free).try_acquire_many_owned(permits) {
                Ok(share) => return share,
                // Others took theirs in the meantime. None at all can always be had.
                Err(_) => bytes /= 2,
            }
        }
    }
}
