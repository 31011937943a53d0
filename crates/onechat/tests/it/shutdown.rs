//! A server that is asked to end finishes what it has accepted, and says so.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::server::{Server, token};

/// How many requests are in the middle of being sent when the server is asked to end.
const REQUESTS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_requests_are_answered_and_their_chats_are_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let mut requests = Vec::new();
    for n in 0..REQUESTS {
        requests.push(HalfSent::new(&server, &format!("friend-{n}")).await);
    }

    server.signal("TERM");
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    until("new connections are refused", async || TcpStream::connect(&address).await.is_err()).await;
    let mut acknowledged = Vec::new();
    for request in requests {
        let answer = request.finish().await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let chat: serde_json::Value = serde_json::from_str(body).unwrap();
        acknowledged.push(chat["id"].as_str().unwrap().to_owned());
    }
    let event = server.event("stopped");
    assert_eq!(event["message"], "everything that was accepted is finished", "{event}");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));

    let server = Server::start(folder.path(), &[]);
    let stored = server.user("hub").all("/api/chats", "cursor").await;
    let mut stored: Vec<_> = stored.iter().map(|chat| chat["id"].as_str().unwrap()).collect();
    stored.sort_unstable();
    acknowledged.sort_unstable();
    assert_eq!(stored, acknowledged);
}

/// A create-or-get that the server has accepted, and whose body is still on its way.
struct HalfSent {
    connection: TcpStream,
    rest: String,
}

impl HalfSent {
    async fn new(server: &Server, friend: &str) -> Self {
        let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
        let body = serde_json::json!({"participants": ["hub", friend]}).to_string();
        let (start, rest) = body.split_at(body.len() / 2);
        let request = format!(
            "POST /api/chats/create-or-get HTTP/1.1\r\nHost: onechat\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            token("hub"),
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        // Said by the server when it begins to read the body.
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        connection.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&go_on));
        connection.write_all(start.as_bytes()).await.unwrap();
        Self { connection, rest: rest.to_owned() }
    }

    /// Sends the rest, and takes what comes until the server closes the connection.
    async fn finish(mut self) -> String {
        let mut answer = String::new();
        self.connection.write_all(self.rest.as_bytes()).await.unwrap();
        self.connection.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// Waits until something holds; not for ever, so that a test that waits in vain says for what.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
