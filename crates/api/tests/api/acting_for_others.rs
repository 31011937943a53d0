//! The scope `chats:any`, and the parameter `as`.

use serde_json::json;

use crate::support::{Call, Service, tokens};

#[tokio::test]
async fn a_service_acts_as_whom_it_names() {
    let service = Service::start().await;
    let create = service.post("/api/chats/create-or-get?as=alice", &json!({ "with": ["bob"] }));
    let chat = create.by_service("bot").send().await.ok(201);
    assert_eq!(chat["participants"], json!(["alice", "bob"]));
    let id = chat["id"].as_str().unwrap();

    let found = service.get("/api/chats/lookup?as=bob&with=alice").by_service("bot").send().await.ok(200);
    assert_eq!(found["id"], json!(id));
    let list = service.get("/api/chats?as=bob").by_service("bot").send().await.ok(200);
    assert_eq!(list["items"][0]["id"], json!(id));
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    let path = format!("/api/chats/{id}/messages?as=bob");
    assert_eq!(service.post(&path, &message).by_service("bot").send().await.ok(201)["sender"], "bob");
}

#[tokio::test]
async fn nobody_else_may() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    for call in [
        service.post("/api/chats/create-or-get?as=alice", &json!({ "with": ["bob"] })),
        service.get("/api/chats/lookup?with=bob&as=alice"),
        service.get("/api/chats?as=alice"),
        service.get(&format!("/api/chats/{id}?as=alice")),
        service.get(&format!("/api/chats/{id}/messages?as=alice")),
        service.post(&format!("/api/chats/{id}/messages?as=alice"), &message),
    ] {
        call.by("eve").send().await.refused(403, "scope_required");
    }
    for scope in [json!("chats:anyone"), json!("chats"), json!(["chats:any"]), json!("")] {
        let token = tokens::with_claims(&json!({ "sub": "eve", "exp": tokens::NOW + 60, "scope": scope }));
        service.get("/api/chats?as=alice").token(&token).send().await.refused(403, "scope_required");
    }
}

#[tokio::test]
async fn a_service_reads_any_chat_but_writes_only_as_a_participant() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    service.get(&format!("/api/chats/{id}")).by_service("bot").send().await.ok(200);
    let messages = format!("/api/chats/{id}/messages");
    service.get(&messages).by_service("bot").send().await.ok(200);
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    service.post(&messages, &message).by_service("bot").send().await.refused(403, "not_a_participant");
    let missing = service.get("/api/chats/ffffffffffffffffffffffff").by_service("bot").send().await;
    missing.refused(404, "chat_not_found");
}

#[tokio::test]
async fn a_service_opens_chats_that_it_is_not_in() {
    let service = Service::start().await;
    let body = json!({ "participants": ["bob", "alice"] });
    let chat = service.post("/api/chats/create-or-get", &body).by_service("bot").send().await.ok(201);
    assert_eq!(chat["participants"], json!(["alice", "bob"]));
    let chat =
        service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })).by_service("bot").send().await;
    assert_eq!(chat.ok(201)["participants"], json!(["bob", "bot"]));
}

#[tokio::test]
async fn whom_to_act_for_has_to_be_clear() {
    let service = Service::start().await;
    service.get("/api/chats?as=alice&as=bob").by_service("bot").send().await.refused(400, "invalid_request");
    service.get("/api/chats?as=").by_service("bot").send().await.refused(400, "invalid_participants");
}

/// Every call of the API that concerns the chat of alice and bob, and those that would open one.
fn calls(service: &Service, id: &str, suffix: &str) -> Vec<Call> {
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    vec![
        service.get(&format!("/api/chats/{id}{suffix}")),
        service.get(&format!("/api/chats/{id}/messages{suffix}")),
        service.post(&format!("/api/chats/{id}/messages{suffix}"), &message),
        service
            .post(&format!("/api/chats/create-or-get{suffix}"), &json!({ "participants": ["alice", "bob"] })),
        service
            .post(&format!("/api/chats/create-or-get{suffix}"), &json!({ "participants": ["alice", "zoe"] })),
        service.get(&format!("/api/chats/lookup?with=alice{}", suffix.replace('?', "&"))),
        service.get(&format!("/api/chats{suffix}")),
    ]
}

#[tokio::test]
async fn as_somebody_a_service_can_do_exactly_what_they_could() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    service.say("alice", &id, "a secret").await.ok(201);
    for (person, expected) in
        [("mallory", [404, 404, 404, 403, 403, 404, 200]), ("bob", [200, 200, 201, 200, 403, 200, 200])]
    {
        let own = calls(&service, &id, "");
        let acting = calls(&service, &id, &format!("?as={person}"));
        for ((own, acting), expected) in own.into_iter().zip(acting).zip(expected) {
            let what = own.describe();
            let own = own.by(person).header("x-request-id", "r").send().await;
            let acting = acting.by_service("bot").header("x-request-id", "r").send().await;
            assert_eq!(own.status, expected, "{person}: {what}: {}", own.text());
            // The message that is sent first is new; the same sent again is not.
            let same = if expected == 201 { 200 } else { expected };
            assert_eq!((acting.status, acting.text()), (same, own.text()), "{person}: {what}");
        }
    }
}
