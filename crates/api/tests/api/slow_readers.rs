//! Clients that ask and do not read, and pages that are too large to be made at once.

use std::{collections::BTreeSet, time::Duration};

use onechat_api::Limits;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::support::{Fault, Service, Setup, tokens};

/// Longer than anything here takes, and shorter than the patience of who waits for a test.
const LONG: Duration = Duration::from_secs(20);

const MIB: usize = 1024 * 1024;

/// The path of a list of messages that alice may read, each of which takes 32 KB of JSON.
async fn large_messages(service: &Service, count: usize) -> String {
    let path = format!("/api/chats/{}/messages", service.chat_id("alice", &["bob"]).await);
    for n in 0..count {
        // Each quotation mark takes two bytes in JSON.
        let body = json!({ "text": "\"".repeat(16 * 1024), "clientMessageId": format!("m{n}") });
        service.post(&path, &body).by("alice").send().await.ok(201);
    }
    path
}

/// Asks for more than the buffers of the operating system hold, and reads nothing.
async fn non_reader(service: &Service, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(service.address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", tokens::of("alice"));
    stream.write_all(request.repeat(20).as_bytes()).await.unwrap();
    stream
}

async fn until_in_flight(service: &Service, count: usize) {
    let line = format!("onechat_http_in_flight {count}\n");
    let wait = async {
        while !service.metrics().await.contains(&line) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, wait).await.expect("answers that nobody reads give their places back");
}

#[tokio::test]
async fn a_request_keeps_its_place_until_its_answer_is_sent() {
    let limits =
        Limits { max_concurrent_requests: 1, send_timeout: Duration::from_secs(6), ..Limits::default() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let list = large_messages(&service, 40).await;
    let mut silent = non_reader(&service, &list).await;
    let lookup = || service.get("/api/chats/lookup?with=bob").by("alice").send();
    // The first answers fit into the buffers of the system; the one that does not keeps the place.
    let wait = async { while lookup().await.status != 503 {} };
    timeout(LONG, wait).await.expect("the place is given back before its answer is sent");
    lookup().await.refused(503, "overloaded");

    let wait = async { while lookup().await.status == 503 {} };
    timeout(LONG, wait).await.expect("a client that reads nothing keeps the place of others");
    lookup().await.ok(200);
    let mut received = Vec::new();
    let end = timeout(LONG, silent.read_to_end(&mut received)).await.expect("the connection stays open");
    assert!(end.is_err(), "the connection ended as if the answers were complete");
}

#[tokio::test]
async fn who_reads_late_gets_everything() {
    let service = Service::start().await;
    let list = large_messages(&service, 40).await;
    let mut late = non_reader(&service, &list).await;
    until_in_flight(&service, 1).await;
    let (mut received, mut buffer) = (0, vec![0; 16 * 1024]);
    while received < 13 * MIB {
        let bytes = late.read(&mut buffer).await.unwrap();
        assert!(bytes > 0, "the connection has ended after {received} bytes");
        received += bytes;
    }
}

#[tokio::test]
async fn stopping_does_not_wait_long_for_who_does_not_read() {
    let limits = Limits { send_timeout: Duration::from_secs(1), ..Limits::default() };
    let mut service = Setup { limits, drain_timeout: LONG * 2, ..Setup::default() }.start().await;
    let list = large_messages(&service, 40).await;
    let _silent = non_reader(&service, &list).await;
    until_in_flight(&service, 1).await;
    service.begin_stop();
    let drained = timeout(LONG, service.stopped()).await.expect("the server does not stop");
    assert_eq!(drained.aborted_connections, 0);
}

/// Every page of a list, by a limit that each page could reach if bytes did not matter.
async fn walk(service: &Service, path: &str, cursor: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut next) = (Vec::new(), String::new());
    loop {
        let answer = service.get(&format!("{path}?limit=100{next}")).by("alice").send().await;
        assert!(answer.body.len() <= MIB + 100, "{} bytes", answer.body.len());
        let page = answer.ok(200);
        pages.push(page["items"].as_array().unwrap().clone());
        match &page["nextCursor"] {
            Value::Null => return pages,
            position => next = format!("&{cursor}={}", position.as_str().unwrap()),
        }
    }
}

fn assert_complete(pages: &[Vec<Value>], count: usize) {
    assert!(pages.len() > 1, "there is one page only");
    assert!(pages.iter().all(|page| !page.is_empty()), "a page is empty");
    let ids: Vec<&Value> = pages.iter().flatten().map(|item| &item["id"]).collect();
    assert_eq!(ids.len(), count);
    assert_eq!(ids.iter().map(|id| id.as_str().unwrap()).collect::<BTreeSet<_>>().len(), count);
}

#[tokio::test]
async fn pages_of_chats_are_bounded_in_bytes_and_complete() {
    let service = Service::start().await;
    let crowd: Vec<String> = (0..254).map(|n| format!("{n:03}{}", "x".repeat(253))).collect();
    for n in 0..20 {
        let others = crowd.iter().cloned().chain([format!("y{n}")]).collect::<Vec<_>>();
        let body = json!({ "with": others });
        service.post("/api/chats/create-or-get", &body).by("alice").send().await.ok(201);
    }
    assert_complete(&walk(&service, "/api/chats", "cursor").await, 20);
    // Only the store knows where a chat stands in its list: a cursor made of what is shown would repeat or skip some.
    service.store.set(Fault::ListsByHidden);
    assert_complete(&walk(&service, "/api/chats", "cursor").await, 20);
}

#[tokio::test]
async fn pages_of_messages_are_bounded_in_bytes_and_complete() {
    let service = Service::start().await;
    let list = large_messages(&service, 40).await;
    assert_complete(&walk(&service, &list, "before").await, 40);
}

#[tokio::test]
async fn pages_get_smaller_when_many_are_unsent_and_walks_stay_complete() {
    let limits = Limits { send_timeout: LONG * 3, ..Limits::default() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let list = large_messages(&service, 40).await;
    let usual = walk(&service, &list, "before").await;
    let mut silent = Vec::new();
    let crowd = async {
        loop {
            silent.push(non_reader(&service, &list).await);
            let first = service.get(&format!("{list}?limit=100")).by("alice").send().await.ok(200);
            if first["items"].as_array().unwrap().len() * 4 < usual[0].len() {
                break;
            }
        }
    };
    timeout(LONG * 2, crowd).await.expect("pages stay as large as they were");
    let pages = walk(&service, &list, "before").await;
    assert_complete(&pages, 40);
    assert!(pages.len() > usual.len(), "{} pages", pages.len());

    drop(silent);
    until_in_flight(&service, 0).await;
    assert_eq!(walk(&service, &list, "before").await, usual);
}

#[tokio::test]
async fn files_of_the_page_are_not_held_for_all_who_do_not_read() {
    let limits = Limits { send_timeout: LONG / 2, ..Limits::default() };
    let service = Setup { limits, ..Setup::default() }.start().await;
    let largest = "/docs/swagger-ui-bundle.js";
    let mut silent = Vec::new();
    let crowd = async {
        while service.get(largest).send().await.status == 200 {
            silent.push(non_reader(&service, largest).await);
        }
    };
    timeout(LONG, crowd).await.expect("every file is held, however many there are");
    assert!(silent.len() < 100, "{}", silent.len());
    service.get(largest).send().await.refused(503, "overloaded");
    // The API is not concerned.
    service.chat("alice", &["bob"]).await;
    let wait = async { while service.get(largest).send().await.status == 503 {} };
    timeout(LONG, wait).await.expect("who does not read the page keeps others from it");
}
