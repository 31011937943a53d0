//! What the log says, by the stable field `event`.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use onechat_api::Limits;
use onechat_core::{KeyFormat, OutcomeKind, StoreError};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Fault, Service, Setup};

/// The log of one test: its server runs on its own thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn events(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["fields"]["event"] == name).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_lost_race_is_noted() {
    let (log, _guard) = Log::begin();
    let service = Service::start().await;
    service.store.set(Fault::Races(OutcomeKind::LostRace));
    let id = service.chat_id("alice", &["bob"]).await;
    let events = log.events("lost_race");
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["level"], &events[0]["fields"]["chat"]), (&json!("INFO"), &json!(id)));
}

#[tokio::test]
async fn a_collision_names_key_and_holder() {
    let (log, _guard) = Log::begin();
    let service = Setup { key_format: KeyFormat::Joined, ..Setup::default() }.start().await;
    let holder = service.chat_id("a_b", &["c"]).await;
    let create = service.post("/api/chats/create-or-get", &json!({ "with": ["b_c"] })).by("a");
    create.header("x-request-id", "r1").send().await.refused(409, "key_collision");
    let events = log.events("key_collision");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["level"], "WARN");
    let fields = &events[0]["fields"];
    assert_eq!((&fields["key"], &fields["holder"]), (&json!("a_b_c"), &json!(holder)));
    assert_eq!(fields["request_id"], "r1");
}

#[tokio::test]
async fn a_failing_store_is_an_error_with_its_reason() {
    let (log, _guard) = Log::begin();
    let service = Service::start().await;
    service.store.set(Fault::Fails(StoreError::Unavailable("disk full".to_owned())));
    let list = service.get("/api/chats").by("alice").header("x-request-id", "r1");
    list.send().await.refused(503, "store_unavailable");
    let events = log.events("store_unavailable");
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["level"], &events[0]["fields"]["request_id"]), (&json!("ERROR"), &json!("r1")));
    assert!(events[0]["fields"]["reason"].as_str().unwrap().contains("disk full"));

    service.store.set(Fault::Panics);
    service.get("/api/chats").by("alice").send().await.refused(500, "internal");
    let events = log.events("internal");
    assert_eq!(events[0]["fields"]["reason"], "panic: the store has a bug");
}

#[tokio::test]
async fn probes_are_logged_when_their_answer_changes_and_as_what_they_are() {
    let (log, _guard) = Log::begin();
    let service = Service::start().await;
    let probe = async |status: u16| {
        for n in 0..3 {
            // The reason may differ from probe to probe: that is no change.
            if let Some(Fault::Fails(StoreError::NotMigrated(_))) = service.store.fault() {
                let reason = format!("no index; seen {n} times; run `onechat migrate`");
                service.store.set(Fault::Fails(StoreError::NotMigrated(reason)));
            }
            assert_eq!(service.get("/readyz").send().await.status, status);
        }
    };
    let entries = || -> Vec<Value> {
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    probe(200).await;
    assert_eq!(entries(), [] as [Value; 0], "a store that is ready from the start is no news");
    service.store.set(Fault::Fails(StoreError::NotMigrated("no index".to_owned())));
    probe(503).await;
    service.store.set(Fault::Fails(StoreError::Unavailable("disk full".to_owned())));
    probe(503).await;
    service.store.set(None);
    probe(200).await;
    let entries = entries();
    let lines: Vec<_> = entries
        .iter()
        .map(|line| (&line["level"], &line["fields"]["event"], &line["fields"]["code"]))
        .collect();
    assert_eq!(
        lines,
        [
            (&json!("WARN"), &json!("not_ready"), &json!("not_migrated")),
            (&json!("ERROR"), &json!("not_ready"), &json!("store_unavailable")),
            (&json!("INFO"), &json!("ready"), &Value::Null),
        ]
    );
    let reason = |line: usize| entries[line]["fields"]["reason"].as_str().unwrap();
    assert!(reason(0).contains("run `onechat migrate`"), "{}", reason(0));
    assert!(reason(1).contains("disk full"), "{}", reason(1));
}

#[tokio::test]
async fn overload_does_not_flood_the_log() {
    let (log, _guard) = Log::begin();
    let limits = Limits { max_concurrent_requests: 0, ..Limits::default() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    for _ in 0..10 {
        service.get("/api/chats").by("alice").send().await.refused(503, "overloaded");
    }
    let events = log.events("overload");
    assert_eq!(events[0]["level"], "WARN");
    assert!(events.len() < 10, "{}", events.len());
}

#[tokio::test]
async fn what_fails_often_does_not_flood_the_log() {
    let (log, _guard) = Log::begin();
    let limits = Limits { request_timeout: Duration::from_millis(20), ..Limits::default() };
    let hasty = Setup { limits, ..Setup::default() }.start().await;
    let patient = Service::start().await;
    let unavailable = || StoreError::Unavailable("disk full".to_owned());
    for (event, status, code, fault) in [
        ("timeout", 503, "timeout", Fault::Holds),
        ("store_unavailable", 503, "store_unavailable", Fault::Fails(unavailable())),
        (
            "store_unprotected",
            503,
            "store_unprotected",
            Fault::Fails(StoreError::Unprotected("x".to_owned())),
        ),
        ("not_migrated", 503, "not_migrated", Fault::Fails(StoreError::NotMigrated("x".to_owned()))),
        ("store_refused", 422, "store_refused", Fault::Fails(StoreError::Refused("x".to_owned()))),
    ] {
        let is_hasty = event == "timeout";
        let service = if is_hasty { &hasty } else { &patient };
        service.store.set(fault);
        let ask = || {
            // Without a body, which a hasty service might give up before the store is asked.
            let call = if is_hasty {
                service.get("/api/chats/lookup?with=bob")
            } else {
                service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] }))
            };
            call.by("alice").send()
        };
        let mut refused = 0;
        // Whenever a second has passed, the next line says how many were left out.
        while log.events(event).len() < 2 {
            ask().await.refused(status, code);
            refused += 1;
        }
        let events = log.events(event);
        assert_eq!(events[0]["fields"]["left_out"], 0);
        assert_eq!(events[1]["fields"]["left_out"], refused - 2, "{event}");
        assert!(refused > 2, "{event}: a line for each request");
    }
}

#[tokio::test]
async fn ordinary_requests_and_mistakes_of_clients_are_not_logged() {
    let (log, _guard) = Log::begin();
    let service = Service::start().await;
    service.chat("alice", &["bob"]).await;
    service.get("/api/chats").send().await.refused(401, "unauthorized");
    service.get("/nowhere").send().await.refused(404, "not_found");
    assert_eq!(String::from_utf8_lossy(&log.0.lock().unwrap()), "");
}
