//! Nothing outlives its owner: no process and no file, neither after a drop nor after `kill -9` of the owner.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use onechat_mongod::Deployment;

/// Tells the child that it is one.
const CHILD: &str = "ONECHAT_MONGOD_TEST_CHILD";
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a process of this deployment is there: each has the folder among its arguments.
fn is_used(folder: &Path) -> bool {
    command_lines().contains(folder.to_str().unwrap())
}

/// Of all processes. Not every Linux has `ps`, and not every system has `/proc`.
fn command_lines() -> String {
    let Ok(entries) = fs::read_dir("/proc") else {
        let output = Command::new("ps").args(["-A", "-o", "args="]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        return String::from_utf8_lossy(&output.stdout).into_owned();
    };
    // Processes come and go meanwhile.
    let lines = entries.flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[tokio::test]
async fn a_drop_removes_processes_and_files_also_of_members_that_are_paused_or_dead() {
    let set = Deployment::replica_set().await.unwrap();
    let folder = set.folder().to_owned();
    assert!(folder.is_dir() && is_used(&folder));
    set.pause(0).unwrap();
    set.kill(1).unwrap();
    drop(set);
    assert!(!folder.exists() && !is_used(&folder));
}

/// Runs in a process of its own, started by the next test, and waits there to be killed.
#[tokio::test]
async fn child_that_is_killed() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let set = Deployment::replica_set().await.unwrap();
    set.pause(0).unwrap();
    set.kill(1).unwrap();
    println!("\nfolder: {}", set.folder().display());
    std::future::pending::<()>().await;
}

#[test]
fn a_kill_of_the_owner_removes_processes_and_files() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "gone::child_that_is_killed", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let folder = output.lines().find_map(|line| Some(PathBuf::from(line.unwrap().strip_prefix("folder: ")?)));
    let folder = folder.expect("the child names its folder");
    assert!(folder.is_dir() && is_used(&folder));

    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    while folder.exists() || is_used(&folder) {
        assert!(start.elapsed() < PATIENCE, "{} is still in use", folder.display());
        thread::sleep(Duration::from_millis(20));
    }
    println!("all gone {:?} after the owner", start.elapsed());
}
