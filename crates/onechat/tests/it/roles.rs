//! Servers whose chats have a field for each participant: requests say who is what, over the wire.

use bson::{Bson, Document, oid::ObjectId};
use onechat_legacy::connect;
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Server, all_of, onechat};

const ANN: &str = "60000000000000000000000a";
const BOB: &str = "60000000000000000000000b";
const EVE: &str = "60000000000000000000000e";
const ITEM: &str = "600000000000000000000050";

async fn stores() -> [String; 2] {
    [
        shared_standalone().await.uri(&fresh_database("it")),
        shared_replica_set().await.uri(&fresh_database("it")),
    ]
}

fn serve(store: &str, folder: &std::path::Path, section: &str) -> Server {
    let file = folder.join("onechat.toml");
    std::fs::write(&file, section).unwrap();
    let mut command = onechat();
    command.args(["serve", "--store", store, "--config", file.to_str().unwrap()]);
    Server::start_as(command)
}

/// The status, and what is answered.
async fn open(server: &Server, caller: &str, body: Value) -> (u16, Value) {
    let user = server.user(caller);
    let (status, answer) = user.call(Method::POST, "/api/chats/create-or-get", Some(body)).await.unwrap();
    (status.as_u16(), answer)
}

async fn buyers(store: &str) -> Vec<[Bson; 2]> {
    let chats: Vec<Document> = all_of(&connect(store).await.unwrap(), "chats").await;
    chats.iter().map(|chat| ["buyer", "seller"].map(|field| chat[field].clone())).collect()
}

fn pair(one: &str, other: &str) -> [Bson; 2] {
    [one, other].map(|id| ObjectId::parse_str(id).unwrap().into())
}

#[tokio::test]
async fn a_new_chat_has_who_is_what_from_the_roles_of_the_request() {
    let layout = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/layouts/07-two-fields-context.toml");
    let section = format!("[chats]\ncontext = \"optional\"\n{}", std::fs::read_to_string(layout).unwrap());
    let section = section.split("[migrate").next().unwrap();
    for store in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let server = serve(&store, folder.path(), section);
        let roles = |buyer: &str, seller: &str| json!({ "buyer": buyer, "seller": seller });
        let (status, problem) = open(&server, ANN, json!({ "with": [BOB], "context": ITEM })).await;
        assert_eq!((status, &problem["code"]), (422, &json!("roles_required")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("buyer and seller"), "{problem}");
        let body = json!({ "with": [BOB], "context": ITEM, "roles": roles(BOB, ANN) });
        let (status, chat) = open(&server, ANN, body).await;
        assert_eq!((status, &chat["participants"]), (201, &json!([ANN, BOB])), "{chat}");
        for body in [
            json!({ "with": [ANN], "context": ITEM }),
            json!({ "participants": [ANN, BOB], "context": ITEM, "roles": roles(ANN, BOB) }),
            json!({ "with": [ANN], "context": ITEM, "roles": roles(BOB, ANN) }),
        ] {
            let (status, found) = open(&server, BOB, body.clone()).await;
            assert_eq!(
                (status, &found["id"], &found["created"]),
                (200, &chat["id"], &json!(false)),
                "{body}"
            );
        }
        // About nothing they have another chat, in which they have changed sides.
        let (status, other) = open(&server, BOB, json!({ "with": [ANN], "roles": roles(ANN, BOB) })).await;
        assert_eq!(status, 201, "{other}");
        for (wrong, code) in [
            (json!({ "with": [BOB], "roles": { "user1": ANN, "user2": BOB } }), "roles_unknown"),
            (json!({ "with": [BOB], "roles": roles(ANN, ANN) }), "roles_unknown"),
            (json!({ "with": [BOB], "roles": roles(ANN, EVE) }), "roles_unknown"),
            (json!({ "with": [EVE] }), "roles_required"),
        ] {
            let (status, problem) = open(&server, ANN, wrong.clone()).await;
            assert_eq!((status, &problem["code"]), (422, &json!(code)), "{wrong}: {problem}");
        }
        let body = json!({ "participants": [ANN, BOB], "roles": roles(ANN, BOB) });
        let (status, problem) = open(&server, EVE, body).await;
        assert_eq!((status, &problem["code"]), (403, &json!("not_a_participant")), "{problem}");
        assert_eq!(buyers(&store).await, [pair(BOB, ANN), pair(ANN, BOB)]);
    }
}

#[tokio::test]
async fn in_the_order_of_the_request_the_caller_comes_before_those_with_whom_she_talks() {
    let section = "[mongodb]\nparticipants = 'object_id'\norder = 'request'\n
        [mongodb.chat_fields]\nparticipants = ['buyer', 'seller']\n";
    for store in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let server = serve(&store, folder.path(), section);
        let (status, chat) = open(&server, BOB, json!({ "with": [ANN] })).await;
        assert_eq!(status, 201, "{chat}");
        let (status, found) = open(&server, ANN, json!({ "participants": [ANN, BOB] })).await;
        assert_eq!((status, &found["id"]), (200, &chat["id"]), "{found}");
        let (status, chat) = open(&server, ANN, json!({ "participants": [EVE, ANN] })).await;
        assert_eq!(status, 201, "{chat}");
        let body = json!({ "with": [BOB], "roles": { "buyer": ANN, "seller": BOB } });
        let (status, problem) = open(&server, ANN, body).await;
        assert_eq!((status, &problem["code"]), (422, &json!("roles_unknown")), "{problem}");
        assert_eq!(buyers(&store).await, [pair(BOB, ANN), pair(EVE, ANN)]);
    }
}
