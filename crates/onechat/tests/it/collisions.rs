//! Participants whose plain joins are the same text, through the whole service, in both key formats.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Server;

const SETS: [&[&str]; 3] = [&["a_b", "c"], &["a", "b_c"], &["a", "b", "c"]];

#[tokio::test]
async fn escaped_keys_give_three_chats() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut ids = std::collections::HashSet::new();
    for set in SETS {
        let (status, chat) = server.user(set[0]).open(set).await.unwrap();
        assert_eq!(status, 201, "{chat}");
        assert_eq!(chat["participants"], serde_json::json!(set));
        ids.insert(chat["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn joined_keys_refuse_the_second_set_and_leave_the_first_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--key-format", "joined"]);
    let owner = server.user("c");
    let (status, first) = owner.open(SETS[0]).await.unwrap();
    assert_eq!((status.as_u16(), &first["participantsKey"]), (201, &serde_json::json!("a_b_c")));
    for set in &SETS[1..] {
        let (status, problem) = server.user(set[0]).open(set).await.unwrap();
        assert_eq!((status.as_u16(), &problem["code"]), (409, &serde_json::json!("key_collision")));
        let text = problem.to_string();
        assert!(!text.contains(first["id"].as_str().unwrap()), "the stranger's chat is named: {text}");
        let event = server.event("key_collision");
        assert_eq!(event["level"], "WARN", "{event}");
    }
    let path = format!("/api/chats/{}", first["id"].as_str().unwrap());
    let (_, now) = owner.call(Method::GET, &path, None).await.unwrap();
    for field in ["id", "participants", "participantsKey", "createdAt", "updatedAt"] {
        assert_eq!(now[field], first[field], "{field} of the first chat changed");
    }
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("onechat_create_or_get_total{outcome=\"collision\"} 2"), "{metrics}");
}

/// A pair in a context, and a set of three that has the same key where keys are joined.
#[tokio::test]
async fn a_context_that_imitates_a_set_is_another_chat_or_refused() {
    let about = json!({ "participants": ["a", "b"], "context": "x" });
    for (format, status) in [("escaped", 201), ("joined", 409)] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &["--key-format", format, "--chats-context", "optional"]);
        let user = server.user("a");
        let (_, set) = user.open(&["%in:x", "a", "b"]).await.unwrap();
        let (answered, chat) =
            user.call(Method::POST, "/api/chats/create-or-get", Some(about.clone())).await.unwrap();
        assert_eq!(answered.as_u16(), status, "{format}: {chat}");
        assert_ne!(chat["id"], set["id"], "{format}");
        assert_eq!(set.get("context"), Some(&Value::Null), "{set}");
    }
}

#[tokio::test]
async fn a_server_configured_for_the_other_format_refuses_to_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(Server::start(folder.path(), &["--key-format", "joined"]));
    let output = crate::server::onechat()
        .current_dir(folder.path())
        .env("ONECHAT_JWT_SECRET", crate::server::SECRET)
        .args(["serve", "--store", "sqlite:chats.db"])
        .output()
        .unwrap();
    let text = crate::server::text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("set the key format to joined"), "{text}");
}
