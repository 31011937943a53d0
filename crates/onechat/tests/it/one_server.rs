//! One server per SQLite file, under whatever name or mount the second one comes: the real binary, twice.
//!
//! Mounting needs user namespaces (`unshare`). Where a system does not grant them, that test says so.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::server::{SECRET, Server, onechat, run, scrub, text};

/// The server of `chats.db` in a folder of its own.
fn first_server() -> (TempDir, PathBuf, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let path = folder.path().join("chats.db");
    (folder, path, server)
}

/// What a second server says when it is started on `path` and refused.
fn refusal(path: &Path) -> String {
    let mut command = onechat();
    command.args(["serve", "--store", &format!("sqlite:{}", path.display())]);
    refusal_of(&command)
}

fn refusal_of(command: &Command) -> String {
    // A server that is let in would run for ever, so the time is limited: 124 is what `timeout` ends with then.
    let mut limited = Command::new("timeout");
    limited.arg("10").arg(command.get_program()).args(command.get_args());
    scrub(&mut limited);
    limited.env("ONECHAT_JWT_SECRET", SECRET).env("ONECHAT_LISTEN", "127.0.0.1:0");
    let output = limited.output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    text
}

#[tokio::test]
async fn a_second_server_through_a_symlink_is_refused() {
    let (folder, path, server) = first_server();
    let link = folder.path().join("link.db");
    symlink(&path, &link).unwrap();
    let text = refusal(&link);
    assert!(text.contains(&format!("in use by process {}", server.process.id())), "{text}");
    assert_eq!(server.user("alice").open(&["alice", "bob"]).await.unwrap().0, 201);
}

#[tokio::test]
async fn a_second_server_through_a_hard_link_is_refused_and_the_audit_reports_the_link() {
    let (folder, path, server) = first_server();
    let link = folder.path().join("link.db");
    fs::hard_link(&path, &link).unwrap();
    let text = refusal(&link);
    assert!(text.contains("has 2 hard links") && text.contains("find FOLDER -samefile"), "{text}");
    assert_eq!(server.user("alice").open(&["alice", "bob"]).await.unwrap().0, 201);
    for name in ["chats.db", "link.db"] {
        let audit = run(folder.path(), &["audit", "--store", &format!("sqlite:{name}")]);
        let report = crate::server::text(&audit);
        assert_eq!(audit.status.code(), Some(1), "{name}: {report}");
        assert!(report.contains("linked_file (error, I7)"), "{name}: {report}");
        assert!(report.contains(&format!("{name} has 2 hard links")), "{name}: {report}");
    }
    // Nothing else was examined, so it is no answer to a question about something else, and nothing to accept.
    let only = run(folder.path(), &["audit", "--store", "sqlite:chats.db", "--only", "duplicate_set"]);
    assert_eq!(only.status.code(), Some(1), "{}", crate::server::text(&only));
    let accept = ["audit", "--store", "sqlite:chats.db", "--baseline", "b.toml", "--accept", "--by", "Ann"];
    let accept = run(folder.path(), &[&accept[..], &["--only", "linked_file"]].concat());
    assert_eq!(accept.status.code(), Some(2), "{}", crate::server::text(&accept));
    assert!(crate::server::text(&accept).contains("cannot be accepted"), "{}", crate::server::text(&accept));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_second_server_after_a_rename_is_refused() {
    let (folder, path, server) = first_server();
    let moved = folder.path().join("moved.db");
    fs::rename(&path, &moved).unwrap();
    let text = refusal(&moved);
    assert!(text.contains("in use by a process that has it open under another path"), "{text}");
    drop(server);
}

/// Two containers with the one file mounted into each: neither sees the other's folder, lock or log.
#[tokio::test]
async fn a_second_server_on_the_same_file_in_another_mount_is_refused() {
    let shared = tempfile::tempdir().unwrap();
    let file = shared.path().join("shared.db");
    fs::write(&file, "").unwrap();
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("NOT RUN: this system does not let a test mount a file (unshare -rm)");
        return;
    }
    let containers = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let serve_in = |container: &TempDir| {
        let path = container.path().join("chats.db");
        fs::write(&path, "").unwrap();
        let script = format!(
            "mount --bind {file} {path} && exec {onechat} serve --store sqlite:{path}",
            file = file.display(),
            path = path.display(),
            onechat = env!("CARGO_BIN_EXE_onechat"),
        );
        let mut command = Command::new("unshare");
        scrub(&mut command);
        command.args(["-rm", "sh", "-ec", &script]);
        command
    };
    let first = Server::start_as(serve_in(&containers[0]));
    assert_eq!(first.user("alice").open(&["alice", "bob"]).await.unwrap().0, 201);
    let text = refusal_of(&serve_in(&containers[1]));
    assert!(text.contains("in use by a process that has it open under another path"), "{text}");
    let (status, chat) = first.user("alice").open(&["alice", "carol"]).await.unwrap();
    assert_eq!(status, 201, "the first server fails: {chat}");
}
