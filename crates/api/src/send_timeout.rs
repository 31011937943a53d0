//! Ends connections whose clients do not read: an answer that nobody takes would keep its memory for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A connection on which a write fails once the system has taken no byte for `timeout`.
pub(crate) struct SendTimeout {
    io: TokioIo<TcpStream>,
    timeout: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl SendTimeout {
    pub(crate) fn new(stream: TcpStream, timeout: Duration) -> Self {
        Self { io: TokioIo::new(stream), timeout, stalled: None }
    }

    fn bound<T>(&mut self, write: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let timeout = self.timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        std::task::ready!(stalled.as_mut().poll(cx));
        // Closes by a reset: what the system has buffered for this client would otherwise outlive the connection.
        if let Err(error) = self.io.inner().set_zero_linger() {
            tracing::debug!(%error, "SO_LINGER could not be set");
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for SendTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for SendTimeout {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.bound(write, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    // Vectored, or hyper would copy every body into a buffer of its own, and drop the original before it is sent.
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.bound(write, cx)
    }
}
