//! Holds something until the bytes of an answer have been written to their socket.
//!
//! hyper drops a body as soon as it has taken the body's last bytes, which may be long before it has written them.
//! So whatever must last until then travels with the bytes, and is dropped with them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// Bytes, and what is held for as long as they are.
struct Holding<B, T> {
    bytes: B,
    _held: T,
}

impl<B: AsRef<[u8]>, T> AsRef<[u8]> for Holding<B, T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// `bytes`, which hold `held` until the last copy of them is dropped.
pub(crate) fn bytes_holding<B, T>(bytes: B, held: T) -> Bytes
where
    B: AsRef<[u8]> + Send + 'static,
    T: Send + 'static,
{
    Bytes::from_owner(Holding { bytes, _held: held })
}

/// `body`, whose last bytes hold `held`.
pub(crate) fn body_holding<T: Send + Unpin + 'static>(body: Body, held: T) -> Body {
    Body::new(HoldingBody { body, held: Some(held) })
}

struct HoldingBody<T> {
    body: Body,
    held: Option<T>,
}

impl<T: Send + Unpin + 'static> HttpBody for HoldingBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !self.body.is_end_stream() {
            return Poll::Ready(frame);
        }
        let held = self.held.take();
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| bytes_holding(bytes, held)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
