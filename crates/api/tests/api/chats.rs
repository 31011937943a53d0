//! Chats: create-or-get, lookup, lists, and by id.

use std::time::Duration;

use onechat_api::Policy;
use onechat_core::{KeyFormat, OutcomeKind};
use serde_json::json;

use crate::support::{Fault, Service, Setup};

const CREATE_OR_GET: &str = "/api/chats/create-or-get";

#[tokio::test]
async fn a_new_chat_is_described_in_full() {
    let service = Service::start().await;
    let answer =
        service.post(CREATE_OR_GET, &json!({ "participants": ["bob", "alice"] })).by("alice").send().await;
    let chat = answer.ok(201);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        chat,
        json!({
            "id": chat["id"],
            "_id": chat["id"],
            "participants": ["alice", "bob"],
            "participantsKey": "alice_bob",
            "createdAt": "2026-01-31T12:00:00.000Z",
            "updatedAt": "2026-01-31T12:00:00.000Z",
            "lastMessageAt": null,
            "created": true,
        })
    );
    assert_eq!(chat["id"].as_str().unwrap().len(), 24);
}

#[tokio::test]
async fn whoever_asks_in_whatever_form_gets_the_same_chat() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob", "carol"]).await;
    for (caller, body) in [
        ("alice", json!({ "with": ["carol", "bob", "bob", "alice"] })),
        ("bob", json!({ "participants": ["carol", "bob", "alice", "bob"] })),
        ("carol", json!({ "with": ["alice", "bob"], "participants": null, "sentBy": "an old client" })),
    ] {
        let chat = service.post(CREATE_OR_GET, &body).by(caller).send().await.ok(200);
        assert_eq!((&chat["id"], &chat["created"]), (&json!(id), &json!(false)), "{body}");
    }
}

#[tokio::test]
async fn exactly_one_of_both_fields_is_needed() {
    let service = Service::start().await;
    for body in
        [json!({}), json!({ "participants": ["alice", "bob"], "with": ["bob"] }), json!({ "with": null })]
    {
        let answer = service.post(CREATE_OR_GET, &body).by("alice").send().await;
        let detail = answer.refused(400, "invalid_request");
        assert_eq!(detail, "Give either `participants` or `with`.");
    }
}

#[tokio::test]
async fn participants_have_to_be_strings() {
    let service = Service::start().await;
    let answer =
        service.post(CREATE_OR_GET, &json!({ "participants": ["alice", 7] })).by("alice").send().await;
    let detail = answer.refused(400, "invalid_request");
    assert_eq!(detail, "The field `participants[1]` has to be a string.");
}

#[tokio::test]
async fn what_is_not_a_set_of_participants_is_refused_with_the_reason() {
    let service = Service::start().await;
    let too_many: Vec<_> = (0..256).map(|n| n.to_string()).collect();
    for (others, reason) in [
        (json!([""]), "must not be empty"),
        (json!(["a\u{7}"]), "must not contain control characters"),
        (json!(["x".repeat(257)]), "at most 256 bytes"),
        (json!(too_many), "at most 256 participants, these are 257"),
    ] {
        let answer = service.post(CREATE_OR_GET, &json!({ "with": others })).by("alice").send().await;
        let detail = answer.refused(400, "invalid_participants");
        assert!(detail.contains(reason), "{detail}");
    }
    let answer = service.post(CREATE_OR_GET, &json!({ "participants": [] })).by("alice").send().await;
    answer.refused(400, "invalid_participants");
}

#[tokio::test]
async fn the_caller_has_to_be_a_participant() {
    let service = Service::start().await;
    let answer =
        service.post(CREATE_OR_GET, &json!({ "participants": ["bob", "carol"] })).by("alice").send().await;
    answer.refused(403, "not_a_participant");
}

#[tokio::test]
async fn a_note_to_self_needs_the_policy() {
    let service = Service::start().await;
    for body in [json!({ "with": [] }), json!({ "participants": ["alice"] }), json!({ "with": ["alice"] })] {
        let answer = service.post(CREATE_OR_GET, &body).by("alice").send().await;
        answer.refused(400, "note_to_self_disabled");
    }
    service
        .get("/api/chats/lookup?with=alice")
        .by("alice")
        .send()
        .await
        .refused(400, "note_to_self_disabled");

    let service =
        Setup { policy: Policy { allow_note_to_self: true, ..Policy::default() }, ..Setup::default() }
            .start()
            .await;
    let chat = service.chat("alice", &[]).await;
    assert_eq!(chat["participants"], json!(["alice"]));
    let found = service.get("/api/chats/lookup?with=alice").by("alice").send().await.ok(200);
    assert_eq!(found["id"], chat["id"]);
}

#[tokio::test]
async fn bodies_have_to_be_json_and_say_so() {
    let service = Service::start().await;
    let post = |content_type: &str, body: &'static str| {
        service.call(reqwest::Method::POST, CREATE_OR_GET).by("alice").body(content_type, body).send()
    };
    post("text/plain", r#"{"with":["bob"]}"#).await.refused(415, "unsupported_media_type");
    post("application/json", r#"{"with":["#).await.refused(400, "invalid_request");
    post("Application/JSON; charset=utf-8", r#"{"with":["bob"]}"#).await.ok(201);
    let untyped = service.call(reqwest::Method::POST, CREATE_OR_GET).by("alice").send().await;
    untyped.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_collision_names_no_stranger() {
    let service = Setup { key_format: KeyFormat::Joined, ..Setup::default() }.start().await;
    let strangers = service.chat("a_b", &["c"]).await;
    assert_eq!(strangers["participantsKey"], "a_b_c");
    for answer in [
        service.post(CREATE_OR_GET, &json!({ "with": ["b_c"] })).by("a").send().await,
        service.get("/api/chats/lookup?with=b_c").by("a").send().await,
    ] {
        answer.refused(409, "key_collision");
        let text = answer.text();
        assert!(!text.contains(strangers["id"].as_str().unwrap()) && !text.contains("a_b"), "{text}");
    }
    let metrics = service.metrics().await;
    assert!(metrics.contains("onechat_create_or_get_total{outcome=\"collision\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn who_loses_a_race_is_told_that_the_chat_was_there() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    service.store.set(Fault::Races(OutcomeKind::LostRace));
    let chat = service.post(CREATE_OR_GET, &json!({ "with": ["alice"] })).by("bob").send().await.ok(200);
    assert_eq!((&chat["id"], &chat["created"]), (&json!(id), &json!(false)));
    let metrics = service.metrics().await;
    assert!(metrics.contains("onechat_create_or_get_total{outcome=\"lost_race\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn lookup_finds_but_never_creates() {
    let service = Service::start().await;
    let lookup = || service.get("/api/chats/lookup?with=bob&with=carol").by("alice").send();
    lookup().await.refused(404, "chat_not_found");
    lookup().await.refused(404, "chat_not_found");
    let chat = service.chat("alice", &["bob", "carol"]).await;
    let found = lookup().await.ok(200);
    assert_eq!(found["id"], chat["id"]);
    assert_eq!(found.get("created"), None);
    service.get("/api/chats/lookup").by("alice").send().await.refused(400, "invalid_request");
    service.get("/api/chats/lookup?with=").by("alice").send().await.refused(400, "invalid_participants");
}

/// What is ignored is answered as if it had not been asked: `page=2` would be the first page, for ever.
#[tokio::test]
async fn unknown_query_parameters_are_refused_in_every_call() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    let with = json!({ "with": ["bob"] });
    for (call, nearest) in [
        (service.get("/api/chats?page=2"), "nearest known one is"),
        (service.get("/api/chats?cursr=x"), "\"cursor\""),
        (service.get("/api/chats?Limit=1"), "\"limit\""),
        (service.get("/api/chats/lookup?with=bob&with[]=carol"), "\"with\""),
        (service.get("/api/chats/lookup?with=bob&with%5B%5D=carol"), "\"with\""),
        (service.get(&format!("/api/chats/{id}?As=alice")), "\"as\""),
        (service.get(&format!("/api/chats/{id}/messages?cursor=x")), "limit, before, as"),
        (service.post(&format!("/api/chats/{id}/messages?limit=1"), &message), "\"as\""),
        (service.post("/api/chats/create-or-get?with=carol", &with), "\"as\""),
    ] {
        let detail = call.by("alice").send().await.refused(400, "invalid_request");
        assert!(detail.contains("is not known") && detail.contains(nearest), "{detail}");
    }
    let list = service.get(&format!("/api/chats/{id}/messages")).by("alice").send().await.ok(200);
    assert_eq!(list["items"], json!([]), "a refused message was sent");
}

#[tokio::test]
async fn query_parameters_are_decoded_strictly() {
    let service = Service::start().await;
    let chat = service.chat("alice", &["büro+1 &co"]).await;
    let path = "/api/chats/lookup?with=b%C3%BCro%2B1+%26co";
    assert_eq!(service.get(path).by("alice").send().await.ok(200)["id"], chat["id"]);
    service.get("/api/chats/lookup?with=%FF").by("alice").send().await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_list_has_the_callers_chats_by_latest_activity() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for other in ["bob", "carol", "dave"] {
        ids.push(service.chat_id("alice", &[other]).await);
        service.clock.advance(Duration::from_secs(1));
    }
    service.chat("bob", &["carol"]).await;
    service.say("alice", &ids[0], "hello").await.ok(201);

    let page = service.get("/api/chats").by("alice").send().await.ok(200);
    let listed: Vec<_> = page["items"].as_array().unwrap().iter().map(|chat| chat["id"].clone()).collect();
    assert_eq!(listed, [&*ids[0], &*ids[2], &*ids[1]]);
    assert_eq!(page["nextCursor"], json!(null));
    assert_eq!(page["items"][0]["lastMessageAt"], "2026-01-31T12:00:03.000Z");
    assert_eq!(page["items"][0].get("created"), None);

    let empty = service.get("/api/chats").by("nobody").send().await.ok(200);
    assert_eq!(empty, json!({ "items": [], "nextCursor": null }));
}

#[tokio::test]
async fn pages_of_chats_join_without_gap_or_repeat() {
    let service = Service::start().await;
    for other in ["bob", "carol", "dave", "erin", "frank"] {
        service.chat("alice", &[other]).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get(&format!("/api/chats?limit=2{cursor}")).by("alice").send().await.ok(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|chat| chat["participantsKey"].clone()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["alice_frank", "alice_erin", "alice_dave", "alice_carol", "alice_bob"]);
}

#[tokio::test]
async fn limits_and_cursors_are_checked() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    for query in ["limit=0", "limit=101", "limit=999999", "limit=ten", "limit=1&limit=2"] {
        service.get(&format!("/api/chats?{query}")).by("alice").send().await.refused(400, "invalid_request");
        let messages = format!("/api/chats/{id}/messages?{query}");
        service.get(&messages).by("alice").send().await.refused(400, "invalid_request");
    }
    service.get("/api/chats?cursor=x").by("alice").send().await.refused(400, "invalid_request");
    let messages = format!("/api/chats/{id}/messages?before=x");
    service.get(&messages).by("alice").send().await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_chat_can_be_read_by_its_id() {
    let service = Service::start().await;
    let chat = service.chat("alice", &["bob"]).await;
    let id = chat["id"].as_str().unwrap();
    let read = service.get(&format!("/api/chats/{id}")).by("bob").send().await.ok(200);
    assert_eq!(read["participants"], json!(["alice", "bob"]));
    assert_eq!(read.get("created"), None);
}
