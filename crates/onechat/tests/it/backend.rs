//! The Express backend of the guide, in front of the binary: its users reach their own chats and nobody else's.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    peers,
    server::{SECRET, Server},
};

/// Killed when it goes out of scope.
struct Backend {
    process: Child,
    url: String,
}

impl Backend {
    fn start(onechat: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let peer = peers::mongoose(&root).unwrap_or_else(|error| panic!("there is no Express: {error}"));
        let mut process = Command::new("node")
            .arg(root.join("docs/examples/backend.js"))
            .env("NODE_PATH", peer.canonicalize().unwrap().join("node_modules"))
            .env("CHAT_URL", onechat)
            .env("ONECHAT_JWT_SECRET", SECRET)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node cannot be run: {error}"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("backend on ").map(str::to_owned);
        Self { url: url.unwrap_or_else(|| panic!("the backend did not start: {line:?}")), process }
    }

    async fn ask(&self, user: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let call = match &body {
            Some(body) => Client::new().post(url).json(body),
            None => Client::new().get(url),
        };
        let answer = call.header("x-demo-user", user).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The status line for a path that clients would normalise before they send it.
async fn raw_status(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nx-demo-user: eve\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn users_of_an_express_backend_reach_their_own_chats_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let backend = Backend::start(&server.url);
    let (status, chat) =
        backend.ask("alice", "/api/chats/create-or-get", Some(json!({ "with": ["bob"] }))).await;
    assert_eq!((status, &chat["participants"]), (201, &json!(["alice", "bob"])));
    let path = format!("/api/chats/{}/messages", chat["id"].as_str().unwrap());
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    assert_eq!(backend.ask("alice", &path, Some(message.clone())).await.0, 201);
    let (status, page) = backend.ask("bob", &format!("{path}?limit=1"), None).await;
    assert_eq!((status, &page["items"][0]["sender"]), (200, &json!("alice")));

    for path in [path.clone(), format!("{path}?as=alice"), format!("{path}?%61s=alice")] {
        assert_eq!(backend.ask("mallory", &path, None).await.0, 404, "{path}");
        assert_eq!(backend.ask("mallory", &path, Some(message.clone())).await.0, 404, "{path}");
    }
    assert!(raw_status(&backend.url, "/api/chats/../../metrics").await.contains(" 404 "));
    assert!(raw_status(&backend.url, "/api/chats/%2e%2e/%2e%2e/metrics").await.contains(" 404 "));
    let of_others = json!({ "participants": ["alice", "bob"] });
    assert_eq!(backend.ask("mallory", "/api/chats/create-or-get", Some(of_others)).await.0, 403);
}
