//! The prover against two small services over HTTP, one that keeps the promise and one that looks before it
//! leaps: the first is cleared, the second is found out.

mod toy;

use std::{fmt::Write, sync::Arc, time::Duration};

use onechat_core::ports::Progress;
use onechat_prove::{
    Contexts, Control, Ended, InvariantState, Namespace, ProveError, Replay, Report, Stress, Target, Trace,
    Verdict, ViolationKind, Workload, mix, replay, stress,
};
use tokio::{net::TcpListener, sync::watch};
use toy::{Faults, Toy};

async fn serve(faults: Faults) -> Target {
    serve_with(faults, Contexts::Off).await
}

async fn serve_with(faults: Faults, contexts: Contexts) -> Target {
    let toy = Arc::new(Toy::new(faults));
    let mut base_urls = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        base_urls.push(format!("http://{}", listener.local_addr().expect("an address")));
        let router = toy::router(Arc::clone(&toy));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let tokens: onechat_prove::TokenMint = Arc::new(|participant| toy::token(participant.as_str()));
    Target { base_urls, tokens, service_token: Some(Arc::new(|| toy::token("a service"))), contexts }
}

fn workload() -> Workload {
    Workload { clients: 16, pairs: 50, ops: 3000, seed: 1, namespace: namespace() }
}

fn namespace() -> Namespace {
    Namespace::new("run1-").expect("a namespace")
}

fn violated(report: &Report, invariant: &str) -> bool {
    let summary =
        report.invariants.iter().find(|summary| summary.invariant == invariant).expect("all are listed");
    summary.state == InvariantState::Violated
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correct_service_is_cleared_by_the_mixture() {
    let target = serve(Faults::default()).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert!(report.holds(), "{report}");
    assert!(report.invariants.iter().all(|summary| summary.state == InvariantState::Held), "{report}");
    assert_eq!((report.counts.unknown, report.counts.unread), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_racy_service_is_found_out_by_the_mixture() {
    let target = serve(Faults { racy: true, ..Faults::default() }).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Violated);
    for invariant in ["I1", "I2", "I3"] {
        assert!(violated(&report, invariant), "{invariant} should be violated\n{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_shows_chats_to_anybody_is_found_out() {
    let target = serve(Faults { open_doors: true, ..Faults::default() }).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert!(violated(&report, "I6") && !violated(&report, "I1"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_as_opens_every_chat_is_found_out() {
    let target = serve(Faults { as_widens: true, ..Faults::default() }).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert!(violated(&report, "I6") && !violated(&report, "I1"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_an_ambiguous_key_is_found_out() {
    let target = serve(Faults { joined: true, ..Faults::default() }).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert!(violated(&report, "I5"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correct_service_with_contexts_is_cleared() {
    for contexts in [Contexts::Optional, Contexts::Required] {
        let requires_context = contexts == Contexts::Required;
        let target = serve_with(Faults { requires_context, ..Faults::default() }, contexts).await;
        let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
        assert!(report.holds(), "{report}");
        let race = Stress { callers: 10, namespace: Namespace::new("run2-").expect("a namespace") };
        let report = stress(&target, &race, Control::unattended()).await.unwrap();
        assert!(report.holds(), "{report}");
        let parameters =
            Replay { trace: trace(), clients: 8, namespace: Namespace::new("run3-").expect("a namespace") };
        let report = replay(&target, &parameters, Control::unattended()).await.unwrap();
        assert!(report.holds(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ignores_contexts_is_found_out_if_it_is_asked_for_them() {
    for silent in [false, true] {
        let faults = || Faults { ignores_context: true, echoes_context: !silent, ..Faults::default() };
        let target = serve(faults()).await;
        let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
        assert!(report.holds(), "without contexts there is nothing to ignore\n{report}");
        let target = serve_with(faults(), Contexts::Optional).await;
        let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
        if silent {
            assert!(violated(&report, "I5"), "{report}");
        } else {
            // It says what it was asked for, so that only the ids give it away.
            assert!(violated(&report, "I3"), "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_contexts_and_sets_imitate_each_other_is_found_out() {
    let target = serve_with(Faults { joined: true, ..Faults::default() }, Contexts::Optional).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    let evidence = format!("{report}");
    assert!(violated(&report, "I5") && evidence.contains("about"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_lists_every_context_is_found_out() {
    let target =
        serve_with(Faults { lists_every_context: true, ..Faults::default() }, Contexts::Optional).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    let kinds: Vec<_> = report.violations.iter().map(|summary| summary.kind).collect();
    assert_eq!(kinds, [ViolationKind::OtherContext], "{report}");
}

/// Nobody asks for a chat by its id while this workload runs: only the reading at rest can notice.
#[tokio::test(flavor = "multi_thread")]
async fn every_id_that_was_handed_out_is_asked_for_at_the_end() {
    let race = Stress { callers: 10, namespace: namespace() };
    let target = serve(Faults { ghostly: true, ..Faults::default() }).await;
    let report = stress(&target, &race, Control::unattended()).await.unwrap();
    assert!(violated(&report, "I7"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_forgets_what_it_acknowledged_is_found_out() {
    let target = serve(Faults { forgetful: true, ..Faults::default() }).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert!(violated(&report, "I4"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_retried_and_is_no_violation() {
    let target = serve(Faults { overloaded_every: 7, ..Faults::default() }).await;
    let report = mix(&target, &workload(), Control::unattended()).await.unwrap();
    assert!(report.holds() && report.counts.retried > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stress_clears_the_correct_and_finds_out_the_racy() {
    let parameters = Stress { callers: 150, namespace: namespace() };
    let report = stress(&serve(Faults::default()).await, &parameters, Control::unattended()).await.unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!(report.counts.chats, 11);
    let racy = serve(Faults { racy: true, ..Faults::default() }).await;
    let report = stress(&racy, &parameters, Control::unattended()).await.unwrap();
    assert!(violated(&report, "I1") && violated(&report, "I2"), "{report}");
}

fn trace() -> Trace {
    let mut text = String::from("7 7 1\n");
    for n in 0..400 {
        writeln!(text, "{} {} {}", n % 7, 7 + n % 5, 1000 - n).expect("a string takes all");
    }
    Trace::read(text.as_bytes()).expect("a trace")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_replayed() {
    let parameters = Replay { trace: trace(), clients: 8, namespace: namespace() };
    let report = replay(&serve(Faults::default()).await, &parameters, Control::unattended()).await.unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!((report.counts.chats, report.counts.messages), (35, 400));
    assert_eq!(report.notes.len(), 1);
}

/// Tells the run to stop after so many operations.
struct StopAfter(u64, watch::Sender<bool>);

impl Progress for StopAfter {
    fn advance(&self, done: u64, _total: u64) {
        if done == self.0 {
            self.1.send_replace(true);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_says_so() {
    let (sender, stop) = watch::channel(false);
    let control = Control { progress: Arc::new(StopAfter(100, sender)), stop };
    let report = mix(&serve(Faults::default()).await, &workload(), control).await.unwrap();
    assert_eq!((report.ended, report.verdict), (Ended::Interrupted, Verdict::Incomplete));
    assert!(report.counts.requests > 0 && report.counts.requests < 1000, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_ends_the_run() {
    let target = serve(Faults { dies_after: 200, ..Faults::default() }).await;
    let workload = workload();
    let run = mix(&target, &workload, Control::unattended());
    let report = tokio::time::timeout(Duration::from_mins(1), run).await.unwrap().unwrap();
    assert_eq!((report.ended, report.verdict), (Ended::ServerGone, Verdict::Incomplete), "{report}");
    assert!(report.counts.unknown > 0);
}

#[tokio::test]
async fn no_server_is_an_error_and_not_a_violation() {
    let tokens: onechat_prove::TokenMint = Arc::new(|_| String::new());
    let target = Target {
        base_urls: vec!["http://127.0.0.1:1".to_owned()],
        tokens,
        service_token: None,
        contexts: Contexts::Off,
    };
    let error = mix(&target, &workload(), Control::unattended()).await.unwrap_err();
    assert!(matches!(error, ProveError::Unreachable { .. }), "{error}");
}
