//! The commands of the migration where they do nothing: wrong stores, wrong configuration, nobody to ask.

use std::fs;

use onechat_mongod::{fresh_database, shared_standalone};

use crate::{
    mongo::{fresh, on},
    server::{onechat, run, text},
};

/// Every command that changes something, without the answer to its question.
const CHANGES: &[&[&str]] = &[
    &["migrate"],
    &["guard", "on"],
    &["guard", "off"],
    &["backfill"],
    &["merge", "apply"],
    &["merge", "undo", "--run", "0123456789abcdef01234567"],
    &["enforce"],
    &["rollback"],
    &["watch"],
];
const READS: &[&[&str]] = &[
    &["guard", "status"],
    &["merge", "plan"],
    &["merge", "list"],
    &["merge", "show", "0123456789abcdef01234567"],
    &["account", "0123456789abcdef01234567"],
    &["audit", "--suggest"],
];

#[test]
fn an_sqlite_file_has_nothing_to_migrate() {
    let folder = tempfile::tempdir().unwrap();
    for command in CHANGES.iter().chain(READS) {
        let output = run(folder.path(), &[command, &["--store", "sqlite:chats.db"][..]].concat());
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
        assert!(text(&output).contains("for a store on MongoDB"), "{command:?}: {}", text(&output));
    }
    assert!(!folder.path().join("chats.db").exists());
}

#[tokio::test]
async fn where_nobody_can_be_asked_nothing_is_changed() {
    let database = fresh_database("it");
    let deployment = shared_standalone().await;
    let store = deployment.uri(&database);
    for command in CHANGES {
        let output = on(&store, command);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
        let text = text(&output);
        for part in ["nothing was changed", "--yes", "The collection is chats of mongodb://"] {
            assert!(text.contains(part), "{command:?}: {part:?} is missing in {text}");
        }
    }
    let rollback = text(&on(&store, &["rollback"]));
    assert!(rollback.contains("NOTHING keeps two chats of the same people apart"), "{rollback}");
    let names = deployment.client().list_database_names().await.unwrap();
    assert!(!names.contains(&database), "something was written");
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let output = onechat().arg("--help").output().unwrap();
    for part in ["  3  stopped on request", "  4  another run is at work"] {
        assert!(text(&output).contains(part), "{part:?} is missing in {}", text(&output));
    }
}

#[tokio::test]
async fn wrong_usage_and_configuration_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, section: &str| {
        let path = folder.path().join(name);
        fs::write(&path, section).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let twice = file("twice.toml", "[[migrate.references]]\ncollection = 'messages'\nfield = 'chatId'\n");
    let rule = file("rule.toml", "[migrate.fields]\nunread = 'add'\n");
    let rate = file("rate.toml", "[migrate]\nmax_rate = 0\n");
    let flag = file("flag", "");
    let store = fresh().await;
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["backfill", "--config", &twice],
            2,
            "[migrate]: references: messages.chatId is the mapped messages",
        ),
        (&["backfill", "--config", &rule], 2, "in line 2: unknown variant `add`, expected one of `max`"),
        (&["backfill", "--config", &rate], 2, "leave it out for no limit"),
        (&["backfill", "--max-lag", "2"], 2, "a number with ms, s or m"),
        (&["backfill", "--max-lag", "2s", "--yes"], 2, "no replica set"),
        (&["backfill", "--stop-file", &flag, "--yes"], 3, "remove it to go on"),
        (&["merge", "undo"], 2, "--group"),
        (&["merge", "undo", "--run", "x", "--yes"], 2, "see `onechat merge list`"),
        (&["merge", "plan", "--survivor", "newest"], 2, "most-recent"),
        (&["merge", "apply", "--plan", &flag, "--yes"], 2, "is empty"),
        (&["merge", "plan", "--out", "/nowhere/plan"], 2, "the plan /nowhere/plan cannot be written"),
        (&["account", "x"], 2, "is no id of a run"),
    ];
    for (arguments, code, advice) in cases {
        let output = on(&store, arguments);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {text}");
        assert!(text.contains(advice), "{arguments:?}: {text}");
    }
}

#[test]
fn the_printed_configuration_has_the_rules_and_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let print = |section: &str| {
        let file = folder.path().join("onechat.toml");
        fs::write(&file, section).unwrap();
        let output = onechat().args(["serve", "--print-config", "--config"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = print(
        "[store]\nurl = 'mongodb://localhost/chats'\n[migrate]\nsurvivor = 'most-recent'\nmax_lag_ms = 2000\n\
         [[migrate.references]]\ncollection = 'rows'\nfield = 'chat'\n",
    );
    let printed: toml::Table = first.parse().unwrap();
    assert_eq!(printed["migrate"]["survivor"].as_str(), Some("most-recent"));
    assert_eq!(printed["migrate"]["references"][0]["collection"].as_str(), Some("rows"));
    assert_eq!(print(&first), first);
}
