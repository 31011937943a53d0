//! A running service, all of whose surroundings the test controls.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use onechat_api::{Api, ApiMetrics, Authenticator, Drained, Limits, Policy, serve};
use onechat_core::{KeyFormat, ObjectIdSource, Timestamp, ports::Clock};
use prometheus_client::registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{Answer, Call, StagedStore, tokens};

/// What a service is started with.
pub(crate) struct Setup {
    pub(crate) authenticator: Authenticator,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) key_format: KeyFormat,
    pub(crate) drain_timeout: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            authenticator: Authenticator::hs256(tokens::SECRET).unwrap(),
            policy: Policy::default(),
            limits: Limits::default(),
            key_format: KeyFormat::Escaped,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// A service on a socket of its own.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Arc<StagedStore>,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Drained>,
}

impl Setup {
    pub(crate) async fn start(self) -> Service {
        let clock = Arc::new(TestClock(AtomicI64::new(tokens::NOW_MS)));
        let store = Arc::new(StagedStore::new(self.key_format));
        let mut registry = Registry::default();
        let api = Api {
            store: store.clone(),
            clock: clock.clone(),
            ids: Arc::new(ObjectIdSource::new(clock.clone(), [1, 2, 3, 4, 5], 0)),
            authenticator: self.authenticator.into(),
            policy: self.policy,
            limits: self.limits,
            metrics: ApiMetrics::register(&mut registry),
            registry: Arc::new(registry),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let router = api.router();
        let server = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            serve(listener, router, &self.limits, shutdown, self.drain_timeout).await
        });
        Service { address, clock, store, client: reqwest::Client::new(), stop: Some(stop), server }
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.client.request(method.clone(), format!("http://{}{path}", self.address)), method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// The chat of the caller and others, created if need be.
    pub(crate) async fn chat(&self, caller: &str, others: &[&str]) -> Value {
        let answer =
            self.post("/api/chats/create-or-get", &json!({ "with": others })).by(caller).send().await;
        assert!(answer.status == 200 || answer.status == 201, "{answer:?}");
        answer.json()
    }

    /// The id of that chat.
    pub(crate) async fn chat_id(&self, caller: &str, others: &[&str]) -> String {
        self.chat(caller, others).await["id"].as_str().unwrap().to_owned()
    }

    /// Sends a text under its own words as `clientMessageId`.
    pub(crate) async fn say(&self, caller: &str, chat: &str, text: &str) -> Answer {
        let body = json!({ "text": text, "clientMessageId": text });
        self.post(&format!("/api/chats/{chat}/messages"), &body).by(caller).send().await
    }

    /// The page of metrics.
    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").send().await.text()
    }

    /// Tells the server to stop, and does not wait.
    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) -> Drained {
        self.server.await.unwrap()
    }
}

/// A clock that the test sets.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed)).unwrap()
    }
}
