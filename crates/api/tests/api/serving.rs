//! Sockets: connections that stay, and a server that stops without dropping what it has accepted.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Fault, Service, Setup};

#[tokio::test]
async fn stopping_finishes_what_was_accepted() {
    let mut service = Service::start().await;
    service.store.set(Fault::Holds);
    let create = service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })).by("alice");
    let answer = tokio::spawn(create.send());
    service.store.held(1).await;

    service.begin_stop();
    while TcpStream::connect(service.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    service.store.release(1);
    let answer = answer.await.unwrap();
    answer.ok(201);
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(service.stopped().await.aborted_connections, 0);
}

#[tokio::test]
async fn stopping_closes_connections_that_are_idle() {
    let mut service = Service::start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    service.begin_stop();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with(r#"{"status":"ok"}"#), "{rest}");
    assert_eq!(service.stopped().await.aborted_connections, 0);
}

#[tokio::test]
async fn stopping_does_not_wait_for_connections_that_have_asked_nothing() {
    let mut service = Service::start().await;
    let mut silent = TcpStream::connect(service.address).await.unwrap();
    // Connections are accepted in order: once this is answered, the silent one has been accepted.
    service.get("/healthz").send().await.ok(200);
    service.begin_stop();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(service.stopped().await.aborted_connections, 0);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut service = Setup { drain_timeout: Duration::from_millis(50), ..Setup::default() }.start().await;
    service.store.set(Fault::Holds);
    let answer = tokio::spawn({
        let client = reqwest::Client::new();
        let url = format!("http://{}/readyz", service.address);
        async move { client.get(url).send().await }
    });
    service.store.held(1).await;
    service.begin_stop();
    assert_eq!(service.stopped().await.aborted_connections, 1);
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(&request.repeat(3)).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 4);
}
