//! Whatever only looks is content with a database user that may only read, and leaves no trace.

use bson::{Document, doc};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_protected};

use crate::{mongo::on, server::text};

/// A database as root sees it, and its URL for somebody who may only read there.
struct Protected {
    root: String,
    reader: String,
    database: Database,
}

impl Protected {
    async fn new() -> Self {
        let name = fresh_database("it");
        let root = shared_protected().await.uri_of_root(&name);
        let database = connect(&root).await.unwrap();
        let role = doc! { "role": "read", "db": &name };
        let user = doc! { "createUser": "reader", "pwd": "reader", "roles": [role] };
        database.run_command(user).await.unwrap();
        let reader = root.replacen("root:root", "reader:reader", 1);
        let reader = reader.replacen("authSource=admin", &format!("authSource={name}"), 1);
        Self { root, reader, database }
    }

    async fn duplicates(&self, friend: &str) {
        let chats = self.database.collection::<Document>("chats");
        let twins = (0..2).map(|_| doc! { "participants": ["ann", friend] });
        chats.insert_many(twins).await.unwrap();
    }

    async fn hash(&self) -> String {
        let reply = self.database.run_command(doc! { "dbHash": 1 }).await.unwrap();
        reply.get_str("md5").unwrap().to_owned()
    }
}

#[tokio::test]
async fn every_dry_run_and_every_report_only_reads() {
    let protected = Protected::new().await;
    protected.duplicates("bob").await;
    let migrated = on(&protected.root, &["migrate", "--yes", "--json"]);
    assert_eq!(migrated.status.code(), Some(0), "{}", text(&migrated));
    let report: serde_json::Value = serde_json::from_slice(&migrated.stdout).unwrap();
    let run = report["run"].as_str().unwrap();
    let entries = on(&protected.root, &["merge", "list", "--run", run, "--json"]);
    let entries: serde_json::Value = serde_json::from_slice(&entries.stdout).unwrap();
    let entry = entries["entries"][0]["entry"].as_str().unwrap();
    protected.duplicates("cleo").await;
    let before = protected.hash().await;

    let refused = on(&protected.reader, &["backfill", "--yes"]);
    assert_eq!(refused.status.code(), Some(2), "it may write: {}", text(&refused));
    for command in [
        &["audit"][..],
        &["audit", "--suggest"],
        &["guard", "status"],
        &["guard", "on", "--dry-run"],
        &["guard", "off", "--dry-run"],
        &["backfill", "--dry-run"],
        &["merge", "plan"],
        &["merge", "apply", "--dry-run"],
        &["merge", "list"],
        &["merge", "list", "--run", run],
        &["merge", "show", entry],
        &["merge", "undo", "--run", run, "--dry-run"],
        &["merge", "undo", "--group", entry, "--dry-run"],
        &["enforce", "--dry-run"],
        &["rollback", "--dry-run"],
        &["migrate", "--dry-run"],
        &["watch", "--dry-run"],
        &["account", run],
        &["index", "status"],
    ] {
        let output = on(&protected.reader, command);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?}: {}", text(&output));
        assert_eq!(protected.hash().await, before, "{command:?} wrote something");
    }
}
