//! Messages with a sender and a receiver, and no chats: the chats are made and the messages pointed there, beside old backends
//! and servers, and all of it is given back to the byte.

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, onechat, text};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

const CONFIGURATION: &str = include_str!("layouts/09-no-chat-document.toml");

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + seconds * 1000)
}

/// Somebody writes to somebody.
fn message(number: u8, (from, to): (u8, u8), seconds: i64) -> Document {
    doc! {
        "_id": id(number), "senderId": id(200 + from), "receiverId": id(200 + to), "text": format!("word {number}"),
        "createdAt": at(seconds), "seen": true,
    }
}

/// A database with nothing but messages.
struct Place {
    store: String,
    database: Database,
    folder: TempDir,
}

impl Place {
    async fn new(store: String, messages: &[Document]) -> Self {
        let database = connect(&store).await.unwrap();
        database.collection::<Document>("messages").insert_many(messages).await.unwrap();
        let place = Self { store, database, folder: tempfile::tempdir().unwrap() };
        place.configure(CONFIGURATION);
        place
    }

    async fn on_each(messages: &[Document]) -> [Self; 2] {
        [
            Self::new(shared_standalone().await.uri(&fresh_database("it")), messages).await,
            Self::new(shared_replica_set().await.uri(&fresh_database("it")), messages).await,
        ]
    }

    fn configure(&self, configuration: &str) {
        fs::write(self.folder.path().join("onechat.toml"), configuration).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = onechat();
        command.env("ONECHAT_STORE", &self.store).args(arguments).arg("--config");
        command.arg(self.folder.path().join("onechat.toml"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Migrates to the end; the report.
    fn migrate(&self) -> Value {
        let done = self.json(&["migrate", "--yes"], 0);
        assert_eq!(
            (&done["outcome"], &done["account"]["holds"]),
            (&"enforced".into(), &true.into()),
            "{done}"
        );
        done
    }

    fn serve(&self) -> Server {
        Server::start_as(self.command(&["serve"]))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Documents as they are stored, by `_id`.
    async fn bytes(&self, collection: &str) -> Vec<RawDocumentBuf> {
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let mut cursor = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let mut found = Vec::new();
        while cursor.advance().await.unwrap() {
            found.push(cursor.deserialize_current().unwrap());
        }
        found
    }

    async fn all(&self, collection: &str) -> Vec<Document> {
        self.bytes(collection).await.iter().map(|one| Document::try_from(one.as_ref()).unwrap()).collect()
    }

    async fn insert(&self, collection: &str, document: Document) {
        self.database.collection::<Document>(collection).insert_one(document).await.unwrap();
    }

    async fn count(&self, collection: &str, filter: Document) -> u64 {
        self.database.collection::<Document>(collection).count_documents(filter).await.unwrap()
    }

    /// The chat of two people.
    async fn chat_of(&self, one: u8, other: u8) -> Document {
        let people = [id(200 + one), id(200 + other)];
        let filter = doc! { "participants": { "$all": people.to_vec(), "$size": 2 } };
        let chats = self.database.collection::<Document>("chats");
        assert_eq!(chats.count_documents(filter.clone()).await.unwrap(), 1, "{one} and {other}");
        chats.find_one(filter).await.unwrap().unwrap()
    }

    /// Each message that names a chat names that of its sender and receiver, of which there is one.
    async fn is_sound(&self) {
        for message in self.all("messages").await {
            let Some(chat) = message.get("chatId").filter(|chat| **chat != Bson::Null) else { continue };
            let people = [&message["senderId"], &message["receiverId"]].map(|id| id.as_object_id().unwrap());
            let filter = doc! { "participants": { "$all": people.to_vec(), "$size": 2 } };
            assert_eq!(self.count("chats", filter.clone()).await, 1, "{message}");
            let found =
                self.database.collection::<Document>("chats").find_one(filter).await.unwrap().unwrap();
            assert_eq!(found["_id"], *chat, "{message}");
        }
    }

    /// Waits until all messages with both people name a chat.
    async fn until_pointed(&self) {
        let began = Instant::now();
        let to_another = doc! { "$ne": ["$senderId", "$receiverId"] };
        let unnamed = doc! { "chatId": null, "receiverId": { "$ne": null }, "$expr": to_another };
        while self.count("messages", unnamed.clone()).await > 0 {
            assert!(began.elapsed() < PATIENCE, "messages are left without a chat");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Of three pairs, and of people who have no chat: somebody alone, and nobody.
fn messages() -> Vec<Document> {
    let mut with_null = doc! { "_id": id(5), "senderId": id(203), "chatId": null };
    with_null.extend(message(5, (3, 1), 50));
    let mut undated = message(6, (2, 3), 0);
    undated.remove("createdAt");
    let mut to_nobody = message(8, (1, 2), 80);
    to_nobody.remove("receiverId");
    vec![
        message(1, (1, 2), 30),
        message(2, (2, 1), 10),
        message(3, (1, 2), 20),
        message(4, (1, 3), 40),
        with_null,
        undated,
        message(7, (4, 4), 70),
        to_nobody,
    ]
}

#[tokio::test]
async fn messages_that_name_no_chat_get_the_one_of_their_sender_and_receiver() {
    for place in Place::on_each(&messages()).await {
        let before = place.bytes("messages").await;
        let dry = place.json(&["migrate", "--dry-run"], 0);
        assert_eq!((&dry["chats"]["made"], &dry["chats"]["pointed"]), (&3.into(), &6.into()), "{dry}");
        let plan = text(&place.run(&["merge", "plan"]));
        assert!(plan.contains("3 chats would be made, 6 messages would be pointed there"), "{plan}");
        assert_eq!(place.bytes("messages").await, before);

        let done = place.migrate();
        let expected = serde_json::json!({
            "made": 3, "pointed": 6, "blocked": 0, "to_oneself": 1, "without_receiver": 1, "unreadable": 0, "examples": [],
        });
        assert_eq!(done["chats"], expected);
        place.is_sound().await;
        let chat = place.chat_of(1, 2).await;
        let times = ["createdAt", "updatedAt", "lastMessageAt"].map(|name| chat[name].clone());
        assert_eq!(times, [at(10), at(30), at(30)].map(Bson::from), "{chat}");
        assert_eq!(chat["participantsKey"], format!("{}_{}", id(201), id(202)).into());
        let messages = place.all("messages").await;
        assert_eq!(
            (&messages[4]["chatId"], messages[4].keys().nth(2).unwrap().as_str()),
            (&place.chat_of(1, 3).await["_id"], "chatId")
        );
        assert!(!messages[6].contains_key("chatId") && !messages[7].contains_key("chatId"));
        assert_eq!(place.all("chats").await.len(), 3);

        assert_eq!(place.json(&["migrate", "--yes"], 0)["outcome"], "nothing_to_do");
        let audit = place.json(&["audit"], 1);
        let findings = audit["findings"].as_array().unwrap();
        let kinds: Vec<&str> = findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
        assert_eq!((kinds, &findings[0]["count"]), (vec!["message_without_chat"], &2.into()), "{audit}");

        place.json(&["rollback", "--yes"], 0);
        let run = done["run"].as_str().unwrap();
        let foreseen = place.json(&["merge", "undo", "--run", run, "--dry-run"], 0);
        let undone = place.json(&["merge", "undo", "--run", run, "--yes"], 0);
        assert_eq!((&undone["removed"], &undone["moved_back"]), (&3.into(), &6.into()), "{undone}");
        assert_eq!(foreseen, undone);
        assert_eq!(place.bytes("messages").await, before);
        assert_eq!(place.bytes("chats").await, Vec::<RawDocumentBuf>::new());
        place.migrate();
        place.is_sound().await;
        // That nobody is named in what is left over says nothing of the configuration.
        let all = place.database.collection::<Document>("messages");
        all.delete_one(doc! { "_id": id(7) }).await.unwrap();
        assert_eq!(place.json(&["migrate", "--yes"], 0)["outcome"], "nothing_to_do");
    }
}

#[tokio::test]
async fn an_index_that_is_right_with_chats_and_wrong_without_is_made_late_and_named_by_an_undo() {
    // Without a chat, two messages of one sender with one id of the client are the same to the index that stores each once.
    let mut messages = messages();
    for at in [0, 3] {
        messages[at].insert("clientMessageId", "1");
    }
    for place in Place::on_each(&messages).await {
        let before = place.bytes("messages").await;
        let done = place.migrate();
        let indexes = place.run(&["index", "status"]);
        assert_eq!(indexes.status.code(), Some(0), "{}", text(&indexes));
        place.json(&["rollback", "--yes"], 0);
        let undo = ["merge", "undo", "--run", done["run"].as_str().unwrap(), "--yes"];
        let refused = place.json(&undo, 1);
        let listed = refused["conflicts"].to_string();
        assert!(listed.contains("onechat_clientMessageId") && listed.contains("drop"), "{refused}");
        let drop = doc! { "dropIndexes": "messages", "index": "onechat_clientMessageId" };
        place.database.run_command(drop).await.unwrap();
        place.json(&undo, 0);
        assert_eq!(place.bytes("messages").await, before);
        assert_eq!(place.count("chats", doc! {}).await, 0);
    }
}

#[tokio::test]
async fn messages_of_one_pair_about_different_things_get_a_chat_for_each() {
    let about = |number: u8, thing: Option<u8>| {
        let mut message = message(number, (number % 2 + 1, 2 - number % 2), number.into());
        message.extend(thing.map(|thing| ("tradingId".to_owned(), id(thing).into())));
        message
    };
    let messages =
        [about(1, Some(50)), about(2, Some(51)), about(3, Some(50)), about(4, None), about(5, None)];
    for place in Place::on_each(&messages).await {
        let before = place.bytes("messages").await;
        let with_context = format!(
            "[chats]\ncontext = 'optional'\n[mongodb.chat_fields]\ncontext = 'tradingId'\n{}",
            CONFIGURATION.replace("[mongodb]", "[mongodb]\ncontext = 'object_id'")
        );
        place.configure(&with_context);
        let output = place.run(&["migrate", "--yes"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("nothing says where messages have it"), "{}", text(&output));
        let with_context = with_context
            .replace("[mongodb.message_fields]", "[mongodb.message_fields]\ncontext = 'tradingId'");
        place.configure(&with_context);
        let done = place.migrate();
        let chats = place.all("chats").await;
        let of = |thing: Option<u8>| {
            let found = chats
                .iter()
                .find(|chat| chat.get("tradingId") == thing.map(|thing| id(thing).into()).as_ref());
            found.unwrap()["_id"].clone()
        };
        let named: Vec<Bson> = place.all("messages").await.iter().map(|one| one["chatId"].clone()).collect();
        assert_eq!(named, [of(Some(50)), of(Some(51)), of(Some(50)), of(None), of(None)]);
        assert_eq!(chats.len(), 3);

        let server = place.serve();
        let answer = server
            .user(&id(201).to_hex())
            .send(of(Some(51)).as_object_id().unwrap().to_hex().as_str(), "c")
            .await;
        assert_eq!(answer.unwrap().0, 201);
        let messages = place.all("messages").await;
        let sent = messages.iter().find(|one| one.contains_key("clientMessageId")).unwrap();
        assert_eq!((&sent["tradingId"], &sent["receiverId"]), (&id(51).into(), &id(202).into()));
        drop(server);
        place
            .database
            .collection::<Document>("messages")
            .delete_one(doc! { "clientMessageId": "c" })
            .await
            .unwrap();

        place.json(&["rollback", "--yes"], 0);
        place.json(&["merge", "undo", "--run", done["run"].as_str().unwrap(), "--yes"], 0);
        assert_eq!(place.bytes("messages").await, before);
        assert_eq!(place.count("chats", doc! {}).await, 0);
    }
}

#[tokio::test]
async fn a_message_of_the_api_says_whom_it_is_to_and_an_undo_leaves_its_chat() {
    for place in Place::on_each(&messages()).await {
        let done = place.migrate();
        let before = place.bytes("messages").await;
        let server = place.serve();
        let [one, two, three] = [201, 202, 203].map(|number| id(number).to_hex());
        let (status, answer) = server.user(&one).open(&[&one, &two, &three]).await.unwrap();
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains("chats are of two people here, not of 3"), "{answer}");
        let (status, answer) = server.user(&two).open(&[&one, &two]).await.unwrap();
        let chat = place.chat_of(1, 2).await["_id"].as_object_id().unwrap().to_hex();
        assert_eq!((status.as_u16(), answer["id"].as_str().unwrap()), (200, chat.as_str()));
        let found = server.user(&one).all(&format!("/api/chats/{chat}/messages"), "before").await;
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(server.user(&two).send(&chat, "c").await.unwrap().0, 201);
        drop(server);
        let between = doc! { "senderId": id(202), "receiverId": id(201), "clientMessageId": "c" };
        assert_eq!(place.count("messages", between).await, 1, "an old backend does not find it");

        place.json(&["rollback", "--yes"], 0);
        let undone = place.json(&["merge", "undo", "--run", done["run"].as_str().unwrap(), "--yes"], 1);
        assert_eq!((&undone["removed"], &undone["moved_back"]), (&2.into(), &6.into()), "{undone}");
        let listed = undone["conflicts"].as_array().unwrap();
        assert!(listed.len() == 1 && listed[0].as_str().unwrap().contains(&chat), "{undone}");
        assert_eq!(place.all("chats").await.len(), 1);
        assert_eq!(place.count("messages", doc! { "chatId": { "$ne": null } }).await, 1);
        assert_eq!(place.bytes("messages").await.len(), before.len() + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backend_and_a_server_may_write_all_the_while() {
    let many = |count: u16| -> Vec<Document> {
        let one = |n: u16| {
            let (from, to) = (u8::try_from(n % 13).unwrap(), u8::try_from(13 + n % 7).unwrap());
            let mut message = message(0, if n.is_multiple_of(2) { (from, to) } else { (to, from) }, n.into());
            message.insert("_id", ObjectId::new());
            message
        };
        (0..count).map(one).collect()
    };
    for place in Place::on_each(&many(1500)).await {
        let server = place.serve();
        let writing = async {
            let messages = place.database.collection::<Document>("messages");
            for message in many(400) {
                messages.insert_one(message).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let opening = async {
            for n in 0..91_u8 {
                let (one, other) = (id(200 + n % 13).to_hex(), id(213 + n % 7).to_hex());
                let (status, answer) = server.user(&one).open(&[&one, &other]).await.unwrap();
                assert!(status == 200 || status == 201 || status == 503, "{answer}");
            }
        };
        let migrating = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let mut migrate = place.start(&["migrate", "--yes", "--json"]);
            while migrate.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            migrate.wait_with_output().unwrap()
        };
        let ((), (), output) = tokio::join!(writing, opening, migrating);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        place.is_sound().await;
        place.json(&["migrate", "--yes"], 0);
        place.is_sound().await;
        assert_eq!(place.count("messages", doc! { "chatId": null }).await, 0);
        assert_eq!(place.count("chats", doc! {}).await, 91);
        let newest = place
            .all("messages")
            .await
            .iter()
            .map(|one| one["createdAt"].as_datetime().unwrap().to_owned())
            .max();
        let raised = place.count("chats", doc! { "lastMessageAt": newest }).await;
        assert!(raised > 0, "no chat has the time of the newest message");
        let codes = place.json(&["audit"], 0);
        assert!(!codes.to_string().contains("wrong_activity"), "{codes}");
    }
}

#[tokio::test]
async fn a_watch_points_what_an_old_backend_writes_and_each_run_is_given_back() {
    let place = Place::new(shared_replica_set().await.uri(&fresh_database("it")), &messages()).await;
    let before = place.bytes("messages").await;
    let first = place.migrate()["run"].as_str().unwrap().to_owned();
    let chat = place.bytes("chats").await;
    let watch = place.start(&["watch", "--yes", "--json"]);
    place.insert("messages", message(21, (2, 1), 500)).await;
    place.until_pointed().await;
    // The first one may have been there before the streams were followed; the next one is not.
    let began = Instant::now();
    while place.count("onechat_meta", doc! { "watch.place": { "$exists": true } }).await == 0 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    place.insert("messages", message(22, (5, 6), 501)).await;
    place.until_pointed().await;
    place.is_sound().await;
    let began = Instant::now();
    while place.chat_of(1, 2).await["lastMessageAt"] != at(500).into() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    signal(&watch, "INT");
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["made"], &report["pointed"]), (&1.into(), &2.into()), "{report}");

    // Cut off after a message was pointed: the next watch raises its chat, though the streams tell of it no more.
    let journal = place.database.collection::<Document>("onechat_journal");
    let raised = doc! { "type": "pointed", "rows.raise.after.lastMessageAt": at(500) };
    let cut_off = journal.update_one(raised, doc! { "$set": { "state": "applying" } }).await.unwrap();
    assert_eq!(cut_off.matched_count, 1);
    let this = doc! { "_id": place.chat_of(1, 2).await["_id"].clone() };
    let lower = doc! { "$set": { "lastMessageAt": at(30), "updatedAt": at(30) } };
    place.database.collection::<Document>("chats").update_one(this, lower).await.unwrap();
    let watch = place.start(&["watch", "--yes", "--json"]);
    let began = Instant::now();
    while place.chat_of(1, 2).await["lastMessageAt"] != at(500).into() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    signal(&watch, "INT");
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));

    let runs = place.json(&["merge", "list"], 0);
    let found = runs["runs"].as_array().unwrap().iter().find(|run| run["pointed"] == 2);
    let found = found.unwrap_or_else(|| panic!("{runs}"));
    assert_eq!((&found["kind"], &found["made"]), (&"watch".into(), &1.into()), "{runs}");
    let last = found["run"].as_str().unwrap().to_owned();
    place.json(&["rollback", "--yes"], 0);
    // What came later has to go first.
    let blocked = place.json(&["merge", "undo", "--run", &first, "--dry-run"], 1);
    assert!(blocked["conflicts"].to_string().contains("are in it"), "{blocked}");
    place.json(&["merge", "undo", "--run", &last, "--yes"], 0);
    assert_eq!(place.bytes("chats").await, chat);
    place.json(&["merge", "undo", "--run", &first, "--yes"], 0);
    assert_eq!(place.count("chats", doc! {}).await, 0);
    place
        .database
        .collection::<Document>("messages")
        .delete_many(doc! { "_id": { "$in": [id(21), id(22)] } })
        .await
        .unwrap();
    assert_eq!(place.bytes("messages").await, before);
}

#[tokio::test]
async fn beside_chats_that_are_there_or_come_later_each_run_goes_back_in_its_turn() {
    let named = |number: u8, people: (u8, u8), chat: u8, seconds: i64| {
        let mut message = message(number, people, seconds);
        message.insert("chatId", id(chat));
        message
    };
    let chat = |number: u8, people: [u8; 2], made: i64| {
        doc! { "_id": id(number), "participants": people.map(|n| id(200 + n)).to_vec(), "createdAt": at(made) }
    };
    let mut all = messages();
    all.extend([named(11, (1, 2), 1, 5), named(12, (2, 1), 2, 6)]);
    for place in Place::on_each(&all).await {
        let mut first = chat(1, [1, 2], 1);
        first.extend(doc! { "lastMessageAt": at(5) });
        place.insert("chats", first).await;
        place.insert("chats", chat(2, [2, 1], 2)).await;
        let before = (place.bytes("messages").await, place.bytes("chats").await);
        let done = place.migrate();
        assert_eq!((&done["merge"]["groups"], &done["chats"]["made"]), (&1.into(), &2.into()), "{done}");
        place.is_sound().await;
        let living = place.chat_of(1, 2).await;
        assert_eq!((&living["_id"], &living["lastMessageAt"]), (&id(1).into(), &at(30).into()));

        // An old backend makes a chat without a key, which is older than the one that was made.
        place.insert("chats", chat(3, [3, 1], -100)).await;
        place.insert("messages", named(31, (1, 3), 3, 60)).await;
        place.insert("messages", message(32, (3, 1), 61)).await;
        let later = place.migrate();
        assert_eq!(
            (&later["merge"]["groups"], &later["chats"]["pointed"]),
            (&1.into(), &1.into()),
            "{later}"
        );
        place.is_sound().await;
        assert_eq!(place.chat_of(1, 3).await["_id"], id(3).into());

        place.json(&["rollback", "--yes"], 0);
        let [first, last] = [&done, &later].map(|done| done["run"].as_str().unwrap());
        let blocked = place.json(&["merge", "undo", "--run", first, "--yes"], 1);
        assert!(blocked["conflicts"].to_string().contains("came later"), "{blocked}");
        place.json(&["merge", "undo", "--run", last, "--yes"], 0);
        place.json(&["merge", "undo", "--run", first, "--yes"], 0);
        let messages = place.database.collection::<Document>("messages");
        messages.delete_many(doc! { "_id": { "$in": [id(31), id(32)] } }).await.unwrap();
        place.database.collection::<Document>("chats").delete_one(doc! { "_id": id(3) }).await.unwrap();
        assert_eq!(place.bytes("messages").await, before.0);
        assert_eq!(place.bytes("chats").await, before.1);
    }
}

#[tokio::test]
async fn what_was_cut_off_is_gone_on_with() {
    let one = |n: u16| {
        let mut message =
            message(0, (u8::try_from(n % 20).unwrap(), u8::try_from(20 + n % 21).unwrap()), n.into());
        message.insert("_id", i32::from(n));
        message
    };
    let messages: Vec<Document> = (0..3000).map(one).collect();
    for place in Place::on_each(&messages).await {
        let before = place.bytes("messages").await;
        let slow = format!("{CONFIGURATION}max_rate = 500\n");
        place.configure(&slow);
        let mut killed = place.start(&["migrate", "--yes"]);
        let began = Instant::now();
        while place.count("messages", doc! { "chatId": { "$ne": null } }).await == 0 {
            assert!(began.elapsed() < PATIENCE && killed.try_wait().unwrap().is_none());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(place.count("messages", doc! { "chatId": null }).await > 0, "it was not cut off");
        place.configure(CONFIGURATION);
        let done = place.migrate();
        place.is_sound().await;
        assert_eq!(place.count("messages", doc! { "chatId": null }).await, 0);
        assert_eq!(place.count("chats", doc! {}).await, 420);

        // Between the journal and the messages.
        let journal = place.database.collection::<Document>("onechat_journal");
        let pointed = doc! { "type": "pointed", "messages": { "$gt": 0 } };
        let count = journal.count_documents(pointed.clone()).await.unwrap();
        journal.update_many(pointed.clone(), doc! { "$set": { "state": "applying" } }).await.unwrap();
        let all = place.database.collection::<Document>("messages");
        all.update_many(doc! { "_id": { "$lt": 100 } }, doc! { "$unset": { "chatId": "" } }).await.unwrap();
        place.migrate();
        place.is_sound().await;
        assert_eq!(place.count("messages", doc! { "chatId": null }).await, 0);
        assert_eq!(journal.count_documents(pointed).await.unwrap(), count, "they were journaled twice");

        place.json(&["rollback", "--yes"], 0);
        place.json(&["merge", "undo", "--run", done["run"].as_str().unwrap(), "--yes"], 0);
        assert_eq!(place.bytes("messages").await, before);
        assert_eq!(place.count("chats", doc! {}).await, 0);
    }
}

#[tokio::test]
async fn what_cannot_be_pointed_is_left_and_said() {
    // Joined, both have the key `a_b_c`.
    let between = |number: u8, one: &str, other: &str| doc! { "_id": id(number), "from": one, "to": other, "text": "ok", "createdAt": at(number.into()) };
    let messages = [between(1, "a", "b_c"), between(2, "a_b", "c"), between(3, "c", "a_b")];
    let configuration = "
        [store]
        key_format = 'joined'
        [mongodb.message_fields]
        sender = 'from'
        receiver = 'to'
        [migrate]
        chats_from_messages = true
    ";
    for place in Place::on_each(&messages).await {
        let before = place.bytes("messages").await;
        // The names of the fields are wrong: nothing is begun.
        place.configure(&configuration.replace("'to'", "'recipient'"));
        let output = place.run(&["migrate", "--yes"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("3 have nobody in recipient"), "{}", text(&output));
        assert_eq!(place.count("chats", doc! {}).await, 0);
        // A number and a text with its digits may be two people.
        let numbers =
            [doc! { "_id": 98, "from": 42, "to": "a" }, doc! { "_id": 99, "from": "42", "to": "a" }];
        place.configure(configuration);
        let messages = place.database.collection::<Document>("messages");
        messages.insert_many(&numbers).await.unwrap();
        let output = place.run(&["migrate", "--yes"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("42 and \"42\""), "{}", text(&output));
        assert_eq!(place.count("chats", doc! {}).await, 0);
        messages.delete_many(doc! { "_id": { "$in": [98, 99] } }).await.unwrap();
        let done = place.json(&["migrate", "--yes"], 1);
        let pointed = place.count("messages", doc! { "chatId": { "$ne": null } }).await;
        assert_eq!(
            (&done["chats"]["made"], &done["chats"]["pointed"]),
            (&1.into(), &pointed.into()),
            "{done}"
        );
        assert_eq!(done["chats"]["blocked"], 3 - pointed, "{done}");
        assert!(done["chats"]["examples"][0].as_str().unwrap().contains("a_b_c"), "{done}");
        let chats = place.all("chats").await;
        for message in place.all("messages").await.iter().filter(|message| message.contains_key("chatId")) {
            let people = chats[0].get_array("participants").unwrap();
            assert!(people.contains(&message["from"]) && people.contains(&message["to"]), "{message}");
        }
        place.json(&["rollback", "--yes"], 0);
        place.json(&["merge", "undo", "--run", done["run"].as_str().unwrap(), "--yes"], 0);
        assert_eq!(place.bytes("messages").await, before);
    }
}
