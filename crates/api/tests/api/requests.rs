//! What a request may look like, as HTTP and as JSON, and what is said about one that does not.

use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Answer, Service, tokens};

const CREATE_OR_GET: &str = "/api/chats/create-or-get";

/// Longer than anything here takes, and shorter than the patience of who waits for a test.
const LONG: Duration = Duration::from_secs(20);

async fn post(service: &Service, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    service.call(Method::POST, path).by("alice").body("application/json", body).send().await
}

/// Sends `request` whole before anything of the answer is read, as many clients do.
async fn exchange(service: &Service, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    timeout(LONG, stream.write_all(request)).await.expect("nobody reads the request").unwrap();
    answer(&mut stream).await
}

/// One answer with JSON for a body.
async fn answer(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while !text.ends_with('}') {
        let bytes = timeout(LONG, stream.read(&mut buffer)).await.expect("there is no answer").unwrap();
        assert!(bytes > 0, "no answer but {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..bytes]).unwrap());
    }
    text
}

fn head(lines: &str) -> String {
    format!(
        "POST {CREATE_OR_GET} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\n{lines}\r\n",
        tokens::of("alice")
    )
}

#[tokio::test]
async fn a_body_is_an_object_and_nothing_else() {
    let service = Service::start().await;
    let chat = service.chat_id("alice", &["bob"]).await;
    let messages = format!("/api/chats/{chat}/messages");
    for body in [r#"["hello","m1"]"#, r#"[["alice","bob"],null]"#, "\"hello\"", "null", "7", "", "hello"] {
        for path in [CREATE_OR_GET, &messages] {
            let detail = post(&service, path, body).await.refused(400, "invalid_request");
            assert_eq!(detail, "The body has to be a JSON object.", "{body}");
        }
    }
    let page = service.get(&messages).by("alice").send().await.ok(200);
    assert_eq!(page["items"], json!([]), "a list was taken as a message");
}

#[tokio::test]
async fn mistakes_in_a_body_are_named_in_the_words_of_its_author() {
    let service = Service::start().await;
    let chat = service.chat_id("alice", &["bob"]).await;
    let messages = format!("/api/chats/{chat}/messages");
    for (path, body, expected) in [
        (CREATE_OR_GET, r#"{"with":"bob"}"#, "The field `with` has to be an array."),
        (CREATE_OR_GET, r#"{"with":{"0":"bob"}}"#, "The field `with` has to be an array."),
        (CREATE_OR_GET, r#"{"with":["bob",null]}"#, "The field `with[1]` has to be a string."),
        (CREATE_OR_GET, r#"{"with":["bob"],"with":["eve"]}"#, "The field `with` is given more than once."),
        (&messages, r#"{"clientMessageId":"m1"}"#, "The field `text` is missing."),
        (&messages, r#"{"text":"hello"}"#, "The field `clientMessageId` is missing."),
        (&messages, r#"{"text":["hello"],"clientMessageId":"m1"}"#, "The field `text` has to be a string."),
        (&messages, r#"{"text":"a","clientMessageId":1}"#, "The field `clientMessageId` has to be a string."),
        (
            &messages,
            r#"{"text":"a","text":"b","clientMessageId":"m1"}"#,
            "The field `text` is given more than once.",
        ),
    ] {
        assert_eq!(post(&service, path, body).await.refused(400, "invalid_request"), expected, "{body}");
    }
    for (path, body, beginning) in [
        (CREATE_OR_GET, r#"{"with":["\ud83d"]}"#, "The body is not valid JSON, in the field `with[0]`: "),
        (
            &messages,
            r#"{"clientMessageId":"m1","text":"\ud83d"}"#,
            "The body is not valid JSON, in the field `text`: ",
        ),
        (CREATE_OR_GET, r#"{"with":["bob"]"#, "The body is not valid JSON: "),
        (CREATE_OR_GET, r#"{"with":["bob"]}}"#, "The body is not valid JSON: "),
    ] {
        let detail = post(&service, path, body).await.refused(400, "invalid_request");
        assert!(detail.starts_with(beginning), "{detail}");
        assert!(!detail.contains("struct") && !detail.contains("Option"), "{detail}");
    }
    let not_utf8 = post(&service, CREATE_OR_GET, b"{\"with\":[\"\xFF\"]}".to_vec()).await;
    let detail = not_utf8.refused(400, "invalid_request");
    assert!(detail.contains("in the field `with[0]`"), "{detail}");
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    let service = Service::start().await;
    post(&service, CREATE_OR_GET, "\u{feff}{\"with\":[\"bob\"]}").await.ok(201);
}

#[tokio::test]
async fn an_encoded_body_is_not_taken_for_json() {
    let service = Service::start().await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gzip, br#"{"with":["bob"]}"#).unwrap();
    let body = gzip.finish().unwrap();
    let call = service.call(Method::POST, CREATE_OR_GET).by("alice").header("content-encoding", "gzip");
    let detail = call.body("application/json", body).send().await.refused(415, "unsupported_media_type");
    assert!(detail.contains("Content-Encoding"), "{detail}");
    let call = service.call(Method::POST, CREATE_OR_GET).by("alice").header("content-encoding", "identity");
    call.body("application/json", r#"{"with":["bob"]}"#).send().await.ok(201);
}

#[tokio::test]
async fn who_sends_too_much_still_gets_the_answer() {
    let service = Service::start().await;
    let body = vec![b' '; 5_000_000];
    let declared = [head("content-length: 5000000\r\n").as_bytes(), &body].concat();
    let chunk = [b"4c4b40\r\n", &body[..], b"\r\n0\r\n\r\n"].concat();
    let chunked = [head("transfer-encoding: chunked\r\n").as_bytes(), &chunk].concat();
    for request in [declared, chunked] {
        let text = exchange(&service, &request).await;
        assert!(text.starts_with("HTTP/1.1 413") && text.contains("\"body_too_large\""), "{text}");
    }
}

#[tokio::test]
async fn who_is_refused_before_the_body_is_read_still_gets_the_answer() {
    let service = Service::start().await;
    let body = vec![b' '; 5_000_000];
    for (path, status) in [(CREATE_OR_GET, "401"), ("/api/chats", "405"), ("/nowhere", "404")] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n");
        let text = exchange(&service, &[head.as_bytes(), &body].concat()).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{text}");
    }
}

#[tokio::test]
async fn a_length_that_is_too_large_is_answered_before_the_body_comes() {
    let service = Service::start().await;
    for lines in ["content-length: 5000000\r\n", "content-length: 5000000\r\nexpect: 100-continue\r\n"] {
        let text = exchange(&service, head(lines).as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    }
    // And who waits to be told to go on is told so.
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(head("content-length: 16\r\nexpect: 100-continue\r\n").as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    timeout(LONG, stream.read_exact(&mut interim)).await.expect("there is no answer").unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"with":["bob"]}"#).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 201"), "{text}");
}

#[tokio::test]
async fn a_request_names_one_host() {
    let service = Service::start().await;
    for path in ["/healthz", "/api/chats", "/nowhere", "/docs"] {
        for hosts in ["", "host: x\r\nhost: x\r\n"] {
            let text = exchange(&service, format!("GET {path} HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await;
            assert!(text.starts_with("HTTP/1.1 400") && text.contains("\"invalid_request\""), "{text}");
            assert!(text.contains("x-request-id: ") && text.contains("The header Host"), "{text}");
        }
    }
    // Before HTTP/1.1 there was no such header.
    let text = exchange(&service, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.0 200"), "{text}");
}
