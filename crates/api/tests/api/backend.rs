//! The example backend of the guide, in front of the service: its users reach their own chats and nobody else's.

#[path = "../../examples/backend.rs"]
#[expect(dead_code, unreachable_pub, reason = "a program of its own, of which the test uses the router")]
mod example;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Service, tokens};

/// Asks the backend as one of its users.
async fn ask(base: &str, user: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let client = Client::new();
    let call = match &body {
        Some(body) => client.post(format!("{base}{path}")).json(body),
        None => client.get(format!("{base}{path}")),
    };
    let answer = call.header("x-demo-user", user).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn users_of_a_backend_reach_their_own_chats_only() {
    let service = Service::start().await;
    let secret = String::from_utf8(tokens::SECRET.to_vec()).unwrap();
    let now = || tokens::NOW.unsigned_abs();
    let router =
        example::router(example::Onechat { url: format!("http://{}", service.address), secret, now });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let open = json!({ "with": ["bob"] });
    let (status, chat) = ask(&base, "alice", "/api/chats/create-or-get", Some(open)).await;
    assert_eq!((status, &chat["participants"]), (201, &json!(["alice", "bob"])));
    let path = format!("/api/chats/{}/messages", chat["id"].as_str().unwrap());
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    assert_eq!(ask(&base, "alice", &path, Some(message.clone())).await.0, 201);
    let (status, page) = ask(&base, "bob", &format!("{path}?limit=1"), None).await;
    assert_eq!((status, &page["items"][0]["sender"]), (200, &json!("alice")));

    for path in [path.clone(), format!("{path}?as=alice"), format!("{path}?%61s=alice")] {
        assert_eq!(ask(&base, "mallory", &path, None).await.0, 404, "{path}");
        assert_eq!(ask(&base, "mallory", &path, Some(message.clone())).await.0, 404, "{path}");
    }
    let of_others = json!({ "participants": ["alice", "bob"] });
    assert_eq!(ask(&base, "mallory", "/api/chats/create-or-get", Some(of_others)).await.0, 403);
}
