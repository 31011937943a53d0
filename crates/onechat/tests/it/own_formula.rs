//! Collections that stop a migration before its first change: an old backend finds its chats by keys of its own formula,
//! or the participants cannot be read.

use std::{fs, path::Path};

use bson::{Bson, doc};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_standalone};

use crate::server::{onechat, text};

const CHATS: usize = 40;

/// Finds the chat of two people by its own key or creates it, in one step, as such backends do.
struct OldBackend {
    store: String,
    database: Database,
    formula: fn(&[String; 2]) -> String,
}

impl OldBackend {
    async fn new(formula: fn(&[String; 2]) -> String) -> Self {
        let store = shared_standalone().await.uri(&fresh_database("it"));
        let database = connect(&store).await.expect("a server that runs");
        let index =
            doc! { "key": { "participantsKey": 1 }, "name": "theirs", "unique": true, "sparse": true };
        database
            .run_command(doc! { "createIndexes": "chats", "indexes": [index] })
            .await
            .expect("a server that runs");
        Self { store, database, formula }
    }

    async fn open(&self, people: [String; 2]) -> Bson {
        let key = (self.formula)(&people);
        let open = doc! {
            "findAndModify": "chats", "query": { "participantsKey": key }, "upsert": true, "new": true,
            "update": { "$setOnInsert": { "participants": people.to_vec(), "__v": 0 } },
        };
        let reply = self.database.run_command(open).await.expect("a server that runs");
        reply
            .get_document("value")
            .expect("a server that runs")
            .get("_id")
            .expect("a server that runs")
            .clone()
    }

    async fn open_all(&self) -> Vec<Bson> {
        let mut ids = Vec::new();
        for n in 0..CHATS {
            // Every other pair is stored out of order.
            let mut people = [format!("u{n}"), format!("v{n}")];
            if n % 2 == 1 {
                people.reverse();
            }
            ids.push(self.open(people).await);
        }
        ids
    }

    /// Changes with any write to the database.
    async fn hash(&self) -> String {
        let reply = self.database.run_command(doc! { "dbHash": 1 }).await.expect("a server that runs");
        reply.get_str("md5").expect("a server that runs").to_owned()
    }

    fn run(&self, config: Option<&Path>, arguments: &[&str]) -> std::process::Output {
        let mut command = onechat();
        command.env("ONECHAT_STORE", &self.store).args(arguments);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.output().expect("a server that runs")
    }
}

fn sorted(people: &[String; 2]) -> [String; 2] {
    let mut people = people.clone();
    people.sort();
    people
}

#[tokio::test]
async fn no_command_changes_a_key_of_another_formula_and_the_old_backend_finds_its_chats() {
    let formulas: [fn(&[String; 2]) -> String; 4] = [
        |people| sorted(people).join(":"),
        // Right by chance in every other chat.
        |people| people.join("_"),
        |people| format!("chat_{}", sorted(people).join("_")),
        |people| {
            format!(
                "{:032x}",
                sorted(people).join(",").bytes().fold(7_u128, |sum, byte| {
                    sum.wrapping_mul(0x0001_0000_01b3).wrapping_add(u128::from(byte) << 64)
                })
            )
        },
    ];
    for (which, formula) in formulas.into_iter().enumerate() {
        let old = OldBackend::new(formula).await;
        let ids = old.open_all().await;
        let before = old.hash().await;
        let wrong = if which == 1 { CHATS / 2 } else { CHATS };
        for arguments in [
            &["migrate", "--yes"][..],
            &["migrate", "--dry-run"],
            &["backfill", "--yes"],
            &["backfill", "--dry-run"],
            &["guard", "on", "--yes"],
            &["guard", "on", "--dry-run"],
            &["merge", "apply", "--yes"],
            &["watch", "--yes"],
            &["watch", "--dry-run"],
        ] {
            let output = old.run(None, arguments);
            let text = text(&output);
            assert_eq!(output.status.code(), Some(2), "{which} {arguments:?}: {text}");
            for part in [
                format!("{wrong} of the {CHATS} chats of chats with a participantsKey"),
                "`participants_key = \"onechatKey\"` in [mongodb.chat_fields]".to_owned(),
            ] {
                assert!(text.contains(&part), "{which} {arguments:?}: {part:?} is missing in {text}");
            }
        }
        assert_eq!(old.hash().await, before, "{which}: something was written");

        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("onechat.toml");
        fs::write(&config, "[mongodb.chat_fields]\nparticipants_key = 'onechatKey'\n").unwrap();
        let output = old.run(Some(&config), &["migrate", "--yes"]);
        assert_eq!(output.status.code(), Some(0), "{which}: {}", text(&output));
        assert_eq!(old.open_all().await, ids, "{which}: a chat was created a second time");
    }
}

/// Nothing of it would be keyed or merged, and "done" would be a lie.
#[tokio::test]
async fn a_collection_whose_participants_cannot_be_read_stops_a_migration() {
    let pairs: [fn(usize) -> bson::Document; 3] = [
        |n| doc! { "participants": format!("u{n},v{n}") },
        |n| doc! { "participants": [[format!("u{n}"), format!("v{n}")]] },
        |n| doc! { "participants": [{ "sender": format!("u{n}"), "receiver": format!("v{n}") }] },
    ];
    for (which, pair) in pairs.into_iter().enumerate() {
        let store = shared_standalone().await.uri(&fresh_database("it"));
        let database = connect(&store).await.unwrap();
        // A few that can be read do not make the configuration fit.
        let readable = (0..3).map(|n| doc! { "participants": ["ann", format!("bob{n}")] });
        let chats: Vec<bson::Document> = (0..9).map(pair).chain(readable).collect();
        database.collection::<bson::Document>("chats").insert_many(chats).await.unwrap();
        let old = OldBackend { store, database, formula: |_| String::new() };
        let before = old.hash().await;
        for arguments in [&["migrate", "--yes"][..], &["migrate", "--dry-run"]] {
            let output = old.run(None, arguments);
            let text = text(&output);
            assert_eq!(output.status.code(), Some(2), "{which} {arguments:?}: {text}");
            for part in ["9 of 12 chats have no participants that can be read (chat ", "audit --suggest"] {
                assert!(text.contains(part), "{which} {arguments:?}: {part:?} is missing in {text}");
            }
        }
        assert_eq!(old.hash().await, before, "{which}: something was written");
    }
}

/// Afterwards no server could show the messages.
#[tokio::test]
async fn a_collection_whose_senders_cannot_be_read_stops_a_migration() {
    let store = shared_standalone().await.uri(&fresh_database("it"));
    let database = connect(&store).await.unwrap();
    let chats = (0..3).map(|n| doc! { "_id": format!("c{n}"), "participants": ["ann", format!("bob{n}")] });
    database.collection::<bson::Document>("chats").insert_many(chats).await.unwrap();
    let by = |sender: bson::Bson| doc! { "chatId": "c0", "sender": sender, "text": "hello" };
    let messages = [by(doc! { "_id": "ann" }.into()), by(doc! { "_id": "bob0" }.into()), by("ann".into())];
    database.collection::<bson::Document>("messages").insert_many(messages).await.unwrap();
    let old = OldBackend { store, database, formula: |_| String::new() };
    let before = old.hash().await;
    for arguments in [&["migrate", "--yes"][..], &["migrate", "--dry-run"]] {
        let output = old.run(None, arguments);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        for part in ["2 of 3 messages have no sender that can be read", "user._id"] {
            assert!(text.contains(part), "{arguments:?}: {part:?} is missing in {text}");
        }
    }
    assert_eq!(old.hash().await, before, "something was written");
    let audit = text(&old.run(None, &["audit"]));
    assert!(audit.contains("malformed_sender (error, I4): 2 times"), "{audit}");
}
