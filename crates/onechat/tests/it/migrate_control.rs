//! Long work in the operator's hand: slowed, hurried on, stopped, and one at a time.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use bson::{Document, doc};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{onechat, text};

/// More than one batch.
const CHATS: u64 = 3000;
/// Far more than any step of these tests takes, and far less than the work takes at one document a second.
const PATIENCE: Duration = Duration::from_mins(2);

/// Chats without a key, and a configuration that lets one of them be written each second.
struct Slow {
    store: String,
    database: Database,
    config: PathBuf,
    folder: TempDir,
}

impl Slow {
    async fn on(store: String) -> Self {
        let database = connect(&store).await.unwrap();
        let chats = (0..CHATS).map(|n| doc! { "participants": ["ann", format!("friend {n}")] });
        database.collection::<Document>("chats").insert_many(chats).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("onechat.toml");
        let slow = Self { store, database, config, folder };
        let guard = onechat().args(["guard", "on", "--yes", "--store", &slow.store]).output().unwrap();
        assert!(guard.status.success(), "{}", text(&guard));
        slow.set_rate(1);
        slow
    }

    /// Edits the configuration as editors do: all at once.
    fn set_rate(&self, rate: u32) {
        let new = self.config.with_extension("new");
        fs::write(&new, format!("[migrate]\nmax_rate = {rate}\n")).unwrap();
        fs::rename(&new, &self.config).unwrap();
    }

    fn backfill(&self, arguments: &[&str]) -> Command {
        let mut command = onechat();
        command.args(["backfill", "--yes", "--json", "--store", &self.store, "--config"]);
        command.arg(&self.config).args(arguments);
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.backfill(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn keyed(&self) -> u64 {
        let chats = self.database.collection::<Document>("chats");
        chats.count_documents(doc! { "participantsKey": { "$gt": "" } }).await.unwrap()
    }

    /// Waits until more than this many chats have a key.
    async fn until_more_than(&self, keyed: u64, process: &mut Child) {
        let began = Instant::now();
        while self.keyed().await <= keyed {
            assert_eq!(process.try_wait().unwrap(), None, "it ended");
            assert!(began.elapsed() < PATIENCE, "still {keyed} chats have a key");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn ended(mut process: Child) -> Output {
    let began = Instant::now();
    while process.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            process.kill().unwrap();
            panic!("it did not end: {}", text(&process.wait_with_output().unwrap()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.wait_with_output().unwrap()
}

fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(status.unwrap().success());
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)))
}

async fn on_standalone() -> Slow {
    Slow::on(shared_standalone().await.uri(&fresh_database("it"))).await
}

#[tokio::test]
async fn a_rate_is_kept_until_the_file_says_another_and_meanwhile_nobody_else_writes() {
    let slow = on_standalone().await;
    let mut first = slow.start(&[]);
    slow.until_more_than(0, &mut first).await;
    let second = slow.backfill(&[]).output().unwrap();
    assert_eq!(second.status.code(), Some(4), "{}", text(&second));
    assert!(text(&second).contains("onechat backfill on "), "it does not say who: {}", text(&second));
    assert!(slow.keyed().await < CHATS, "the rate is not kept");
    slow.set_rate(1_000_000);
    let first = ended(first).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert!(text(&first).contains("the limits are now: 1000000 documents a second"), "{}", text(&first));
    assert_eq!((report(&first)["keyed"].as_u64(), slow.keyed().await), (Some(CHATS), CHATS));
}

#[tokio::test]
async fn stopped_by_a_signal_or_a_flag_file_it_goes_on_where_it_was() {
    let slow = on_standalone().await;
    let mut process = slow.start(&[]);
    slow.until_more_than(0, &mut process).await;
    signal(&process, "INT");
    let interrupted = ended(process).await;
    assert_eq!(interrupted.status.code(), Some(3), "{}", text(&interrupted));
    assert!(text(&interrupted).contains("the same command resumes"), "{}", text(&interrupted));
    let keyed = slow.keyed().await;
    assert!(0 < keyed && keyed < CHATS, "{keyed}");

    let flag = slow.folder.path().join("stop");
    let mut process = slow.start(&["--stop-file", flag.to_str().unwrap()]);
    slow.until_more_than(keyed, &mut process).await;
    fs::write(&flag, "").unwrap();
    let stopped = ended(process).await;
    assert_eq!(stopped.status.code(), Some(3), "{}", text(&stopped));
    assert!(text(&stopped).contains("the flag file"), "{}", text(&stopped));
    assert!(slow.keyed().await < CHATS);

    slow.set_rate(1_000_000);
    let last = ended(slow.start(&[])).await;
    assert_eq!(last.status.code(), Some(0), "{}", text(&last));
    assert_eq!(slow.keyed().await, CHATS);
    let runs = onechat().args(["merge", "list", "--json", "--store", &slow.store]).output().unwrap();
    let runs = report(&runs);
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!((runs.len(), runs[0]["keyed"].as_u64()), (1, Some(CHATS)), "it is one run: {runs:?}");
}

#[tokio::test]
async fn a_hang_up_reads_the_file_again_and_ends_nothing() {
    let slow = on_standalone().await;
    let mut process = slow.start(&["--max-rate", "2"]);
    slow.until_more_than(0, &mut process).await;
    signal(&process, "HUP");
    // What the file said before is not what was changed, so the flag still holds.
    let mut said = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("the limits are now: 2 documents a second")));
    assert!(slow.keyed().await < CHATS);
    slow.set_rate(1_000_000);
    assert!(said.any(|line| line.contains("the limits are now: 1000000 documents a second")));
    let output = ended(process).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(slow.keyed().await, CHATS);
}

#[tokio::test]
async fn on_a_replica_set_a_lag_that_is_kept_lets_the_work_go_on() {
    let slow = Slow::on(shared_replica_set().await.uri(&fresh_database("it"))).await;
    slow.set_rate(1_000_000);
    let output = slow.backfill(&["--max-lag", "60s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(slow.keyed().await, CHATS);
}
