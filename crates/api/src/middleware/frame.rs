//! One layer around each route: the request's id, admission, the timeout, panics, problems, metrics.
//!
//! One and not six, since each layer of a router costs every request an allocation. It knows its route's template
//! from the start, so that metrics need not look it up, and cannot be flooded by paths that clients make up.

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{extract::Request, http::Method, response::Response};
use futures_util::FutureExt;
use onechat_core::ports::IdSource;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};
use tracing::Instrument;

use super::request_id::{self, RequestId, RequestIds};
use crate::{
    api::Limits,
    held::body_holding,
    metrics::ApiMetrics,
    problem::{Cause, Code, OverloadLog, Problem},
};

/// What all frames of a router share.
pub(crate) struct FrameContext {
    request_ids: RequestIds,
    timeout: Duration,
    free: Arc<Semaphore>,
    metrics: ApiMetrics,
    overload_log: OverloadLog,
}

impl FrameContext {
    pub(crate) fn new(ids: &dyn IdSource, limits: &Limits, metrics: ApiMetrics) -> Self {
        let permits = limits.max_concurrent_requests.min(Semaphore::MAX_PERMITS);
        Self {
            request_ids: RequestIds::new(ids),
            timeout: limits.request_timeout,
            free: Arc::new(Semaphore::new(permits)),
            metrics,
            overload_log: OverloadLog::new(),
        }
    }

    fn admit(&self) -> Result<Admission, Problem> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            Problem::new(Code::Overloaded, "Too many requests are being worked on. Nothing was done.")
        })?;
        self.metrics.in_flight.inc();
        Ok(Admission { in_flight: self.metrics.in_flight.clone(), _permit: permit })
    }

    /// The answer as it leaves: problems in words, the request's id on it.
    fn finish(&self, mut response: Response, request_id: &RequestId) -> Response {
        let problem = response
            .extensions_mut()
            .remove::<Problem>()
            .or_else(|| Problem::of_bare_status(response.status()));
        if let Some(problem) = problem {
            problem.log(request_id.as_str(), &self.overload_log);
            self.metrics.count_problem(problem.code);
            response = problem.write(request_id.as_str());
        }
        response.headers_mut().insert(request_id::HEADER, request_id.0.clone());
        response
    }
}

/// A place among the requests that are worked on; given back when dropped: when the answer has been sent, or when
/// the client has gone away.
struct Admission {
    in_flight: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

/// Puts a frame around the service of one route.
#[derive(Clone)]
pub(crate) struct Frame {
    context: Arc<FrameContext>,
    route: Arc<str>,
    is_bounded: bool,
}

impl Frame {
    /// `route` is what metrics call it.
    pub(crate) fn new(context: Arc<FrameContext>, route: &str) -> Self {
        Self { context, route: route.into(), is_bounded: false }
    }

    /// Whether requests to this route count as work, of which there may only be so much at once.
    pub(crate) fn with_bounded_concurrency(self, is_bounded: bool) -> Self {
        Self { is_bounded, ..self }
    }
}

impl<S> Layer<S> for Frame {
    type Service = Framed<S>;

    fn layer(&self, inner: S) -> Framed<S> {
        Framed { inner, frame: self.clone() }
    }
}

/// A service with its [`Frame`].
#[derive(Clone)]
pub(crate) struct Framed<S> {
    inner: S,
    frame: Frame,
}

impl<S> Service<Request> for Framed<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let started = Instant::now();
        let Frame { context, route, is_bounded } = self.frame.clone();
        let method = method_name(request.method());
        let request_id = context.request_ids.of(request.headers());
        let span = tracing::debug_span!("request", request_id = request_id.as_str(), method, route = &*route);
        let admission = is_bounded.then(|| context.admit()).transpose();
        let work = admission.map(|admission| (admission, self.inner.call(request)));

        let answer = async move {
            let (result, admission) = match work {
                Ok((admission, handler)) => (run(handler, context.timeout).await, admission),
                Err(problem) => (Err(problem), None),
            };
            let response = result.unwrap_or_else(axum::response::IntoResponse::into_response);
            let response = context.finish(response, &request_id);
            let response = match admission {
                Some(admission) => response.map(|body| body_holding(body, admission)),
                None => response,
            };
            let (status, seconds) = (response.status().as_u16(), started.elapsed().as_secs_f64());
            context.metrics.count_request(method, &route, status, seconds);
            tracing::debug!(event = "request", status, seconds);
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }
}

/// The handler's answer, unless it takes too long or panics.
async fn run<F>(handler: F, timeout: Duration) -> Result<Response, Problem>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    match tokio::time::timeout(timeout, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(Ok(response))) => Ok(response),
        Ok(Err(panic)) => Err(Problem {
            cause: Some(Cause::Panic(panic_text(&*panic))),
            ..Problem::new(Code::Internal, "The service has failed; its log says why.")
        }),
        Err(_elapsed) => Err(Problem::new(
            Code::Timeout,
            "The answer took too long. Whether the request took effect is unknown; repeating it is safe.",
        )),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("(no message)"))
}

/// Methods as metrics name them: a client cannot make up new ones.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        _ => "OTHER",
    }
}
