//! Other keys for a collection on which servers go on serving: two configurations side by side, and the end of the first.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use bson::{Document, doc};
use onechat_legacy::{Database, connect};
use onechat_mongod::{Deployment, fresh_database, shared_replica_set, shared_standalone};
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::server::{SECRET, Server, all_of, onechat, scrub, text};

const OLD: &str = "[store]\nkey_format = 'joined'\n";
const NEW: &str = "[mongodb.chat_fields]\nparticipants_key = 'key2'\n";
const PREVIOUS: &str = "[mongodb.previous]\nparticipants_key = 'participantsKey'\nkey_format = 'joined'\n";

/// A database with its configurations.
struct Fleet {
    store: String,
    database: Database,
    folder: TempDir,
}

impl Fleet {
    async fn on(deployment: &Deployment) -> Self {
        let store = deployment.uri(&fresh_database("it"));
        let database = connect(&store).await.expect("a server that runs");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in [("old", OLD), ("new", &format!("{NEW}{PREVIOUS}")), ("alone", NEW)] {
            fs::write(folder.path().join(name), content).expect("a file");
        }
        Self { store, database, folder }
    }

    fn config(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = onechat();
        command.env("ONECHAT_STORE", &self.store).args(arguments).arg("--config").arg(self.config(config));
        command
    }

    fn run(&self, config: &str, arguments: &[&str], code: i32) -> String {
        let output: Output = self.command(config, arguments).output().expect("it runs");
        let text = text(&output);
        assert_eq!(output.status.code(), Some(code), "{config} {arguments:?}: {text}");
        text
    }

    fn server(&self, config: &str) -> Server {
        Server::start_as(self.command(config, &["serve"]))
    }

    /// What a server says that does not start.
    fn refusal(&self, config: &str) -> String {
        // One that is let in would run for ever, so the time is limited: 124 is what `timeout` ends with then.
        let command = self.command(config, &["serve"]);
        let mut limited = Command::new("timeout");
        limited.arg("20").arg(command.get_program()).args(command.get_args());
        scrub(&mut limited);
        limited.env("ONECHAT_STORE", &self.store).env("ONECHAT_LISTEN", "127.0.0.1:0");
        let output = limited.env("ONECHAT_JWT_SECRET", SECRET).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        text(&output)
    }

    async fn chats(&self) -> Vec<Document> {
        all_of(&self.database, "chats").await
    }

    async fn unkeyed(&self) -> usize {
        self.chats().await.iter().filter(|chat| !chat.contains_key("key2")).count()
    }
}

fn people(n: usize) -> [String; 2] {
    [format!("u_{n}"), format!("v{n}")]
}

async fn open(server: &Server, n: usize) -> (StatusCode, String) {
    let people = people(n);
    let people = people.each_ref().map(String::as_str);
    let (status, chat) = server.user(people[n % 2]).open(&people).await.expect("it answers");
    (status, chat["id"].as_str().unwrap_or_else(|| panic!("{status} {chat}")).to_owned())
}

/// All servers are asked for each pair at once. The ids, by pair: all are told the same, and one at most that it is new.
async fn race(servers: &[&Server], pairs: std::ops::Range<usize>) -> BTreeMap<usize, String> {
    let mut ids = BTreeMap::new();
    for n in pairs {
        let people = people(n);
        let asks = servers.iter().flat_map(|server| {
            let user = server.user(&people[n % 2]);
            [(user.clone(), people.clone()), (user, people.clone())]
        });
        let asks: JoinSet<(StatusCode, String)> = asks
            .map(|(user, people)| async move {
                let (status, chat) =
                    user.open(&people.each_ref().map(String::as_str)).await.expect("it answers");
                (status, chat["id"].as_str().unwrap_or_else(|| panic!("{status} {chat}")).to_owned())
            })
            .collect();
        let answers = asks.join_all().await;
        assert!(answers.iter().all(|(_, id)| *id == answers[0].1), "pair {n}: {answers:?}");
        let created = answers.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
        assert!(created <= 1, "pair {n}: {answers:?}");
        ids.insert(n, answers[0].1.clone());
    }
    ids
}

async fn from_joined_to_escaped(deployment: &Deployment) {
    let fleet = Fleet::on(deployment).await;
    let olds = [fleet.server("old"), fleet.server("old")];
    let mut ids = race(&[&olds[0], &olds[1]], 0..20).await;
    let refused = fleet.run("new", &["rekey", "finish", "--yes"], 2);
    assert!(refused.contains("nothing has begun to replace the keys in participantsKey"), "{refused}");
    let migrated = fleet.run("new", &["migrate", "--yes"], 0);
    assert!(
        migrated.contains("20 got their key") && migrated.contains("Done: there is one chat"),
        "{migrated}"
    );
    let refused = fleet.refusal("alone");
    assert!(refused.contains("are replacing those in participantsKey"), "{refused}");

    let news = [fleet.server("new"), fleet.server("new")];
    ids.extend(race(&[&olds[0], &news[0], &news[1], &olds[1]], 10..120).await);
    ids.extend(race(&[&olds[0]], 120..130).await);
    let refused = fleet.run("new", &["rekey", "finish", "--dry-run"], 2);
    assert!(refused.contains("10 chats are without their new key"), "{refused}");
    if deployment.members() > 1 {
        let mut watch = fleet.command("new", &["watch", "--yes"]).spawn().expect("it runs");
        ids.extend(race(&[&olds[1]], 130..140).await);
        for _ in 0..100 {
            if fleet.unkeyed().await == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let _ = watch.kill();
        let _ = watch.wait();
        assert_eq!(fleet.unkeyed().await, 0, "watch gives no keys");
    } else {
        fleet.run("new", &["migrate", "--yes"], 0);
        ids.extend(race(&[&olds[1]], 130..140).await);
        fleet.run("new", &["migrate", "--yes"], 0);
    }

    let asked = fleet.run("new", &["rekey", "finish"], 2);
    assert!(asked.contains("There is no undo") && asked.contains("say --yes"), "{asked}");
    let before = fleet.chats().await;
    let foreseen = fleet.run("new", &["rekey", "finish", "--dry-run"], 0);
    for part in
        ["would drop the index chats.onechat_participantsKey", "140 chats would lose their previous key"]
    {
        assert!(foreseen.contains(part), "{part:?} is missing in {foreseen}");
    }
    assert_eq!(fleet.chats().await, before, "a dry run has changed something");
    let done = fleet.run("new", &["rekey", "finish", "--yes", "--json"], 0);
    let report = done.lines().filter(|line| !line.starts_with("onechat:")).collect::<String>();
    let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!((&report["cleared"], &report["left"]), (&140.into(), &0.into()), "{report}");

    // Who was forgotten reads, and creates nothing.
    let (status, problem) = olds[0].user("u_900").open(&["u_900", "v900"]).await.expect("it answers");
    assert_eq!((status.as_u16(), &problem["code"]), (503, &"not_migrated".into()), "{problem}");
    for n in [0, 50, 125, 135] {
        assert_eq!(open(&olds[0], n).await, (StatusCode::OK, ids[&n].clone()), "pair {n}");
    }
    let refused = fleet.refusal("old");
    assert!(
        refused.contains("do not count any more (`onechat rekey finish`): those in \"key2\" do"),
        "{refused}"
    );
    drop(olds);

    let last = fleet.server("alone");
    assert_eq!(race(&[&news[0], &last], 0..140).await, ids);
    race(&[&news[0], &last, &news[1]], 140..160).await;
    let chats = fleet.chats().await;
    assert_eq!(chats.len(), 160);
    for chat in &chats {
        assert!(!chat.contains_key("participantsKey") && chat.contains_key("key2"), "{chat}");
    }
    let again = fleet.run("alone", &["migrate", "--yes"], 0);
    assert!(again.contains("Nothing to do"), "{again}");
    fleet.run("alone", &["audit"], 0);
    let again = fleet.run("new", &["rekey", "finish", "--yes"], 0);
    assert!(again.contains("did not count any more\n  0 chats lost"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_joined_to_escaped_on_a_standalone_server() {
    from_joined_to_escaped(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_joined_to_escaped_on_a_replica_set() {
    from_joined_to_escaped(shared_replica_set().await).await;
}

/// The way back before the end: the previous keys have been there all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn until_the_end_the_way_back_is_a_rollback() {
    let fleet = Fleet::on(shared_replica_set().await).await;
    let old = fleet.server("old");
    let ids = race(&[&old], 0..20).await;
    let migrated = fleet.run("new", &["migrate", "--yes"], 0);
    let run = migrated.split("this is run ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let run = run.expect("it names its run");
    let new = fleet.server("new");
    let ids = [ids, race(&[&old, &new], 20..30).await].into_iter().flatten().collect::<BTreeMap<_, _>>();
    drop(new);
    fleet.run("new", &["rollback", "--yes"], 0);
    let undone = fleet.run("new", &["merge", "undo", "--run", run, "--yes"], 0);
    assert!(undone.contains("20 keys taken back"), "{undone}");
    assert_eq!(race(&[&old], 0..30).await, ids);
    let indexes =
        fleet.database.collection::<Document>("chats").list_index_names().await.expect("it answers");
    assert!(indexes.contains(&"onechat_participantsKey".to_owned()), "{indexes:?}");
    assert!(!indexes.contains(&"onechat_key2".to_owned()), "{indexes:?}");
    let keyed = fleet.chats().await.iter().filter(|chat| chat.contains_key("participantsKey")).count();
    assert_eq!(keyed, 30);
    // Of a chat that is there before the next try nothing but its keys is changed.
    fleet.run("new", &["migrate", "--yes"], 0);
    let with_both = doc! { "participantsKey": { "$type": "string" }, "key2": { "$type": "string" } };
    let both = fleet.database.collection::<Document>("chats").count_documents(with_both).await;
    assert_eq!(both.expect("it answers"), 30);
}
