//! Bodies of requests that are answered before they are read, as most refusals are.
//!
//! A server that closes while its client still sends makes the client's system throw the answer away. So what is left
//! of a body is read and dropped, within bounds, while the answer is on its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Frame, Incoming, SizeHint},
    header,
};
use tokio::{runtime::Handle, time::timeout};

/// How much is read and dropped.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How long that may take.
const MAX_TIME: Duration = Duration::from_secs(10);

/// How long nothing may come.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The body of a request; whatever is left when it is dropped is drained.
pub(crate) struct RequestBody {
    /// Absent once it has ended.
    incoming: Option<Incoming>,
    /// Whether the client sends it: who expects `100 Continue` waits until somebody reads.
    is_on_its_way: bool,
}

impl RequestBody {
    /// The same request, with its body in this form.
    pub(crate) fn wrap(request: Request<Incoming>) -> Request<Self> {
        let is_on_its_way = !request.headers().contains_key(header::EXPECT);
        request.map(|incoming| Self { incoming: Some(incoming), is_on_its_way })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_on_its_way = true;
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(incoming).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && self.is_on_its_way
            && !incoming.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(MAX_TIME, drain(incoming)));
        }
    }
}

async fn drain(mut incoming: Incoming) {
    let mut left = MAX_BYTES;
    while let Ok(Some(Ok(frame))) = timeout(MAX_PAUSE, incoming.frame()).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
