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
use onechat_core::{Page, PageSize, StoreError};
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

    /// Answers with what `read` gives for `size`, or for as many items as fit, but for one at least.
    ///
    /// A page that is too large is read again, smaller: only the store knows the position after an item in its
    /// middle.
    pub(crate) async fn answer<T, C, R>(
        &self,
        mut size: PageSize,
        read: impl Fn(PageSize) -> R,
        write_item: impl Fn(&T, &mut Vec<u8>) -> serde_json::Result<()>,
    ) -> Result<Response, StoreError>
    where
        C: ToString,
        R: Future<Output = Result<Page<T, C>, StoreError>>,
    {
        loop {
            match self.write(&read(size).await?, &write_item) {
                Ok(response) => return Ok(response),
                Err(fitting) => size = fitting,
            }
        }
    }

    /// The page as an answer, or how many of its items fit.
    fn write<T, C: ToString>(
        &self,
        page: &Page<T, C>,
        write_item: impl Fn(&T, &mut Vec<u8>) -> serde_json::Result<()>,
    ) -> Result<Response, PageSize> {
        let mut share = self.take_share();
        let mut json = Vec::with_capacity(512);
        json.extend_from_slice(br#"{"items":["#);
        for (shown, item) in (0_u16..).zip(&page.items) {
            if shown > 0 {
                json.push(b',');
            }
            write_item(item, &mut json).expect("views are made of texts and lists only");
            if json.len() > share.num_permits()
                && let Ok(fitting) = PageSize::new(shown)
            {
                return Err(fitting);
            }
        }
        json.extend_from_slice(br#"],"nextCursor":"#);
        serde_json::to_writer(&mut json, &page.next.as_ref().map(C::to_string))
            .expect("a text can be written");
        json.push(b'}');
        // What is held is what was counted.
        json.shrink_to_fit();
        drop(share.split(share.num_permits().saturating_sub(json.len())));

        let mut response = Response::new(Body::from(bytes_holding(json, share)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
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
