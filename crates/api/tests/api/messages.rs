//! Messages: sent once, however often, and listed.

use std::time::Duration;

use onechat_core::{ChatId, ports::AliasStore};
use serde_json::json;

use crate::support::Service;

#[tokio::test]
async fn a_message_is_stored_once() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    let path = format!("/api/chats/{id}/messages");
    let send = |text: &str| {
        service.post(&path, &json!({ "text": text, "clientMessageId": "m1", "old": 1 })).by("alice").send()
    };
    let first = send("hello").await.ok(201);
    assert_eq!(
        first,
        json!({
            "id": first["id"],
            "chatId": id,
            "sender": "alice",
            "text": "hello",
            "clientMessageId": "m1",
            "createdAt": "2026-01-31T12:00:00.001Z",
        })
    );
    service.clock.advance(Duration::from_secs(1));
    assert_eq!(send("something else").await.ok(200), first);

    let of_bob =
        service.post(&path, &json!({ "text": "hi", "clientMessageId": "m1" })).by("bob").send().await;
    assert_ne!(of_bob.ok(201)["id"], first["id"]);
    let page = service.get(&path).by("bob").send().await.ok(200);
    let texts: Vec<_> = page["items"].as_array().unwrap().iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["hi", "hello"]);
}

#[tokio::test]
async fn a_message_needs_a_text_and_an_id() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    let path = format!("/api/chats/{id}/messages");
    for (body, code) in [
        (json!({ "text": "hello" }), "invalid_request"),
        (json!({ "clientMessageId": "m1" }), "invalid_request"),
        (json!({ "text": "", "clientMessageId": "m1" }), "invalid_message"),
        (json!({ "text": "x".repeat(16 * 1024 + 1), "clientMessageId": "m1" }), "invalid_message"),
        (json!({ "text": "hello", "clientMessageId": "" }), "invalid_message"),
        (json!({ "text": "hello", "clientMessageId": "x".repeat(129) }), "invalid_message"),
    ] {
        service.post(&path, &body).by("alice").send().await.refused(400, code);
    }
    assert_eq!(service.get(&path).by("alice").send().await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn pages_of_messages_go_back_in_time() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    for text in ["one", "two", "three"] {
        service.say("alice", &id, text).await.ok(201);
        service.clock.advance(Duration::from_millis(1));
    }
    let path = format!("/api/chats/{id}/messages?limit=2");
    let page = service.get(&path).by("bob").send().await.ok(200);
    assert_eq!((&page["items"][0]["text"], &page["items"][1]["text"]), (&json!("three"), &json!("two")));
    let before = page["nextCursor"].as_str().unwrap();
    let page = service.get(&format!("{path}&before={before}")).by("bob").send().await.ok(200);
    assert_eq!((&page["items"][0]["text"], &page["nextCursor"]), (&json!("one"), &json!(null)));
}

#[tokio::test]
async fn the_old_id_of_a_merged_chat_goes_on_working() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    let (old, living) = (ChatId::new("0123456789abcdef01234567").unwrap(), ChatId::new(&*id).unwrap());
    service.store.inner.add_alias(&old, &living).await.unwrap();

    let chat = service.get(&format!("/api/chats/{old}")).by("bob").send().await.ok(200);
    assert_eq!(chat["id"], json!(id));
    let message = service.say("bob", old.as_str(), "still here").await.ok(201);
    assert_eq!(message["chatId"], json!(id));
    assert_eq!(service.say("bob", &id, "still here").await.ok(200)["id"], message["id"]);
    let page = service.get(&format!("/api/chats/{old}/messages")).by("alice").send().await.ok(200);
    assert_eq!(page["items"][0]["id"], message["id"]);
    service.get(&format!("/api/chats/{old}")).by("eve").send().await.refused(404, "chat_not_found");
}
