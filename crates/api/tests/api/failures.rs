//! What clients are told when the store fails, and what they are not.

use onechat_core::StoreError;
use serde_json::json;

use crate::support::{Answer, Fault, Service};

async fn every_call(service: &Service) -> Vec<Answer> {
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    let mut answers = Vec::new();
    for call in [
        service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })),
        service.get("/api/chats/lookup?with=bob"),
        service.get("/api/chats"),
        service.get("/api/chats/x"),
        service.get("/api/chats/x/messages"),
        service.post("/api/chats/x/messages", &message),
    ] {
        answers.push(call.by("alice").send().await);
    }
    answers
}

#[tokio::test]
async fn an_overloaded_store_asks_for_patience() {
    let service = Service::start().await;
    service.store.set(Fault::Fails(StoreError::Overloaded));
    for answer in every_call(&service).await {
        answer.refused(503, "overloaded");
    }
    let metrics = service.metrics().await;
    assert!(metrics.contains("onechat_problems_total{code=\"overloaded\"} 6\n"), "{metrics}");
}

#[tokio::test]
async fn an_unavailable_store_says_that_repeating_is_safe() {
    let service = Service::start().await;
    service.store.set(Fault::Fails(StoreError::Unavailable("/secret/path: disk full".to_owned())));
    for answer in every_call(&service).await {
        let detail = answer.refused(503, "store_unavailable");
        assert!(detail.contains("unknown; repeating it is safe"), "{detail}");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
}

/// The calls that write.
async fn every_write(service: &Service) -> Vec<Answer> {
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    vec![
        service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })).by("alice").send().await,
        service.post("/api/chats/x/messages", &message).by("alice").send().await,
    ]
}

#[tokio::test]
async fn without_protection_the_answer_says_what_is_missing() {
    let service = Service::start().await;
    let reason = "there is no unique index on participantsKey; make it by `onechat index create`";
    service.store.set(Fault::Fails(StoreError::Unprotected(reason.to_owned())));
    let mut answers = every_write(&service).await;
    answers.push(service.get("/api/chats/lookup?with=bob").by("alice").send().await);
    for answer in answers {
        let detail = answer.refused(503, "store_unprotected");
        assert!(detail.contains(reason), "{detail}");
    }
    let metrics = service.metrics().await;
    assert!(metrics.contains("onechat_problems_total{code=\"store_unprotected\"} 3\n"), "{metrics}");
    let detail = service.get("/readyz").send().await.refused(503, "not_ready");
    assert!(detail.contains(reason), "{detail}");
}

#[tokio::test]
async fn before_the_migration_the_answer_names_the_command_to_run() {
    let service = Service::start().await;
    let reason = "the collection is not migrated: run `onechat migrate`";
    service.store.set(Fault::Fails(StoreError::NotMigrated(reason.to_owned())));
    let new = service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })).by("alice").send().await;
    let detail = new.refused(503, "not_migrated");
    assert!(detail.contains(reason), "{detail}");
    let metrics = service.metrics().await;
    assert!(metrics.contains("onechat_problems_total{code=\"not_migrated\"} 1\n"), "{metrics}");
    let detail = service.get("/readyz").send().await.refused(503, "not_ready");
    assert!(detail.contains(reason), "{detail}");
}

#[tokio::test]
async fn a_rule_of_others_in_the_database_is_named_and_not_worth_repeating() {
    let service = Service::start().await;
    let reason = "the unique index slug_1 of the collection chats";
    service.store.set(Fault::Fails(StoreError::Refused(reason.to_owned())));
    for answer in every_write(&service).await {
        let detail = answer.refused(422, "store_refused");
        assert!(detail.contains(reason), "{detail}");
    }
    let detail = service.get("/readyz").send().await.refused(503, "not_ready");
    assert!(detail.contains(reason), "{detail}");
}

#[tokio::test]
async fn damage_is_an_internal_error_without_details() {
    let service = Service::start().await;
    service.store.set(Fault::Fails(StoreError::Corrupt("row 7 of secret".to_owned())));
    for answer in every_call(&service).await {
        answer.refused(500, "internal");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_bug_is_answered_and_survived() {
    let service = Service::start().await;
    service.store.set(Fault::Panics);
    for answer in every_call(&service).await {
        answer.refused(500, "internal");
        assert!(!answer.text().contains("bug"), "{}", answer.text());
    }
    service.store.set(None);
    service.chat("alice", &["bob"]).await;
    assert!(service.metrics().await.contains("onechat_http_in_flight 0\n"));
}

#[tokio::test]
async fn readiness_follows_the_store_and_health_does_not() {
    let service = Service::start().await;
    assert_eq!(service.get("/readyz").send().await.ok(200), json!({ "status": "ok" }));
    for error in [
        StoreError::Overloaded,
        StoreError::Unavailable("/secret/path".to_owned()),
        StoreError::Corrupt("/secret/path".to_owned()),
    ] {
        service.store.set(Fault::Fails(error));
        let answer = service.get("/readyz").send().await;
        answer.refused(503, "not_ready");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert_eq!(service.get("/healthz").send().await.ok(200), json!({ "status": "ok" }));
    }
    service.store.set(None);
    service.get("/readyz").send().await.ok(200);
}
