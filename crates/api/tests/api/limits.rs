//! How much is taken on, and how more is refused.

use std::time::Duration;

use onechat_api::Limits;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Fault, Service, Setup, tokens};

async fn service(limits: Limits) -> Service {
    Setup { limits, ..Setup::default() }.start().await
}

#[tokio::test]
async fn a_body_may_be_so_long_and_no_longer() {
    let service = service(Limits { max_body_bytes: 100, ..Limits::default() }).await;
    let post = |bytes: usize| {
        let body = format!(r#"{{"with":["bob"],"padding":"{}"}}"#, "x".repeat(bytes - 29));
        assert_eq!(body.len(), bytes);
        let call = service.call(reqwest::Method::POST, "/api/chats/create-or-get");
        call.by("alice").body("application/json", body).send()
    };
    post(100).await.ok(201);
    let detail = post(101).await.refused(413, "body_too_large");
    assert!(detail.contains("100 bytes"), "{detail}");
}

#[tokio::test]
async fn a_head_may_be_so_long_and_no_longer() {
    let service = service(Limits { max_header_bytes: 2048, ..Limits::default() }).await;
    let get = |bytes: usize| {
        let filler = "x".repeat(bytes - "GET /healthz HTTP/1.1\r\nhost: x\r\nx-filler: \r\n\r\n".len());
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-filler: {filler}\r\n\r\n")
    };
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    for (bytes, status) in [(2048, "200"), (2049, "431"), (60_000, "431"), (2048, "200")] {
        stream.write_all(get(bytes).as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = str::from_utf8(&answer[..length]).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{bytes}: {answer}");
        assert!(answer.contains("x-request-id: "), "{bytes}: {answer}");
        if status == "431" {
            assert!(answer.contains("application/problem+json"), "{answer}");
            assert!(answer.contains("\"code\":\"head_too_large\""), "{answer}");
            assert!(answer.contains(&format!("{bytes} bytes, and may have 2048")), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_head_that_is_far_too_long_is_not_even_read() {
    let service = service(Limits { max_header_bytes: 2048, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-filler: {}\r\n\r\n", "x".repeat(70_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 431");
}

#[tokio::test]
async fn headers_may_be_so_many_and_no_more() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 431");
}

#[tokio::test]
async fn a_slow_store_is_not_waited_for_for_ever() {
    let service = service(Limits { request_timeout: Duration::from_millis(50), ..Limits::default() }).await;
    service.store.set(Fault::Holds);
    let answer = service.get("/api/chats").by("alice").send().await;
    let detail = answer.refused(503, "timeout");
    assert!(detail.contains("repeating it is safe"), "{detail}");
    service.get("/readyz").send().await.refused(503, "timeout");
    assert!(service.metrics().await.contains("onechat_http_in_flight 0\n"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let service = service(Limits { request_timeout: Duration::from_millis(50), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST /api/chats/create-or-get HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        tokens::of("alice")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"body_timeout\""), "{answer}");
    assert!(answer.contains("Nothing was done"), "{answer}");
}

#[tokio::test]
async fn more_requests_than_can_be_worked_on_are_turned_away() {
    let service = service(Limits { max_concurrent_requests: 2, ..Limits::default() }).await;
    service.store.set(Fault::Holds);
    let create = |other: &str| {
        service.post("/api/chats/create-or-get", &json!({ "with": [other] })).by("alice").send()
    };
    let working = [tokio::spawn(create("bob")), tokio::spawn(create("carol"))];
    service.store.held(2).await;

    create("dave").await.refused(503, "overloaded");
    // Whoever watches over the service has to see it just then.
    service.get("/healthz").send().await.ok(200);
    let metrics = service.metrics().await;
    assert!(metrics.contains("onechat_http_in_flight 2\n"), "{metrics}");
    assert!(metrics.contains("onechat_problems_total{code=\"overloaded\"} 1\n"), "{metrics}");

    service.store.release(2);
    for answer in working {
        answer.await.unwrap().ok(201);
    }
    service.store.set(None);
    create("dave").await.ok(201);
    assert!(service.metrics().await.contains("onechat_http_in_flight 0\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_place_back() {
    let service = service(Limits { max_concurrent_requests: 1, ..Limits::default() }).await;
    service.store.set(Fault::Holds);
    let call = tokio::spawn(service.get("/api/chats").by("alice").send());
    service.store.held(1).await;
    call.abort();
    service.store.set(None);
    while service.metrics().await.contains("onechat_http_in_flight 1\n") {
        tokio::task::yield_now().await;
    }
    service.get("/api/chats").by("alice").send().await.ok(200);
}
