//! Clients that begin a request and do not finish it.

use std::time::Duration;

use onechat_api::Limits;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Service, Setup, tokens};

/// Longer than anything here takes, and shorter than the patience of who waits for a test.
const LONG: Duration = Duration::from_secs(20);

fn head(token: &str, bytes: usize) -> String {
    format!(
        "POST /api/chats/create-or-get HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

/// A request of whose body only `part` comes.
async fn begun(service: &Service, token: &str, part: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all((head(token, 1000) + part).as_bytes()).await.unwrap();
    stream
}

/// Limits under which a body is given up by others only: time does it much later than a test waits.
fn patient() -> Limits {
    Limits { request_timeout: LONG * 10, ..Limits::default() }
}

/// One answer: its head, and its body if that is a problem.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.ends_with('}') {
        let bytes = timeout(LONG, stream.read(&mut buffer)).await.expect("there is no answer").unwrap();
        assert!(bytes > 0, "no answer but {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..bytes]).unwrap());
    }
    text
}

#[tokio::test]
async fn heads_without_bodies_keep_nobody_out() {
    let limits = Limits { max_concurrent_requests: 100, ..patient() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let token = tokens::of("mallory");
    let mut begun_ones = Vec::new();
    for _ in 0..150 {
        begun_ones.push(begun(&service, &token, "{").await);
    }
    // Those that have waited longest are given up, and told so.
    let first = answer(&mut begun_ones[0]).await;
    assert!(first.starts_with("HTTP/1.1 408") && first.contains("\"body_timeout\""), "{first}");
    assert!(first.contains("Nothing was done"), "{first}");

    service.chat("alice", &["bob"]).await;
    service.get("/api/chats").by("alice").send().await.ok(200);
    assert!(service.metrics().await.contains("onechat_http_in_flight 0\n"));
}

#[tokio::test]
async fn at_the_bound_the_body_that_was_awaited_longest_is_given_up() {
    let limits = Limits { max_concurrent_requests: 2, ..patient() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let token = tokens::of("mallory");
    let mut longest = begun(&service, &token, "{").await;
    let mut others = Vec::new();
    for _ in 0..2 {
        // Connections are served in the order in which they are made; what they send, need not be.
        service.get("/healthz").send().await.ok(200);
        others.push(begun(&service, &token, "{").await);
    }
    assert!(answer(&mut longest).await.starts_with("HTTP/1.1 408"));
    for other in &mut others {
        let rest = format!(r#""with":["bob"],"x":"{}"}}"#, " ".repeat(1000 - 23));
        other.write_all(rest.as_bytes()).await.unwrap();
        let text = answer(other).await;
        assert!(text.starts_with("HTTP/1.1 20"), "{text}");
    }
}

#[tokio::test]
async fn bodies_on_their_way_are_bounded_in_bytes() {
    let limits = Limits { max_body_bytes: 8 * 1024 * 1024, ..patient() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let mut begun_ones = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let length = 8 * 1024 * 1024;
        stream.write_all(head(&tokens::of("mallory"), length).as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; length - 1]).await.unwrap();
        begun_ones.push(stream);
    }
    let first = answer(&mut begun_ones[0]).await;
    assert!(first.starts_with("HTTP/1.1 408"), "{first}");
    service.chat("alice", &["bob"]).await;
}

#[tokio::test]
async fn strangers_are_turned_away_before_their_body() {
    let service = Service::start().await;
    let text = answer(&mut begun(&service, "stranger", "").await).await;
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
}

#[tokio::test]
async fn who_waits_for_the_body_of_another_is_not_refused() {
    let limits = Limits { max_concurrent_requests: 1, ..patient() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let _begun = begun(&service, &tokens::of("mallory"), "{").await;
    service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })).by("alice").send().await.ok(201);
    service.get("/api/chats").by("alice").send().await.ok(200);
}
