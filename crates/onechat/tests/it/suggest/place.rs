//! A database for which a configuration is suggested, and what the program does with that.

use std::{fs, process::Output};

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_standalone};
use serde_json::Value;
use toml::Table;

use crate::server::{all_of, onechat, text};

pub(super) fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

pub(super) fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + seconds * 1000)
}

/// Somebody.
pub(super) fn who(number: u8) -> ObjectId {
    id(200 + number)
}

/// A database, and the folder for configurations.
pub(super) struct Place {
    store: String,
    pub(super) database: Database,
    folder: tempfile::TempDir,
}

impl Place {
    pub(super) async fn new(collections: Vec<(&str, Vec<Document>)>) -> Self {
        let store = shared_standalone().await.uri(&fresh_database("it"));
        let database = connect(&store).await.unwrap();
        for (name, documents) in collections {
            database.collection::<Document>(name).insert_many(documents).await.unwrap();
        }
        Self { store, database, folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn run(&self, arguments: &[&str], configuration: Option<&str>) -> Output {
        let mut command = onechat();
        command.env("ONECHAT_STORE", &self.store).args(arguments);
        if let Some(configuration) = configuration {
            let file = self.folder.path().join("onechat.toml");
            fs::write(&file, configuration).unwrap();
            command.arg("--config").arg(file);
        }
        command.output().unwrap()
    }

    /// What is suggested, with its questions. The text for people is the same, and the program reads it.
    pub(super) fn suggest(&self) -> (String, Vec<Value>) {
        let output = self.run(&["audit", "--suggest", "--json"], None);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let toml = json["toml"].as_str().unwrap().to_owned();
        let printed = self.run(&["serve", "--print-config"], Some(&toml));
        assert_eq!(printed.status.code(), Some(0), "{toml}\n{}", text(&printed));
        let questions = json["questions"].as_array().unwrap().clone();
        for question in &questions {
            for answer in question["answers"].as_array().unwrap() {
                let answered = answered(&toml, &[answer]);
                let output = self.run(&["serve", "--print-config"], Some(&answered));
                assert_eq!(output.status.code(), Some(0), "{answered}\n{}", text(&output));
            }
        }
        (toml, questions)
    }

    /// Why nothing is suggested.
    pub(super) fn refusal(&self) -> String {
        let output = self.run(&["audit", "--suggest"], None);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(output.stdout.is_empty(), "{}", text(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Migrates, which has to succeed.
    pub(super) fn migrate(&self, configuration: &str) {
        let output = self.run(&["migrate", "--yes", "--json"], Some(configuration));
        assert_eq!(output.status.code(), Some(0), "{configuration}\n{}", text(&output));
    }

    /// Every command that would begin stops, names the fields, and writes nothing.
    pub(super) async fn stops_at(&self, configuration: &str, fields: &[&str]) {
        let before = self.hash().await;
        let commands: [&[&str]; 7] = [
            &["migrate", "--yes"],
            &["migrate", "--dry-run"],
            &["migrate", "--explain"],
            &["guard", "on", "--yes"],
            &["backfill", "--yes"],
            &["merge", "plan"],
            &["merge", "apply", "--yes"],
        ];
        for command in commands {
            let output = self.run(command, Some(configuration));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
            assert!(fields.iter().all(|field| said.contains(field)), "{command:?}: {said}");
        }
        assert_eq!(self.hash().await, before, "something was written");
    }

    pub(super) async fn hash(&self) -> String {
        let reply = self.database.run_command(doc! { "dbHash": 1 }).await.unwrap();
        reply.get_str("md5").unwrap().to_owned()
    }

    pub(super) async fn all(&self, collection: &str) -> Vec<Document> {
        all_of(&self.database, collection).await
    }

    pub(super) async fn ids(&self, collection: &str) -> Vec<Bson> {
        self.all(collection).await.into_iter().map(|document| document["_id"].clone()).collect()
    }
}

/// The file with these answers, and without questions.
pub(super) fn answered(toml: &str, answers: &[&Value]) -> String {
    fn add(whole: &mut Table, part: Table) {
        for (name, value) in part {
            match (whole.get_mut(&name), value) {
                (Some(toml::Value::Table(whole)), toml::Value::Table(part)) => add(whole, part),
                (Some(toml::Value::Array(whole)), toml::Value::Array(part)) => whole.extend(part),
                (_, value) => drop(whole.insert(name, value)),
            }
        }
    }
    let mut whole: Table = toml.parse().unwrap();
    if let Some(toml::Value::Table(migrate)) = whole.get_mut("migrate") {
        migrate.remove("questions");
    }
    for answer in answers {
        add(&mut whole, answer["toml"].as_str().unwrap().parse().unwrap());
    }
    whole.to_string()
}
