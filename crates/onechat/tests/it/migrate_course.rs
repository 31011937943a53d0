//! The whole way and back, by the commands, on a real MongoDB.

use std::{fs, process::Output};

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_legacy::{Database, Shape, Strictness, connect, differences};
use onechat_mongod::{Deployment, fresh_database, shared_replica_set, shared_standalone};
use serde_json::{Value, json};

use crate::{
    mongo::on,
    old_data::OldData,
    server::{all_of, text},
};

/// A database with two chats of ann and bob, one without a key of ann and carol, and messages in all of them.
struct Old {
    store: String,
    database: Database,
    /// Both chats of ann and bob, the older one first.
    twins: [ObjectId; 2],
}

impl Old {
    async fn new() -> Self {
        let store = shared_standalone().await.uri(&fresh_database("it"));
        let database = connect(&store).await.unwrap();
        let twins = [ObjectId::from_bytes([1; 12]), ObjectId::from_bytes([2; 12])];
        let chat = |id: ObjectId, people: [&str; 2], key: Bson, day: i64| {
            let at = DateTime::from_millis(1_700_000_000_000 + day * 86_400_000);
            doc! { "_id": id, "participants": people.to_vec(), "participantsKey": key, "createdAt": at }
        };
        let other = ObjectId::from_bytes([3; 12]);
        let chats = [
            chat(twins[0], ["ann", "bob"], "ann_bob".into(), 1),
            chat(twins[1], ["bob", "ann"], Bson::Null, 2),
            chat(other, ["carol", "ann"], Bson::Null, 3),
        ];
        database.collection::<Document>("chats").insert_many(chats).await.unwrap();
        let messages = (0..9_i64).map(|n| {
            let chat = [twins[0], twins[1], other][usize::try_from(n % 3).unwrap()];
            doc! { "chatId": chat, "sender": "ann", "text": format!("m{n}"), "createdAt": DateTime::from_millis(1_700_000_000_000 + n) }
        });
        database.collection::<Document>("messages").insert_many(messages).await.unwrap();
        Self { store, database, twins }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        on(&self.store, arguments)
    }

    /// What a command printed as JSON.
    fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"][..]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", text(&output)))
    }

    /// Changes with any write to the database.
    async fn hash(&self) -> String {
        let reply = self.database.run_command(doc! { "dbHash": 1 }).await.unwrap();
        reply.get_str("md5").unwrap().to_owned()
    }

    /// All documents of a collection, in the order of `_id`.
    async fn all(&self, collection: &str) -> Vec<Document> {
        all_of(&self.database, collection).await
    }
}

#[tokio::test]
async fn one_command_goes_all_the_way_a_second_does_nothing_and_all_of_it_can_be_undone() {
    let old = Old::new().await;
    let (chats, messages) = (old.all("chats").await, old.all("messages").await);

    let before = old.hash().await;
    let dry = old.json(0, &["migrate", "--dry-run"]);
    assert_eq!((&dry["plan"]["groups"], &dry["backfill"]["keyed"]), (&json!(1), &json!(1)), "{dry}");
    assert_eq!(old.hash().await, before, "a dry run wrote");

    let done = old.json(0, &["migrate", "--yes"]);
    assert_eq!((&done["outcome"], &done["account"]["holds"]), (&json!("enforced"), &json!(true)), "{done}");
    assert_eq!((&done["merge"]["groups"], &done["protection"]["state"]), (&json!(1), &json!("enforced")));
    let run = done["run"].as_str().unwrap();
    let left = old.all("chats").await;
    assert_eq!(left.len(), 2);
    assert_eq!(left[0].get_object_id("_id").unwrap(), old.twins[0], "the older one lives on");
    let moved = old.all("messages").await;
    assert!(moved.iter().all(|message| message.get_object_id("chatId").unwrap() != old.twins[1]));

    let before = old.hash().await;
    let again = old.json(0, &["migrate", "--yes"]);
    assert_eq!(again["outcome"], "nothing_to_do", "{again}");
    assert_eq!(old.hash().await, before, "a second run wrote");
    assert!(text(&old.run(&["migrate", "--yes"])).contains("Nothing to do"));

    let listed = old.json(0, &["merge", "list"]);
    assert_eq!(
        (&listed["runs"][0]["run"], &listed["runs"][0]["merged"]),
        (&json!(run), &json!(1)),
        "{listed}"
    );
    let entries = old.json(0, &["merge", "list", "--run", run]);
    let entry = entries["entries"][0]["entry"].as_str().unwrap();
    let shown = old.json(0, &["merge", "show", entry]);
    assert_eq!(shown["summary"]["key"], "ann_bob", "{shown}");
    assert_eq!(old.json(0, &["account", run])["holds"], true);

    let guarded = old.run(&["merge", "undo", "--run", run, "--yes"]);
    assert_eq!(guarded.status.code(), Some(2), "{}", text(&guarded));
    assert!(text(&guarded).contains("rollback"), "{}", text(&guarded));
    assert!(!old.json(0, &["rollback", "--yes"])["dropped"].as_array().unwrap().is_empty());
    assert_eq!(old.json(1, &["guard", "status"])["state"], "unmigrated");
    let undone = old.json(0, &["merge", "undo", "--run", run, "--yes"]);
    assert_eq!((&undone["groups"], &undone["revived"]), (&json!(1), &json!(1)), "{undone}");
    assert_eq!(old.all("chats").await, chats);
    assert_eq!(old.all("messages").await, messages);
}

#[tokio::test]
async fn a_plan_is_reviewed_applied_and_found_out_when_it_is_stale_or_of_other_rules() {
    let old = Old::new().await;
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.jsonl");
    let plan = plan.to_str().unwrap();
    for step in [&["guard", "on", "--yes"][..], &["backfill", "--yes"]] {
        assert_eq!(old.run(step).status.code(), Some(0));
    }
    let before = old.hash().await;
    let shown = old.run(&["merge", "plan", "--out", plan]);
    assert_eq!((shown.status.code(), old.hash().await), (Some(0), before), "{}", text(&shown));
    let lines: Vec<Value> =
        fs::read_to_string(plan).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), &lines[0]["collection"], &lines[1]["key"]),
        (3, &json!("chats"), &json!("ann_bob"))
    );

    let other = old.run(&["merge", "apply", "--plan", plan, "--survivor", "most-recent", "--yes"]);
    assert_eq!(other.status.code(), Some(2), "{}", text(&other));
    assert!(text(&other).contains("made at") && text(&other).contains("plan again"), "{}", text(&other));

    let twin = doc! { "_id": old.twins[1] };
    let change = doc! { "$set": { "lastMessageAt": DateTime::now() } };
    old.database.collection::<Document>("chats").update_one(twin, change).await.unwrap();
    let applied = old.json(1, &["merge", "apply", "--plan", plan, "--yes"]);
    assert_eq!(
        (&applied["merge"]["stale"], &applied["merge"]["groups"]),
        (&json!(1), &json!(1)),
        "{applied}"
    );
    assert_eq!(old.all("chats").await.len(), 2);
    assert_eq!(old.json(0, &["enforce", "--yes"])["is_unique"], true);
}

#[tokio::test]
async fn what_a_later_run_has_built_on_waits_until_that_is_undone() {
    let old = Old::new().await;
    let before = old.all("chats").await;
    let first = old.json(0, &["migrate", "--yes"])["run"].as_str().unwrap().to_owned();
    // An old backend makes a duplicate of a chat that the first run has given its key.
    let late = doc! { "_id": ObjectId::from_bytes([9; 12]), "participants": ["ann", "carol"] };
    old.database.collection::<Document>("chats").insert_one(late.clone()).await.unwrap();
    let second = old.json(0, &["migrate", "--yes"])["run"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    old.json(0, &["rollback", "--yes"]);

    let undone = old.json(1, &["merge", "undo", "--yes", "--run", &first]);
    let conflicts = undone["conflicts"].as_array().unwrap();
    assert!(conflicts.iter().all(|line| line.as_str().unwrap().contains(&second)), "{undone}");
    assert_eq!((conflicts.len(), &undone["groups"]), (1, &json!(1)), "{undone}");
    let living = old.all("chats").await;
    assert_eq!(
        living[2].get_str("participantsKey").unwrap(),
        "ann_carol",
        "it is left as the later run has made it"
    );

    old.json(0, &["merge", "undo", "--yes", "--run", &second]);
    old.json(0, &["merge", "undo", "--yes", "--run", &first]);
    assert_eq!(old.all("chats").await, [before, vec![late]].concat());
}

async fn all_of_it_is_given_back(deployment: &Deployment) {
    // One of each kind of malformed chats.
    let shape = Shape { malformed: 8, ..Shape::of(600, 90, 3_000, 11) };
    let (ours, as_it_was) =
        (OldData::on(deployment, shape.clone()).await, OldData::on(deployment, shape).await);
    ours.succeed(&["migrate", "--yes"]);
    let runs: Value = serde_json::from_str(&ours.succeed(&["merge", "list", "--json"])).unwrap();
    ours.succeed(&["rollback", "--yes"]);
    ours.succeed(&["merge", "undo", "--yes", "--run", runs["runs"][0]["run"].as_str().unwrap()]);
    let mut apart = differences(&ours.database, &as_it_was.database).await.unwrap();
    // What servers need besides stays.
    apart.retain(|difference| !difference.starts_with("the indexes of"));
    assert!(apart.is_empty(), "{} differences: {apart:#?}", apart.len());
    // And forth again, as if nothing had been.
    ours.succeed(&["migrate", "--yes"]);
    let wrong = ours.differences(Strictness::Exact).await;
    assert!(wrong.is_empty(), "{} differences: {wrong:#?}", wrong.len());
}

#[tokio::test]
async fn a_whole_migration_is_given_back_to_the_byte() {
    all_of_it_is_given_back(shared_standalone().await).await;
}

#[tokio::test]
async fn a_whole_migration_is_given_back_to_the_byte_on_a_replica_set() {
    all_of_it_is_given_back(shared_replica_set().await).await;
}
