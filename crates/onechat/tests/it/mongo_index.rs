//! The unique index on MongoDB: nothing is written without it, and the commands that show, make and drop it.

use std::time::{Duration, Instant};

use onechat_mongod::Deployment;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    mongo::{fresh, on, serve},
    server::{Server, run, text},
};

/// For what a running server has to notice by itself.
const SECONDS: Duration = Duration::from_secs(20);

/// Opens new chats until one is answered as wanted: the server has to notice what was done to its index.
async fn until(server: &Server, wanted: u16) -> Value {
    let began = Instant::now();
    let mut n = 0;
    loop {
        n += 1;
        let (status, answer) =
            server.user("ann").open(&["ann", &format!("somebody {wanted} {n}")]).await.unwrap();
        if status.as_u16() == wanted {
            return answer;
        }
        assert!(began.elapsed() < SECONDS, "still {status} after {SECONDS:?}: {answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn without_the_index_nothing_is_written_until_it_is_made() {
    let store = fresh().await;
    let running = serve(&store, &[]);
    let (_, chat) = running.user("ann").open(&["ann", "bob"]).await.unwrap();
    let dropped = on(&store, &["index", "drop", "--yes"]);
    assert_eq!(dropped.status.code(), Some(0), "{}", text(&dropped));
    assert_eq!(text(&dropped).trim(), "dropped chats.onechat_participantsKey");
    let status = on(&store, &["index", "status"]);
    assert_eq!(status.status.code(), Some(1), "{}", text(&status));
    assert!(
        text(&status).contains("MISSING") && text(&status).contains("onechat index create"),
        "{}",
        text(&status)
    );

    // The one that was there has to notice; the new one sees a collection with chats and without an index.
    let started = serve(&store, &[]);
    for server in [&running, &started] {
        let problem = until(server, 503).await;
        assert_eq!(problem["code"], "not_migrated", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("`onechat migrate`"), "{problem}");
        let id = chat["id"].as_str().unwrap();
        let bob = server.user("bob");
        let (status, found) = bob.call(Method::GET, &format!("/api/chats/{id}"), None).await.unwrap();
        assert_eq!(
            (status, &found["id"]),
            (StatusCode::OK, &chat["id"]),
            "what is there can be read: {found}"
        );
        assert_eq!(bob.all("/api/chats", "cursor").await.len(), 1);
        assert!(bob.send(id, "m1").await.unwrap().0.is_success(), "and written to");
        let (status, ready) = server.get("/readyz").await;
        assert!(status == 503 && ready.contains("onechat migrate"), "{ready}");
        assert_eq!(server.get("/healthz").await.0, 200);
    }
    let audit = on(&store, &["audit"]);
    assert_eq!(audit.status.code(), Some(1), "{}", text(&audit));

    let created = on(&store, &["index", "create"]);
    assert_eq!(created.status.code(), Some(0), "{}", text(&created));
    for server in [&running, &started] {
        until(server, 201).await;
        assert_eq!(server.get("/readyz").await.0, 200);
    }
    let status = on(&store, &["index", "status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let one = status["indexes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["purpose"] == "one_chat_per_key")
        .unwrap();
    assert_eq!(
        (&status["complete"], &one["unique"], &one["found"]["ours"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(on(&store, &["index", "create"]).status.code(), Some(0), "it may be repeated");
}

#[tokio::test]
async fn dropping_says_what_is_lost_and_asks() {
    let store = fresh().await;
    assert_eq!(on(&store, &["index", "create"]).status.code(), Some(0));
    let refused = on(&store, &["index", "drop"]);
    let text = text(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for part in ["not_migrated", "duplicates", "--yes", "nothing was changed"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert_eq!(on(&store, &["index", "status"]).status.code(), Some(0), "it was dropped all the same");
}

#[tokio::test]
async fn told_to_it_writes_without_the_index_and_says_so() {
    let store = fresh().await;
    drop(serve(&store, &[]).user("ann").open(&["ann", "bob"]).await.unwrap());
    assert_eq!(on(&store, &["index", "drop", "--yes"]).status.code(), Some(0));
    let mut command = crate::server::onechat();
    command.args(["serve", "--unsafe-no-index"]).env("ONECHAT_STORE", &store);
    let (server, before) = Server::start_with_log(command);
    assert!(before.contains("\"event\":\"unsafe_no_index\""), "{before}");
    let (status, chat) = server.user("ann").open(&["ann", "carol"]).await.unwrap();
    assert_eq!(status, 201, "{chat}");
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("onechat_unsafe_no_index 1\n"), "{metrics}");
}

#[tokio::test]
async fn duplicates_that_are_there_are_in_the_way_of_the_index_and_the_audit_names_them() {
    let deployment = Deployment::standalone().await.unwrap();
    let chats = deployment.client().database("old").collection::<Value>("chats");
    let chat = |id: &str| json!({"_id": id, "participants": ["ann", "bob"], "participantsKey": "ann_bob"});
    chats.insert_many([chat("one"), chat("other")]).await.unwrap();
    let store = deployment.uri("old");
    let refused = on(&store, &["index", "create"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("`onechat audit`"), "{}", text(&refused));
    let audit = on(&store, &["audit", "--json", "--key-format", "joined"]);
    assert_eq!(audit.status.code(), Some(1), "{}", text(&audit));
    let report: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let codes: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert!(
        codes.contains(&&json!("duplicate_set")) && codes.contains(&&json!("missing_unique_index")),
        "{codes:?}"
    );
}

#[test]
fn in_a_file_there_is_nothing_to_make_or_drop() {
    let folder = tempfile::tempdir().unwrap();
    for action in ["status", "create", "drop"] {
        let output = run(folder.path(), &["index", action, "--store", "sqlite:chats.db"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("part of its schema"), "{}", text(&output));
    }
}
