//! Every command logs, with the settings of the service: what a migration or a watch meets reaches whoever reads its log.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
};

use bson::{Document, doc};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_replica_set};
use serde_json::Value;

use crate::{
    mongo::on,
    server::{onechat, text},
};

/// A command at work, and what it logs.
struct Logged {
    process: Child,
    lines: BufReader<ChildStderr>,
}

impl Logged {
    fn start(store: &str, arguments: &[&str]) -> Self {
        let mut command = onechat();
        command.env("ONECHAT_STORE", store).env("ONECHAT_LOG_FORMAT", "json").args(arguments);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap());
        Self { process, lines }
    }

    /// Waits for the event of this name.
    fn event(&mut self, name: &str) -> Value {
        let mut seen = String::new();
        loop {
            let before = seen.len();
            assert!(self.lines.read_line(&mut seen).unwrap() > 0, "no event {name} in:\n{seen}");
            match serde_json::from_str::<Value>(&seen[before..]) {
                Ok(event) if event["event"] == name => return event,
                _ => {}
            }
        }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A collection that is migrated.
async fn migrated() -> (String, Database) {
    let store = shared_replica_set().await.uri(&fresh_database("it"));
    let database = connect(&store).await.unwrap();
    database.collection("chats").insert_one(doc! { "participants": ["ann", "bob"] }).await.unwrap();
    let output = on(&store, &["migrate", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    (store, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_logs_when_it_begins_what_it_heals_and_why_it_stops() {
    let (store, database) = migrated().await;
    let mut watch = Logged::start(&store, &["watch", "--yes"]);
    assert_eq!(watch.event("watch_started")["level"], "INFO");
    database.collection("chats").insert_one(doc! { "participants": ["ann", "cleo"] }).await.unwrap();
    let healed = watch.event("healed");
    assert_eq!((&healed["keyed"], &healed["merged"]), (&1.into(), &0.into()), "{healed}");
    let pid = watch.process.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    watch.event("watch_stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_logs_that_another_run_has_taken_over() {
    let (store, database) = migrated().await;
    let mut watch = Logged::start(&store, &["watch", "--yes"]);
    watch.event("watch_started");
    let other = doc! { "$set": { "token": bson::oid::ObjectId::new() } };
    let taken =
        database.collection::<Document>("onechat_lease").update_one(doc! { "_id": "chats" }, other).await;
    assert_eq!(taken.unwrap().modified_count, 1);
    assert_eq!(watch.event("lease_lost")["level"], "ERROR");
    assert_eq!(watch.process.wait().unwrap().code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_can_be_chosen_for_every_command() {
    let (store, _) = migrated().await;
    // A setting of the connection string that is not used.
    let store = format!("{store}&readConcernLevel=local");
    for (filter, is_told) in [("info", true), ("error", false)] {
        let output = on(&store, &["audit", "--log", filter, "--log-format", "json"]);
        assert_eq!(text(&output).contains("concerns_ignored"), is_told, "{filter}: {}", text(&output));
    }
}
