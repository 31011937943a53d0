//! I6: who is not in a chat learns nothing, not even that it exists.

use serde_json::{Value, json};

use crate::support::{Answer, Service};

/// Everything about an answer but the request's id and the date.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("requestId");
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, body)
}

async fn answers(service: &Service, id: &str) -> Vec<Answer> {
    let request_id = "the-same-for-all";
    let message = json!({ "text": "let me in", "clientMessageId": "m1" });
    let messages = format!("/api/chats/{id}/messages");
    let mut answers = Vec::new();
    for call in
        [service.get(&format!("/api/chats/{id}")), service.get(&messages), service.post(&messages, &message)]
    {
        answers.push(call.by("eve").header("x-request-id", request_id).send().await);
    }
    answers
}

#[tokio::test]
async fn a_foreign_chat_cannot_be_told_from_none() {
    let service = Service::start().await;
    let foreign = service.chat_id("alice", &["bob"]).await;
    service.say("alice", &foreign, "a secret").await.ok(201);
    let to_foreign = answers(&service, &foreign).await;
    for id in
        ["ffffffffffffffffffffffff", "x", "%20", "%FF", "%00", &"long".repeat(50), "lookup%2F", "..%2Fchats"]
    {
        for (foreign, none) in to_foreign.iter().zip(answers(&service, id).await) {
            foreign.refused(404, "chat_not_found");
            assert_eq!(shape(foreign), shape(&none), "{id}");
            assert_eq!(foreign.body, none.body, "{id}");
        }
    }
    let messages = service.get(&format!("/api/chats/{foreign}/messages")).by("bob").send().await.ok(200);
    assert_eq!(messages["items"].as_array().unwrap().len(), 1, "a stranger's message got in");
}

#[tokio::test]
async fn a_bad_message_says_nothing_about_the_chat() {
    let service = Service::start().await;
    let foreign = service.chat_id("alice", &["bob"]).await;
    let bad = json!({ "text": "", "clientMessageId": "m1" });
    let mut shapes = Vec::new();
    for id in [&*foreign, "ffffffffffffffffffffffff"] {
        let answer = service.post(&format!("/api/chats/{id}/messages"), &bad).by("eve").send().await;
        shapes.push(shape(&answer));
    }
    assert_eq!(shapes[0], shapes[1]);
}
