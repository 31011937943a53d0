//! Sockets: takes connections in, speaks HTTP/1 on them, and stops without dropping what it has accepted.

use std::{io::ErrorKind, pin::pin, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioTimer, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::Service;

use crate::{api::Limits, send_timeout::SendTimeout, unread_body::RequestBody};

/// How long a connection may take to send a request's head, or stay idle between requests. Longer than the
/// 60 seconds after which load balancers commonly give a connection up: the side that sends should be the first
/// to close, or its next request gets lost.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How much one connection may have read that nobody has taken yet. A connection on which bodies arrive quickly
/// grows its buffer up to this, and keeps it.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// How large a head may be for the API to refuse it in its own words. A larger one is answered with a bare 431.
const MAX_READABLE_HEAD_BYTES: usize = READ_BUFFER_BYTES;

/// How long to wait when no connection can be accepted, which is when the process has run out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a server came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// How many connections were still busy when the time for draining was over, and were cut off.
    pub aborted_connections: usize,
}

/// Serves `router` on `listener` until `shutdown` completes. Then it accepts no more, finishes what it has
/// accepted, for `drain_timeout` at most, and returns.
///
/// Of `limits`, only `send_timeout` is applied here; [`Api::router`](crate::Api::router) applies the others.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
    drain_timeout: Duration,
) -> Drained {
    let mut http = http1::Builder::new();
    let max_head_bytes = MAX_READABLE_HEAD_BYTES.max(2 * limits.max_header_bytes);
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_header_size(max_head_bytes);
    http.max_buf_size(READ_BUFFER_BYTES.max(max_head_bytes));
    let mut connections = JoinSet::new();
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            stream = accept(&listener) => stream,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let io = SendTimeout::new(stream, limits.send_timeout);
        let router = router.clone();
        let service =
            service_fn(move |request: Request<Incoming>| router.clone().call(RequestBody::wrap(request)));
        connections.spawn(graceful.watch(http.serve_connection(io, service)));
    }
    // Closed before the wait, so that new connections are refused at once and go elsewhere.
    drop(listener);
    let drained = tokio::time::timeout(drain_timeout, graceful.shutdown()).await;
    // Those that have finished in the meantime have not failed to.
    while connections.try_join_next().is_some() {}
    let aborted_connections = if drained.is_ok() { 0 } else { connections.len() };
    connections.shutdown().await;
    Drained { aborted_connections }
}

/// The next connection. Nothing that goes wrong here may end the server.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client has given up while it was waiting: the next one has not.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(event = "accept_failed", %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
