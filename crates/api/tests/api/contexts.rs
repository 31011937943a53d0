//! Contexts: off, optional and required, and what clients are shown.

use onechat_api::{ContextPolicy, Policy};
use onechat_core::{
    ChatId, ChatIdentity, Context, KeyFormat, ParticipantSet, Proposal, Roles,
    ports::{ChatStore, Clock},
};
use serde_json::{Value, json};

use crate::support::{Service, Setup};

const CREATE_OR_GET: &str = "/api/chats/create-or-get";
const LOOKUP: &str = "/api/chats/lookup?with=bob";

async fn service(context: ContextPolicy) -> Service {
    Setup { policy: Policy { context, ..Policy::default() }, ..Setup::default() }.start().await
}

fn about(context: &str) -> Value {
    json!({ "with": ["bob"], "context": context })
}

#[tokio::test]
async fn the_same_people_have_a_chat_for_each_context_and_one_without() {
    let service = service(ContextPolicy::Optional).await;
    let mut ids = Vec::new();
    for (body, context, key) in [
        (json!({ "with": ["bob"] }), json!(null), "alice_bob"),
        (about("listing:42"), json!("listing:42"), "%in:listing:42_alice_bob"),
        (about("listing:43"), json!("listing:43"), "%in:listing:43_alice_bob"),
        (about("_%"), json!("_%"), "%in:%5F%25_alice_bob"),
    ] {
        let chat = service.post(CREATE_OR_GET, &body).by("alice").send().await.ok(201);
        assert_eq!((chat.get("context"), &chat["participantsKey"]), (Some(&context), &json!(key)), "{body}");
        let again = service.post(CREATE_OR_GET, &body).by("alice").send().await.ok(200);
        assert_eq!((&again["id"], &again["context"]), (&chat["id"], &context));
        let by_id = format!("/api/chats/{}", chat["id"].as_str().unwrap());
        let found = service.get(&by_id).by("bob").send().await.ok(200);
        assert_eq!(found.get("context"), Some(&context));
        assert!(!ids.contains(&chat["id"]), "{body} has a chat of its own");
        ids.push(chat["id"].clone());
    }
    for (query, id) in [("", &ids[0]), ("&context=listing:42", &ids[1]), ("&context=_%25", &ids[3])] {
        let found = service.get(&format!("{LOOKUP}{query}")).by("alice").send().await.ok(200);
        assert_eq!(found["id"], *id, "{query}");
    }
    service
        .get(&format!("{LOOKUP}&context=listing:4"))
        .by("alice")
        .send()
        .await
        .refused(404, "chat_not_found");
    let null = json!({ "with": ["bob"], "context": null });
    assert_eq!(service.post(CREATE_OR_GET, &null).by("alice").send().await.ok(200)["id"], ids[0]);
}

#[tokio::test]
async fn a_list_is_narrowed_down_to_a_context() {
    for policy in [ContextPolicy::Optional, ContextPolicy::Required] {
        let service = service(policy).await;
        let mut expected = Vec::new();
        for n in 0..5 {
            for context in ["listing:42", "other"] {
                let body = json!({ "with": [format!("friend-{n}")], "context": context });
                let chat = service.post(CREATE_OR_GET, &body).by("alice").send().await.ok(201);
                if context == "listing:42" {
                    expected.push(chat["id"].clone());
                }
            }
        }
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/chats?limit=2&context=listing:42{cursor}");
            let page = service.get(&path).by("alice").send().await.ok(200);
            for chat in page["items"].as_array().unwrap() {
                assert_eq!(chat["context"], "listing:42");
                listed.push(chat["id"].clone());
            }
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        listed.sort_by_key(ToString::to_string);
        expected.sort_by_key(ToString::to_string);
        assert_eq!(listed, expected);
        let all = service.get("/api/chats").by("alice").send().await.ok(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 10);
        let none = service.get("/api/chats?context=listing:42").by("carol").send().await.ok(200);
        assert_eq!(none["items"], json!([]));
    }
}

#[tokio::test]
async fn without_contexts_a_request_with_one_is_refused_and_answers_are_as_they_always_were() {
    let service = Service::start().await;
    let chat =
        service.post(CREATE_OR_GET, &json!({ "with": ["bob"], "context": null })).by("alice").send().await;
    assert!(chat.ok(201).get("context").is_none(), "{chat:?}");
    for context in ["listing:42", "", "a\u{7}"] {
        let answer = service.post(CREATE_OR_GET, &about(context)).by("alice").send().await;
        answer.refused(422, "context_not_enabled");
    }
    for path in
        [&format!("{LOOKUP}&context=listing:42"), "/api/chats?context=listing:42", "/api/chats?context="]
    {
        service.get(path).by("alice").send().await.refused(422, "context_not_enabled");
    }
    for path in [LOOKUP, &format!("/api/chats/{}", chat.json()["id"].as_str().unwrap())] {
        let found = service.get(path).by("alice").send().await;
        assert!(found.ok(200).get("context").is_none(), "{found:?}");
    }
    let list = service.get("/api/chats").by("alice").send().await.ok(200);
    assert!(list["items"][0].get("context").is_none(), "{list}");
}

/// It was created while contexts were enabled: taken for the chat without one, it would be the wrong room.
#[tokio::test]
async fn a_chat_that_has_a_context_shows_it_even_where_contexts_are_off() {
    let service = Service::start().await;
    let without = service.chat("alice", &["bob"]).await;
    let identity = ChatIdentity {
        participants: ParticipantSet::parse(["alice", "bob"]).unwrap(),
        context: Some(Context::new("listing:42").unwrap()),
    };
    let proposal = Proposal {
        identity,
        id: ChatId::new("about").unwrap(),
        now: service.clock.now(),
        roles: Roles::default(),
    };
    service.store.create_or_get(proposal).await.unwrap();
    let found = service.get("/api/chats/about").by("alice").send().await.ok(200);
    assert_eq!(found["context"], "listing:42");
    let list = service.get("/api/chats").by("alice").send().await.ok(200);
    let shown: Vec<_> = list["items"].as_array().unwrap().iter().map(|chat| chat.get("context")).collect();
    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&Some(&json!("listing:42"))) && shown.contains(&None), "{list}");
    assert_eq!(service.chat("alice", &["bob"]).await["id"], without["id"]);
}

#[tokio::test]
async fn where_a_context_is_required_none_is_refused() {
    let service = service(ContextPolicy::Required).await;
    for body in [json!({ "with": ["bob"] }), json!({ "with": ["bob"], "context": null })] {
        let answer = service.post(CREATE_OR_GET, &body).by("alice").send().await;
        answer.refused(422, "context_required");
    }
    service.get(LOOKUP).by("alice").send().await.refused(422, "context_required");
    let chat = service.post(CREATE_OR_GET, &about("listing:42")).by("alice").send().await.ok(201);
    let found = service.get(&format!("{LOOKUP}&context=listing:42")).by("alice").send().await.ok(200);
    assert_eq!((&found["id"], &found["context"]), (&chat["id"], &json!("listing:42")));
}

#[tokio::test]
async fn what_is_no_context_is_refused_with_the_reason() {
    for policy in [ContextPolicy::Optional, ContextPolicy::Required] {
        let service = service(policy).await;
        for (context, reason) in [
            ("", "must not be empty"),
            ("a\u{7}", "must not contain control characters"),
            (&*"x".repeat(257), "at most 256 bytes"),
        ] {
            let answer = service.post(CREATE_OR_GET, &about(context)).by("alice").send().await;
            let detail = answer.refused(400, "invalid_context");
            assert!(detail.contains(reason), "{detail}");
        }
        for path in [&format!("{LOOKUP}&context="), "/api/chats?context=%07"] {
            service.get(path).by("alice").send().await.refused(400, "invalid_context");
        }
        let twice = service.get("/api/chats?context=a&context=b").by("alice").send().await;
        twice.refused(400, "invalid_request");
        let number =
            service.post(CREATE_OR_GET, &json!({ "with": ["bob"], "context": 42 })).by("alice").send().await;
        assert_eq!(number.refused(400, "invalid_request"), "The field `context` has to be a string.");
    }
}

#[tokio::test]
async fn a_context_that_imitates_a_set_never_gets_its_chat() {
    let policy = Policy { context: ContextPolicy::Optional, ..Policy::default() };
    let set = json!({ "with": ["%in:x", "bob"] });
    let imitation = json!({ "with": ["bob"], "context": "x" });
    let service = Setup { policy, key_format: KeyFormat::Joined, ..Setup::default() }.start().await;
    let held = service.post(CREATE_OR_GET, &set).by("alice").send().await.ok(201);
    assert_eq!(held["participantsKey"], "%in:x_alice_bob");
    let detail =
        service.post(CREATE_OR_GET, &imitation).by("alice").send().await.refused(409, "key_collision");
    assert!(detail.contains("context"), "{detail}");
    service.get(&format!("{LOOKUP}&context=x")).by("alice").send().await.refused(409, "key_collision");

    let service = Setup { policy, ..Setup::default() }.start().await;
    let held = service.post(CREATE_OR_GET, &set).by("alice").send().await.ok(201);
    let other = service.post(CREATE_OR_GET, &imitation).by("alice").send().await.ok(201);
    assert_ne!(held["id"], other["id"]);
}

#[test]
fn policies_are_known_by_name() {
    for policy in [ContextPolicy::Off, ContextPolicy::Optional, ContextPolicy::Required] {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    assert_eq!(ContextPolicy::default(), ContextPolicy::Off);
    let error = "on".parse::<ContextPolicy>().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#""on" is not a policy for contexts: use "off", "optional" or "required""#
    );
}
