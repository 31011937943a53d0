//! The prover says what is true: a sound service holds, and one over a racy store is caught.

use std::{sync::Arc, time::Duration};

use onechat_api::{Api, ApiMetrics, Authenticator, ContextPolicy, Limits, Policy};
use onechat_contract::{Fault, MemoryStore};
use onechat_core::{KeyFormat, ObjectIdSource, Timestamp, ports::Clock};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot};

use crate::server::{SECRET, Server, onechat, run, text};

#[test]
fn without_options_it_starts_from_nothing_and_holds() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["prove"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in ["150 callers at once, on the store itself", "150 at once", "random mixture", ": clean"] {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
    for invariant in ["I1", "I2", "I3", "I4", "I5", "I6"] {
        let held =
            text.lines().filter(|line| line.starts_with(invariant)).any(|line| line.contains("held (in"));
        assert!(held, "{invariant} was not exercised:\n{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn a_running_server_is_proved_by_its_url() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let output =
        prove(&server.url, &["--clients", "16", "--pairs", "40", "--ops", "1500", "--seed", "7", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["reports"][0]["seed"]), (&Value::from("held"), &Value::from(7)));
}

#[test]
fn contexts_are_proved_where_they_are_enabled() {
    let folder = tempfile::tempdir().unwrap();
    for policy in ["optional", "required"] {
        let output = run(folder.path(), &["prove", "--chats-context", policy]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("with groups, contexts"), "{text}");
    }
    let server = Server::start(folder.path(), &["--chats-context", "required"]);
    let options = ["--chats-context", "required", "--ops", "1000"];
    let output = prove(&server.url, &options);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_ignores_contexts_is_caught() {
    let policy = Policy { context: ContextPolicy::Optional, ..Policy::default() };
    let url = serve_with(Fault::IgnoresContext, policy).await;
    let options = ["--chats-context", "optional", "--ops", "2000", "--json"];
    let output = tokio::task::spawn_blocking(move || prove(&url, &options)).await.unwrap();
    assert_caught(&output, &["I5"]);
}

#[test]
fn a_server_out_of_reach_is_no_verdict() {
    let output = prove("http://127.0.0.1:1", &[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("cannot be reached"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_racy_store_is_caught_by_every_workload() {
    let url = serve(Fault::Racy).await;
    let (races, mixture) = (url.clone(), url);
    let output = tokio::task::spawn_blocking(move || prove(&races, &["--json"])).await.unwrap();
    assert_caught(&output, &["I1", "I2", "I3"]);
    let options = ["--clients", "64", "--pairs", "50", "--ops", "4000", "--json"];
    let output = tokio::task::spawn_blocking(move || prove(&mixture, &options)).await.unwrap();
    assert_caught(&output, &["I1", "I2", "I3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_forgets_repeats_is_caught() {
    let url = serve(Fault::ForgetsRepeats).await;
    let output =
        tokio::task::spawn_blocking(move || prove(&url, &["--ops", "2000", "--json"])).await.unwrap();
    assert_caught(&output, &["I4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_service_over_a_sound_store_holds() {
    let url = serve(Fault::None).await;
    let output = tokio::task::spawn_blocking(move || prove(&url, &["--json"])).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

fn prove(url: &str, arguments: &[&str]) -> std::process::Output {
    onechat()
        .env("ONECHAT_JWT_SECRET", SECRET)
        .args(["prove", "--url", url])
        .args(arguments)
        .output()
        .unwrap()
}

fn assert_caught(output: &std::process::Output, invariants: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}", text(output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "violated");
    let reports = report["reports"].as_array().unwrap();
    let summaries: Vec<_> =
        reports.iter().flat_map(|report| report["invariants"].as_array().unwrap()).collect();
    for invariant in invariants {
        let violated = summaries.iter().any(|s| s["invariant"] == *invariant && s["state"] == "violated");
        assert!(violated, "{invariant} is not reported as violated: {summaries:?}");
    }
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000).unwrap()
    }
}

/// The service over a store with a fault, until the test ends; its URL.
async fn serve(fault: Fault) -> String {
    serve_with(fault, Policy::default()).await
}

async fn serve_with(fault: Fault, policy: Policy) -> String {
    let clock = Arc::new(FixedClock);
    let mut registry = Registry::default();
    let api = Api {
        store: Arc::new(MemoryStore::new(KeyFormat::Escaped, fault)),
        clock: clock.clone(),
        ids: Arc::new(ObjectIdSource::new(clock, [1, 2, 3, 4, 5], 0)),
        authenticator: Authenticator::hs256(SECRET.as_bytes()).unwrap().into(),
        policy,
        limits: Limits::default(),
        metrics: ApiMetrics::register(&mut registry),
        registry: Arc::new(registry),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (_never, end) = oneshot::channel::<()>();
        let ended = async {
            let _ = end.await;
        };
        onechat_api::serve(listener, api.router(), &Limits::default(), ended, Duration::ZERO).await
    });
    format!("http://{address}")
}
