//! Servers of a collection whose chats have texts or numbers for ids, over the wire.

use bson::{Bson, Document, doc};
use onechat_legacy::connect;
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Server, all_of, onechat};

fn serve(store: &str, folder: &std::path::Path, section: &str) -> Server {
    let file = folder.join("onechat.toml");
    std::fs::write(&file, section).unwrap();
    let mut command = onechat();
    command.args(["serve", "--store", store, "--config", file.to_str().unwrap()]);
    Server::start_as(command)
}

/// Chats of ann and somebody each, with this section, which are migrated and then served.
async fn served(store: &str, section: &str, ids: &[Bson]) -> (Server, tempfile::TempDir) {
    let (database, folder) = (connect(store).await.unwrap(), tempfile::tempdir().unwrap());
    let chats = ids.iter().enumerate().map(|(number, id)| {
        doc! { "_id": id.clone(), "participants": ["ann", format!("b{number}")] }
    });
    database.collection::<Document>("chats").insert_many(chats).await.unwrap();
    let file = folder.path().join("onechat.toml");
    std::fs::write(&file, section).unwrap();
    let mut migrate = onechat();
    migrate.args(["migrate", "--yes", "--store", store, "--config", file.to_str().unwrap()]);
    assert!(migrate.output().unwrap().status.success());
    (serve(store, folder.path(), section), folder)
}

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let (status, answer) = server.user("ann").call(Method::GET, path, None).await.unwrap();
    (status.as_u16(), answer)
}

fn in_a_path(id: &str) -> String {
    id.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

#[tokio::test]
async fn chats_are_opened_by_texts_and_numbers_and_written_to() {
    let texts = ["dm_a_b", "a/b c%d?e#f", "6000000000000000000000aa", "ключ"].map(Bson::from);
    let numbers = [Bson::Int32(7), Bson::Double(42.0), Bson::Int64(-1)];
    let cases: [(&str, &[Bson]); 2] = [("string", &texts), ("number", &numbers)];
    for (form, ids) in cases {
        for deployment in [shared_standalone().await, shared_replica_set().await] {
            let store = deployment.uri(&fresh_database("it"));
            let (server, _folder) = served(&store, &format!("[mongodb]\nchat_id = '{form}'\n"), ids).await;
            let ann = server.user("ann");
            let listed = ann.all("/api/chats", "cursor").await;
            assert_eq!(listed.len(), ids.len(), "{listed:?}");
            for chat in &listed {
                let id = chat["id"].as_str().unwrap();
                let (status, opened) = get(&server, &format!("/api/chats/{}", in_a_path(id))).await;
                assert_eq!((status, &opened["participants"]), (200, &chat["participants"]), "{id}: {opened}");
                assert_eq!(ann.send(&in_a_path(id), "m1").await.unwrap().0, 201, "{id}");
                assert_eq!(ann.send(&in_a_path(id), "m1").await.unwrap().0, 200, "{id}");
                let (_, page) = get(&server, &format!("/api/chats/{}/messages", in_a_path(id))).await;
                assert_eq!(
                    (page["items"].as_array().unwrap().len(), &page["items"][0]["chatId"]),
                    (1, &json!(id))
                );
            }
            let database = connect(&store).await.unwrap();
            let named = all_of(&database, "messages").await;
            assert!(named.iter().all(|message| ids.contains(&message["chatId"])), "{named:?}");
            let (status, chat) = ann.open(&["ann", "new"]).await.unwrap();
            if form == "number" {
                assert_eq!((status.as_u16(), &chat["code"]), (422, &json!("store_refused")), "{chat}");
                assert!(chat["detail"].as_str().unwrap().contains("ids of chats are numbers"), "{chat}");
                continue;
            }
            assert_eq!(status, 201, "{chat}");
            let stored = all_of(&database, "chats").await;
            assert!(
                stored.iter().any(|stored| stored["_id"] == chat["id"].as_str().unwrap().into()),
                "{stored:?}"
            );
        }
    }
}
