//! `audit --only` and `--baseline`: what was accepted is quiet, and nothing else is.

use std::{fs, path::Path, process::Output};

use bson::{Document, doc};
use onechat_mongod::Deployment;
use serde_json::Value;

use crate::{
    mongo::{on, serve},
    server::{Server, onechat, text},
};

/// A database with the indexes that a server makes, written to as an old backend did.
struct Chats(Deployment);

impl Chats {
    async fn start() -> (Self, String) {
        let deployment = Deployment::standalone().await.unwrap();
        let store = deployment.uri(DATABASE);
        drop(serve(&store, &[]));
        (Self(deployment), store)
    }

    async fn run(&self, command: Document) {
        self.0.client().database(DATABASE).run_command(command).await.unwrap();
    }

    /// Chats whose participants are no set: no request can match them, and no tool touches them.
    async fn malform(&self, ids: impl Iterator<Item = String>) {
        let chat = |id| doc! { "_id": &id, "participants": 7, "participantsKey": id };
        self.run(doc! { "insert": "chats", "documents": ids.map(chat).collect::<Vec<_>>() }).await;
    }

    async fn remove(&self, id: &str) {
        self.run(doc! { "delete": "chats", "deletes": [{ "q": { "_id": id }, "limit": 1 }] }).await;
    }
}

const DATABASE: &str = "chat";

fn audit(store: &str, baseline: &Path, more: &[&str]) -> Output {
    on(store, &[&["audit", "--baseline", baseline.to_str().unwrap()], more].concat())
}

fn ends_with(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    text(output)
}

const ACCEPT: &[&str] = &[
    "--accept",
    "--by",
    "Ann",
    "--note",
    "never written to again",
    "--only",
    "malformed_participants,orphaned_message",
];

#[tokio::test]
async fn what_was_accepted_is_quiet_and_what_is_new_is_shown_first() {
    let (chats, store) = Chats::start().await;
    chats.malform(["one", "two"].map(String::from).into_iter()).await;
    chats
        .run(doc! { "insert": "messages", "documents": [{ "_id": "m", "chatId": "gone", "sender": "ann" }] })
        .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accepted.toml");

    ends_with(&on(&store, &["audit"]), 1);
    let missing = ends_with(&audit(&store, &file, &[]), 2);
    assert!(missing.contains("accepted.toml cannot be read"), "{missing}");
    ends_with(&audit(&store, &file, ACCEPT), 0);
    let of_ann = fs::read_to_string(&file).unwrap();
    for written in ["by = \"Ann\"", "note = \"never written to again\"", "chat one", "chat two", "1 in gone"]
    {
        assert!(of_ann.contains(written), "{written:?} is missing in {of_ann}");
    }
    let quiet = ends_with(&audit(&store, &file, &[]), 0);
    assert!(quiet.contains("clean, but for what was accepted"), "{quiet}");
    assert!(
        quiet.contains("accepted: malformed_participants (error, I5): 2 times\n  by Ann on 20"),
        "{quiet}"
    );
    let report: Value = serde_json::from_slice(&audit(&store, &file, &["--json"]).stdout).unwrap();
    assert_eq!(report["clean"], true, "{report}");
    assert_eq!(report["findings"][0]["accepted"], 2, "{report}");
    assert_eq!(report["findings"][0]["acceptedBy"][0]["by"], "Ann", "{report}");

    // More rows; then as many as were accepted, but others; then another kind.
    chats.malform(std::iter::once("three".to_owned())).await;
    let more = ends_with(&audit(&store, &file, &[]), 1);
    let new = more.find("malformed_participants (error, I5): 1 new\n  chat three").expect(&more);
    assert!(new < more.find("accepted: ").unwrap(), "{more}");
    chats.remove("one").await;
    let others = ends_with(&audit(&store, &file, &[]), 1);
    assert!(
        others.contains("1 new\n  chat three") && others.contains("(error, I5): 1 time\n  by Ann"),
        "{others}"
    );
    chats.remove("three").await;
    ends_with(&audit(&store, &file, &[]), 0);
    let twin = |id: &str, key: &str| doc! { "_id": id, "participants": ["a", "b"], "participantsKey": key };
    chats.run(doc! { "insert": "chats", "documents": [twin("x", "a_b"), twin("y", "b_a")] }).await;
    let kinds = ends_with(&audit(&store, &file, &[]), 1);
    assert!(kinds.contains("duplicate_set (error, I3): 1 time"), "{kinds}");
    let only = ends_with(&audit(&store, &file, &["--only", "orphaned_message,malformed_participants"]), 0);
    assert!(only.contains("(only orphaned_message, malformed_participants)"), "{only}");

    // Bob adds what he accepts, and leaves Ann's entries as they are.
    ends_with(&audit(&store, &file, &["--accept", "--by", "Bob", "--only", "duplicate_set,wrong_key"]), 0);
    let of_both = fs::read_to_string(&file).unwrap();
    assert!(of_both.starts_with(&of_ann) && of_both.contains("by = \"Bob\""), "{of_both}");
    let again = ends_with(&audit(&store, &file, &["--accept", "--by", "Bob", "--only", "duplicate_set"]), 0);
    assert!(again.contains("nothing is new"), "{again}");
    assert_eq!(fs::read_to_string(&file).unwrap(), of_both);
    ends_with(&audit(&store, &file, &[]), 0);
}

#[tokio::test]
async fn very_many_rows_are_accepted_together_and_another_one_among_them_is_noticed() {
    let (chats, store) = Chats::start().await;
    chats.malform((0..1001).map(|n| format!("odd {n}"))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accepted.toml");
    ends_with(&audit(&store, &file, ACCEPT), 0);
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("count = 1001") && !written.contains("odd 7"), "{written}");
    ends_with(&audit(&store, &file, &[]), 0);

    chats.remove("odd 7").await;
    chats.malform(std::iter::once("another".to_owned())).await;
    let swapped = ends_with(&audit(&store, &file, &[]), 1);
    assert!(swapped.contains("Accepted were 1001 rows") && swapped.contains("by Ann on"), "{swapped}");
    ends_with(&audit(&store, &file, ACCEPT), 0);
    ends_with(&audit(&store, &file, &[]), 0);
    assert!(fs::read_to_string(&file).unwrap().starts_with(&written), "what was accepted before is kept");
}

#[test]
fn a_baseline_that_is_not_right_is_an_error_and_never_clean() {
    let folder = tempfile::tempdir().unwrap();
    drop(Server::start(folder.path(), &[]));
    let entry = |fields: &str| format!("[[accepted]]\nby = \"Ann\"\nat = 2026-11-28T09:00:00Z\n{fields}\n");
    let cases = [
        ("not TOML".to_owned(), "not right"),
        ("[[acepted]]\n".to_owned(), "acepted"),
        (entry("kind = \"malformed_participant\"\nrows = []"), "did you mean \"malformed_participants\"?"),
        (entry("kind = \"wrong_key\""), "either `rows`, or `count` and `digest`"),
        (entry("kind = \"wrong_key\"\ncount = 3"), "either `rows`, or `count` and `digest`"),
        (entry("kind = \"wrong_key\"\ncount = 3\ndigest = \"abc\""), "32 hexadecimal digits"),
        (entry("kind = \"wrong_key\"\nrows = [1]"), "string"),
        (entry("kind = \"wrong_key\"\nrows = []").replace("Ann", " "), "`by`"),
        (entry("kind = \"wrong_key\"\nrows = []").replace("T09:00:00Z", ""), "`at`"),
        (entry("kind = \"wrong_key\"\nrows = []\nwhy = \"\""), "unknown field `why`"),
    ];
    let file = folder.path().join("accepted.toml");
    let store = format!("sqlite:{}", folder.path().join("chats.db").display());
    for (content, wanted) in cases {
        fs::write(&file, &content).unwrap();
        let refused = ends_with(&audit(&store, &file, &[]), 2);
        assert!(refused.contains("accepted.toml") && refused.contains(wanted), "{content}: {refused}");
        assert!(!refused.contains("clean"), "{content}: {refused}");
    }
    fs::write(&file, "").unwrap();
    let nothing = ends_with(&audit(&store, &file, &[]), 0);
    assert_eq!(nothing, "audited 0 chats, 0 messages, 0 aliases: clean\n");
}

#[test]
fn only_takes_kinds_that_exist_and_accepting_names_them_and_who() {
    let cases: [(&[&str], &str); 5] = [
        (&["--only", "duplicate_sets"], "'duplicate_set'"),
        (&["--baseline", "b.toml", "--accept", "--only", "wrong_key"], "--by"),
        (&["--baseline", "b.toml", "--accept", "--by", "Ann"], "--only"),
        (&["--accept", "--by", "Ann", "--only", "wrong_key"], "--baseline"),
        (&["--baseline", "b.toml", "--by", "Ann"], "--accept"),
    ];
    for (arguments, wanted) in cases {
        let output =
            onechat().args(["audit", "--store", "sqlite:nowhere.db"]).args(arguments).output().unwrap();
        let refused = ends_with(&output, 2);
        assert!(refused.contains(wanted), "{arguments:?}: {refused}");
    }
}

#[tokio::test]
async fn an_sqlite_file_has_a_baseline_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.user("alice").open(&["alice", "bob"]).await.unwrap();
    drop(server);
    let path = folder.path().join("chats.db");
    let tamper = |sql: &str| {
        let status = std::process::Command::new("sqlite3").arg(&path).arg(sql).status();
        status.is_ok_and(|status| status.success())
    };
    if !tamper("DELETE FROM inbox WHERE participant = 'bob'") {
        eprintln!("NOT RUN to the end: the sqlite3 shell, which breaks the file for this test, is not there");
        return;
    }
    let (store, file) = (format!("sqlite:{}", path.display()), folder.path().join("accepted.toml"));
    ends_with(&on(&store, &["audit"]), 1);
    ends_with(&audit(&store, &file, &["--accept", "--by", "Ann", "--only", "inbox_mismatch"]), 0);
    ends_with(&audit(&store, &file, &[]), 0);
    assert!(tamper("DELETE FROM inbox WHERE participant = 'alice'"));
    let new = ends_with(&audit(&store, &file, &[]), 1);
    assert!(new.contains("inbox_mismatch (error, I1): 1 new") && new.contains("list of alice"), "{new}");
}
