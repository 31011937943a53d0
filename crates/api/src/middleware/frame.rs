//! One layer around each route: the request's id, admission, the timeout, panics, problems, metrics.
//!
//! One and not six, since each layer of a router costs every request an allocation. It knows its route's template
//! from the start, so that metrics need not look it up, and cannot be flooded by paths that clients make up.

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{Method, Version, header},
    response::Response,
};
use futures_util::FutureExt;
use onechat_core::ports::IdSource;
use prometheus_client::metrics::gauge::Gauge;
use tower::{Layer, Service};
use tracing::Instrument;

use super::{
    place::{Admission, PLACE, Place, Places},
    request_id::{self, RequestId, RequestIds},
};
use crate::{
    api::Limits,
    held::body_holding,
    metrics::ApiMetrics,
    problem::{Cause, Code, Problem, ProblemLog},
};

/// How many files of the page with the documentation may be unsent at once. The largest has 1.5 MB.
const MAX_CONCURRENT_PAGES: usize = 16;

/// What all frames of a router share.
pub(crate) struct FrameContext {
    request_ids: RequestIds,
    timeout: Duration,
    max_head_bytes: usize,
    /// For calls of the chat API.
    call_places: Arc<Places>,
    /// For files of the page, which are large, and which anybody may ask for.
    page_places: Arc<Places>,
    metrics: ApiMetrics,
    log: ProblemLog,
}

impl FrameContext {
    pub(crate) fn new(ids: &dyn IdSource, limits: &Limits, metrics: ApiMetrics) -> Self {
        Self {
            request_ids: RequestIds::new(ids),
            timeout: limits.request_timeout,
            max_head_bytes: limits.max_header_bytes,
            call_places: Places::new(limits.max_concurrent_requests, metrics.in_flight.clone()),
            page_places: Places::new(MAX_CONCURRENT_PAGES, Gauge::default()),
            metrics,
            log: ProblemLog::new(),
        }
    }

    /// The answer as it leaves: problems in words, the request's id on it.
    fn finish(&self, mut response: Response, request_id: &RequestId) -> Response {
        let problem = response
            .extensions_mut()
            .remove::<Problem>()
            .or_else(|| Problem::of_bare_status(response.status()));
        if let Some(problem) = problem {
            self.log.write(&problem, request_id.as_str());
            self.metrics.count_problem(problem.code);
            response = problem.write(request_id.as_str());
        }
        response.headers_mut().insert(request_id::HEADER, request_id.0.clone());
        response
    }
}

/// Puts a frame around the service of one route.
#[derive(Clone)]
pub(crate) struct Frame {
    context: Arc<FrameContext>,
    route: Arc<str>,
    /// Among which requests those to this route count; among none if they are always answered.
    places: Option<Arc<Places>>,
}

impl Frame {
    /// `route` is what metrics call it.
    pub(crate) fn new(context: Arc<FrameContext>, route: &str) -> Self {
        Self { context, route: route.into(), places: None }
    }

    /// Counts requests to this route as calls of the chat API, of which there may only be so many at once.
    pub(crate) fn for_calls(self) -> Self {
        Self { places: Some(Arc::clone(&self.context.call_places)), ..self }
    }

    /// Counts requests to this route among those for the page with the documentation.
    pub(crate) fn for_pages(self) -> Self {
        Self { places: Some(Arc::clone(&self.context.page_places)), ..self }
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
        let Frame { context, route, places } = self.frame.clone();
        let method = method_name(request.method());
        let request_id = context.request_ids.of(request.headers());
        let span = tracing::debug_span!("request", request_id = request_id.as_str(), method, route = &*route);
        // What is posted takes its place once its body is there: who only sends heads must not take all of them.
        let has_body = request.method() == Method::POST;
        let place = check_head_size(&request, context.max_head_bytes)
            .and_then(|()| check_host(&request))
            .and_then(|()| Place::new(places, has_body));
        let work = place.map(|place| (place, self.inner.call(request)));

        let answer = async move {
            let (result, admission) = match work {
                Ok((place, handler)) => run(handler, place, context.timeout).await,
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

/// The handler's answer, unless it takes too long or panics, and the place that it has taken.
async fn run<F>(handler: F, place: Place, timeout: Duration) -> (Result<Response, Problem>, Option<Admission>)
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let awaits_body = place.awaits_body();
    let mut work = pin!(PLACE.scope(place, AssertUnwindSafe(handler).catch_unwind()));
    let result = tokio::time::timeout(timeout, work.as_mut()).await;
    let admission = work.take_value().and_then(Place::into_admission);
    let result = match result {
        Ok(Ok(Ok(response))) => Ok(response),
        Ok(Err(panic)) => Err(Problem {
            cause: Some(Cause::Panic(panic_text(&*panic))),
            ..Problem::new(Code::Internal, "The service has failed; its log says why.")
        }),
        Err(_elapsed) if awaits_body && admission.is_none() => {
            Err(Problem::new(Code::BodyTimeout, "The body did not arrive in time. Nothing was done."))
        }
        Err(_elapsed) => Err(Problem::new(
            Code::Timeout,
            "The answer took too long. Whether the request took effect is unknown; repeating it is safe.",
        )),
    };
    (result, admission)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("(no message)"))
}

/// Counts what the client has sent, give or take spaces: the head is no longer there as it came.
fn check_head_size(request: &Request, max_bytes: usize) -> Result<(), Problem> {
    const LINE_BYTES: usize = "GET  HTTP/1.1\r\n\r\n".len();
    const HEADER_BYTES: usize = ": \r\n".len();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES).sum();
    let bytes = LINE_BYTES + target + headers;
    if bytes <= max_bytes {
        return Ok(());
    }
    Err(Problem::new(
        Code::HeadTooLarge,
        format!(
            "The first line and the headers have {bytes} bytes, and may have {max_bytes}. \
             Send fewer or shorter cookies; a large set of participants goes to create-or-get, in the body."
        ),
    ))
}

/// RFC 9112, section 3.2: proxies that take another of two hosts, or another one than we, can be played off against us.
fn check_host(request: &Request) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let may_lack_host = request.version() < Version::HTTP_11;
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => Ok(()),
        (None, _) if may_lack_host => Ok(()),
        (None, _) => Err(Problem::new(Code::InvalidRequest, "The header Host is missing.")),
        (Some(_), Some(_)) => {
            Err(Problem::new(Code::InvalidRequest, "The header Host is given more than once."))
        }
    }
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
