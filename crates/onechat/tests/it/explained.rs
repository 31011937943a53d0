//! What the chats of a group differ in and nothing explains stops a migration before anything is changed.

use std::fs;

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};
use serde_json::Value;

use crate::server::{onechat, text};

fn at(day: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + day * 86_400_000)
}

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([number; 12])
}

/// Two chats of ann and bob with these fields, and one of ann and carol.
struct Twins {
    store: String,
    database: Database,
    folder: tempfile::TempDir,
}

impl Twins {
    async fn new(store: String, one: &Document, other: &Document) -> Self {
        let database = connect(&store).await.unwrap();
        let chat = |number: u8, people: [&str; 2], fields: &Document| {
            let mut chat = doc! { "_id": id(number), "createdAt": at(number.into()), "updatedAt": at(7) };
            chat.insert("participants", people.to_vec());
            chat.extend(fields.clone());
            chat
        };
        let chats = [
            chat(1, ["ann", "bob"], one),
            chat(2, ["bob", "ann"], other),
            chat(3, ["ann", "carol"], &doc! {}),
        ];
        database.collection::<Document>("chats").insert_many(chats).await.unwrap();
        Self { store, database, folder: tempfile::tempdir().unwrap() }
    }

    /// What a command printed as JSON, and its exit code.
    fn json(&self, configuration: &str, arguments: &[&str]) -> (i32, Value) {
        let file = self.folder.path().join("onechat.toml");
        fs::write(&file, configuration).unwrap();
        let mut command = onechat();
        command.env("ONECHAT_STORE", &self.store).args(arguments).arg("--config").arg(file).arg("--json");
        let output = command.output().unwrap();
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", text(&output)));
        (output.status.code().unwrap(), json)
    }

    /// Changes with any write to the database.
    async fn hash(&self) -> String {
        let reply = self.database.run_command(doc! { "dbHash": 1 }).await.unwrap();
        reply.get_str("md5").unwrap().to_owned()
    }

    async fn chat(&self, number: u8) -> Option<Document> {
        self.database.collection::<Document>("chats").find_one(doc! { "_id": id(number) }).await.unwrap()
    }
}

fn fields(unexplained: &Value) -> Vec<&str> {
    let fields = unexplained["fields"].as_array().unwrap().iter();
    fields.map(|field| field["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nothing_is_begun_while_a_difference_is_not_explained() {
    let message = |text: &str| doc! { "_id": text, "text": text };
    let person = |name: &str, unread: i32| doc! { "userId": name, "unreadCount": unread };
    let by_path = "[mongodb]\nparticipant_path = 'userId'\n";
    // What a listing is about, what is deleted or ends, lists that nobody has configured, what is said of a participant.
    let cases = [
        ("", doc! { "listingId": id(77) }, doc! { "listingId": id(78) }, vec!["listingId"]),
        (
            "",
            doc! { "isDeleted": true, "deletedAt": at(3), "theme": null },
            doc! {},
            vec!["deletedAt", "isDeleted"],
        ),
        ("", doc! {}, doc! { "expiresAt": at(3) }, vec!["expiresAt"]),
        ("", doc! { "messages": [id(11), id(12)] }, doc! { "messages": [id(13)] }, vec!["messages"]),
        ("", doc! { "messages": [message("a")] }, doc! { "messages": [message("b")] }, vec!["messages"]),
        (
            by_path,
            doc! { "participants": [person("ann", 1), person("bob", 0)] },
            doc! { "participants": [person("bob", 2), person("ann", 1)] },
            vec!["participants.unreadCount"],
        ),
    ];
    for (configuration, one, other, expected) in cases {
        let store = shared_standalone().await.uri(&fresh_database("it"));
        let twins = Twins::new(store, &one, &other).await;
        if !configuration.is_empty() {
            let lone = doc! { "$set": { "participants": [person("ann", 0), person("carol", 0)] } };
            twins
                .database
                .collection::<Document>("chats")
                .update_one(doc! { "_id": id(3) }, lone)
                .await
                .unwrap();
        }
        let before = twins.hash().await;
        let plan = twins.folder.path().join("plan.jsonl").to_str().unwrap().to_owned();
        let commands = [
            (vec!["migrate", "--yes"], "unexplained"),
            (vec!["migrate", "--dry-run"], "plan"),
            (vec!["merge", "plan", "--out", &plan], "summary"),
            (vec!["merge", "apply", "--yes"], "unexplained"),
            (vec!["merge", "apply", "--dry-run"], "summary"),
        ];
        for (command, place) in commands {
            let (code, json) = twins.json(configuration, &command);
            let unexplained = match place {
                "plan" => &json["plan"]["unexplained"],
                _ => &json["unexplained"],
            };
            assert_eq!((code, fields(unexplained)), (2, expected.clone()), "{command:?}: {json}");
            assert_eq!(unexplained["fields"][0]["groups"], 1);
        }
        assert!(!fs::exists(&plan).unwrap(), "half a plan is left");
        assert_eq!(twins.hash().await, before, "{expected:?}: something was written");
    }
}

#[tokio::test]
async fn the_answer_in_the_configuration_lets_it_go_on_and_a_lasting_chat_goes_on_to_last() {
    let (lasting, ending) = (
        doc! { "deletedFor": ["ann", "bob"], "lastMessage": "late", "lastMessageAt": at(9), "muted": { "ann": true } },
        doc! { "expiresAt": at(3), "isArchived": true, "deletedFor": ["bob"], "lastMessage": "early" },
    );
    let configuration = "
        [migrate.fields]
        expiresAt = 'all'
        isArchived = 'all'
        deletedFor = 'all'
        muted = 'all'
        lastMessage = 'newest'
    ";
    for (one, other) in [(&lasting, &ending), (&ending, &lasting)] {
        let store = shared_replica_set().await.uri(&fresh_database("it"));
        let twins = Twins::new(store, one, other).await;
        let (code, done) = twins.json(configuration, &["migrate", "--yes"]);
        assert_eq!((code, &done["account"]["holds"]), (0, &Value::Bool(true)), "{done}");
        let chat = twins.chat(1).await.unwrap();
        for field in ["expiresAt", "isArchived", "muted"] {
            assert!(!chat.contains_key(field), "{field} in {chat}");
        }
        assert_eq!((&chat["deletedFor"], &chat["lastMessage"]), (&Bson::from(vec!["bob"]), &"late".into()));
    }
}
