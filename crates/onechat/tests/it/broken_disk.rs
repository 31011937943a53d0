//! A disk that is full, and one that cannot be written: real file systems, mounted for the test alone.
//!
//! Mounting needs user namespaces (`unshare`). Where a system does not grant them, these tests say so.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use reqwest::Method;
use serde_json::Value;

use crate::server::{SECRET, Server, scrub};

/// How many writes a full disk refuses, far more than one a second.
const REFUSED: usize = 300;

/// A command that runs `serve` on a file system of its own, mounted at `folder` by `mount`.
fn serve_on(folder: &Path, mount: &str) -> Option<Command> {
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("NOT RUN: this system does not let a test mount a file system (unshare -rm)");
        return None;
    }
    let (folder, onechat) = (folder.to_str().unwrap(), env!("CARGO_BIN_EXE_onechat"));
    let script = format!("{mount} && exec {onechat} serve --store sqlite:{folder}/chats.db");
    let mut command = Command::new("unshare");
    scrub(&mut command);
    command.args(["-rm", "sh", "-ec", &script.replace("FOLDER", folder)]);
    Some(command)
}

#[tokio::test]
async fn a_full_disk_is_answered_503_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=3m none FOLDER && head -c 1m /dev/zero > FOLDER/ballast";
    let Some(command) = serve_on(folder.path(), mount) else { return };
    let mut server = Server::start_as(command);
    let start = Instant::now();
    let hub = server.user("hub");
    let mut acknowledged = Vec::new();
    let problem = loop {
        let friend = format!("{}-{:0200}", acknowledged.len(), 0);
        let (status, answer) = hub.open(&["hub", &friend]).await.unwrap();
        if status != 201 {
            break (status, answer);
        }
        acknowledged.push((friend, answer["id"].clone()));
    };
    assert_eq!((problem.0.as_u16(), &problem.1["code"]), (503, &"store_unavailable".into()), "{}", problem.1);
    assert!(acknowledged.len() > 50, "the disk was full after {} chats", acknowledged.len());
    assert!(server.event("commit_failed")["error"].as_str().unwrap().contains("full"));

    // Reading goes on, and a load balancer is told to look elsewhere.
    let (friend, id) = &acknowledged[0];
    let (status, chat) = hub.open(&["hub", friend]).await.unwrap();
    assert_eq!((status.as_u16(), &chat["id"]), (200, id));
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/readyz").await.0, 503);

    // Those who go on writing do not fill the log, or the log's disk would be the next that is full.
    for n in 0..REFUSED {
        assert_eq!(hub.open(&["hub", &format!("refused-{n}-{:0200}", 0)]).await.unwrap().0, 503);
    }
    let seconds = start.elapsed().as_secs();

    // Somebody makes room: it goes on as if nothing had been.
    let root = PathBuf::from(format!("/proc/{}/root", server.process.id()));
    let ballast = folder.path().strip_prefix("/").unwrap().join("ballast");
    std::fs::remove_file(root.join(ballast)).unwrap();
    assert_eq!(server.get("/readyz").await.0, 200);
    let (status, chat) = hub.open(&["hub", "after"]).await.unwrap();
    assert_eq!(status, 201, "{chat}");
    for (friend, id) in &acknowledged {
        let (status, chat) = hub.open(&["hub", friend]).await.unwrap();
        assert_eq!((status.as_u16(), &chat["id"]), (200, id), "an acknowledged chat is gone");
        let path = format!("/api/chats/{}", id.as_str().unwrap());
        assert_eq!(hub.call(Method::GET, &path, None).await.unwrap().0, 200);
    }

    server.signal("TERM");
    let log = server.rest_of_log();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let failures = events.filter(|event| event["event"] == "commit_failed").count();
    // The first line is read already, and the others are a second apart.
    assert!(failures as u64 <= seconds, "{failures} more lines in {seconds} s");
    eprintln!("{REFUSED} refused writes: {failures} more lines in {seconds} s");
}

#[tokio::test]
async fn a_read_only_folder_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = serve_on(folder.path(), "mount -t tmpfs -o ro none FOLDER") else { return };
    let output = command.env("ONECHAT_JWT_SECRET", SECRET).output().unwrap();
    let text = crate::server::text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("chats.db") && text.contains("check that its folder exists and is writable"),
        "{text}"
    );
}
