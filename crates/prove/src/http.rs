//! One request, repeated within bounds until it is answered. What has no answer is counted, never forgotten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use onechat_core::Participant;
use reqwest::{Client, Method, Response, StatusCode, Url, header::RETRY_AFTER};
use serde_json::Value;

use crate::{Control, ProveError, Target, TokenMint, history::SignIn};

const MAX_TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const MAX_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(15);

pub(crate) struct Http {
    client: Client,
    bases: Vec<Url>,
    tokens: TokenMint,
    service_token: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    control: Control,
    turn: AtomicUsize,
    /// After this many unanswered requests in a row the server is taken to be gone.
    patience: u64,
    unanswered_in_a_row: AtomicU64,
    requests: AtomicU64,
    retried: AtomicU64,
    unknown: AtomicU64,
}

/// What to ask, and as whom.
pub(crate) struct Call<'a> {
    pub(crate) caller: &'a Participant,
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Vec<(&'a str, &'a str)>,
    pub(crate) body: Option<Value>,
    pub(crate) signed_in_by: SignIn,
}

pub(crate) enum Reply {
    Answered {
        status: u16,
        body: String,
        latency: Duration,
        /// Whether a try before this one had an unknown outcome.
        unsure: bool,
    },
    /// No try had an answer.
    Unknown,
    /// The request cannot be written down, so it was never sent.
    Unsendable(String),
}

enum Try {
    Answered { status: u16, body: String, latency: Duration },
    Again { after: Option<Duration> },
    Unsendable(String),
}

impl Http {
    /// Makes sure that every server can be reached before anything is asked of it.
    pub(crate) async fn connect(
        target: &Target,
        clients: usize,
        control: Control,
    ) -> Result<Self, ProveError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(clients)
            .timeout(DEADLINE)
            .build()
            .map_err(|error| ProveError::Client(chain(&error)))?;
        let http = Self {
            client,
            bases: target.urls()?,
            tokens: target.tokens.clone(),
            service_token: target.service_token.clone(),
            control,
            turn: AtomicUsize::new(0),
            patience: clients as u64 + 8,
            unanswered_in_a_row: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        };
        for base in &http.bases {
            http.greet(base).await?;
        }
        Ok(http)
    }

    async fn greet(&self, base: &Url) -> Result<(), ProveError> {
        let unreachable = |error| ProveError::Unreachable { url: base.to_string(), reason: chain(&error) };
        let response = self.client.get(url(base, &["healthz"])).send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => Ok(()),
            status => Err(ProveError::NotTheService { url: base.to_string(), status: status.as_u16() }),
        }
    }

    /// Whether the server has not answered anybody for a while.
    pub(crate) fn gone(&self) -> bool {
        self.unanswered_in_a_row.load(Ordering::Relaxed) >= self.patience
    }

    /// Whether nothing more should be asked.
    pub(crate) fn halted(&self) -> bool {
        self.control.stopped() || self.gone()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    pub(crate) async fn call(&self, call: Call<'_>) -> Reply {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut wait = FIRST_WAIT;
        for attempt in 0..MAX_TRIES {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let base = &self.bases[(turn + attempt as usize) % self.bases.len()];
            match self.attempt(base, &call).await {
                Try::Answered { status, body, latency } => {
                    self.unanswered_in_a_row.store(0, Ordering::Relaxed);
                    return Reply::Answered { status, body, latency, unsure: attempt > 0 };
                }
                Try::Unsendable(reason) => return Reply::Unsendable(reason),
                Try::Again { .. } if attempt + 1 == MAX_TRIES || self.halted() => break,
                Try::Again { after } => tokio::time::sleep(after.unwrap_or(wait)).await,
            }
            self.retried.fetch_add(1, Ordering::Relaxed);
            wait = MAX_WAIT.min(wait * 2);
        }
        self.unknown.fetch_add(1, Ordering::Relaxed);
        self.unanswered_in_a_row.fetch_add(1, Ordering::Relaxed);
        Reply::Unknown
    }

    async fn attempt(&self, base: &Url, call: &Call<'_>) -> Try {
        let mut request = self.client.request(call.method.clone(), url(base, call.path)).query(&call.query);
        request = match (call.signed_in_by, &self.service_token) {
            (SignIn::ByService, Some(token)) => {
                request.query(&[("as", call.caller.as_str())]).bearer_auth(token())
            }
            _ => request.bearer_auth((self.tokens)(call.caller)),
        };
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let began = Instant::now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Try::Unsendable(chain(&error)),
            Err(_) => return Try::Again { after: None },
        };
        let status = response.status();
        // 502 and 504 are what a proxy makes of a lost connection.
        if matches!(status.as_u16(), 502..=504) {
            return Try::Again { after: retry_after(&response) };
        }
        match response.text().await {
            Ok(body) => Try::Answered { status: status.as_u16(), body, latency: began.elapsed() },
            Err(_) => Try::Again { after: None },
        }
    }
}

fn url(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(MAX_RETRY_AFTER.min(Duration::from_secs(seconds)))
}

/// reqwest's own text stops short of the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
