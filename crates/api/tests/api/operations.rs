//! What operators see: request ids, metrics, and answers to paths that are none.

use reqwest::Method;
use serde_json::json;

use crate::support::Service;

#[tokio::test]
async fn a_request_keeps_the_id_that_its_sender_gave_it() {
    let service = Service::start().await;
    let longest = "x".repeat(64);
    for id in ["abc-123", "!~", &longest] {
        let answer = service.get("/api/chats").header("x-request-id", id).send().await;
        assert_eq!(answer.header("x-request-id"), id);
        assert_eq!(answer.json()["requestId"], id);
    }
}

#[tokio::test]
async fn any_other_request_gets_a_new_id() {
    let service = Service::start().await;
    let mut seen = std::collections::HashSet::new();
    let too_long = "x".repeat(65);
    for id in ["", "two words", &too_long, "b\u{fc}ro"] {
        let answer = service.get("/healthz").header("x-request-id", id).send().await;
        assert_ne!(answer.header("x-request-id"), id);
        seen.insert(answer.header("x-request-id").to_owned());
        seen.insert(service.get("/healthz").send().await.header("x-request-id").to_owned());
    }
    assert_eq!(seen.len(), 8);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let service = Service::start().await;
    for path in ["/", "/api", "/api/chats/", "/api/chats/a/b/c", "/favicon.ico", "/docs/nothing.js"] {
        service.get(path).send().await.refused(404, "not_found");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/api/chats/x", "GET,HEAD"),
        (Method::GET, "/api/chats/create-or-get", "POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
        (Method::PUT, "/api/chats/x/messages", "POST,GET,HEAD"),
    ] {
        let answer = service.call(method, path).send().await;
        answer.refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allowed);
    }
}

#[tokio::test]
async fn both_methods_of_one_path_are_served() {
    let service = Service::start().await;
    let head = service.call(Method::HEAD, "/healthz").send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn metrics_go_by_route_and_not_by_path() {
    let service = Service::start().await;
    let id = service.chat_id("alice", &["bob"]).await;
    service.chat("bob", &["alice"]).await;
    service.get(&format!("/api/chats/{id}")).by("alice").send().await.ok(200);
    service.get("/api/chats/unknown").by("alice").send().await.refused(404, "chat_not_found");
    service.get("/made/up").send().await.refused(404, "not_found");
    service
        .call(Method::from_bytes(b"MADEUP").unwrap(), "/healthz")
        .send()
        .await
        .refused(405, "method_not_allowed");

    let answer = service.get("/metrics").send().await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let metrics = answer.text();
    for line in [
        "onechat_http_requests_total{method=\"POST\",route=\"/api/chats/create-or-get\",status=\"201\"} 1\n",
        "onechat_http_requests_total{method=\"POST\",route=\"/api/chats/create-or-get\",status=\"200\"} 1\n",
        "onechat_http_requests_total{method=\"GET\",route=\"/api/chats/{id}\",status=\"200\"} 1\n",
        "onechat_http_requests_total{method=\"GET\",route=\"/api/chats/{id}\",status=\"404\"} 1\n",
        "onechat_http_requests_total{method=\"GET\",route=\"(none)\",status=\"404\"} 1\n",
        "onechat_http_requests_total{method=\"OTHER\",route=\"/healthz\",status=\"405\"} 1\n",
        "onechat_http_request_duration_seconds_count{method=\"GET\",route=\"/api/chats/{id}\",status=\"200\"} 1\n",
        "onechat_create_or_get_total{outcome=\"created\"} 1\n",
        "onechat_create_or_get_total{outcome=\"existing\"} 1\n",
        "onechat_create_or_get_total{outcome=\"lost_race\"} 0\n",
        "onechat_create_or_get_total{outcome=\"collision\"} 0\n",
        "onechat_http_in_flight 0\n",
        "onechat_problems_total{code=\"overloaded\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
    assert!(!metrics.contains("made") && !metrics.contains(&id));
}

#[tokio::test]
async fn every_problem_code_is_listed_once() {
    let codes: Vec<_> = onechat_api::problem_codes().iter().map(|row| row.code).collect();
    let unique: std::collections::HashSet<_> = codes.iter().collect();
    assert_eq!(unique.len(), codes.len());
    assert!(onechat_api::problem_codes().is_sorted_by_key(|row| row.status));
    assert_eq!(json!(codes[0]), "invalid_request");
}
