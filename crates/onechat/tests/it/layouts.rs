//! Layouts that real collections have: each is merged by the configuration that its operator would write, with both kinds
//! of server, comes out right, and is given back to the byte.

use std::process::Output;

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_legacy::{Database, connect};
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};
use serde_json::Value;

use crate::server::{all_of, onechat, text};

const BEGIN_MS: i64 = 1_700_000_000_000;

/// An id that tells no time, so that nothing can be decided by it.
pub(crate) fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

pub(crate) fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(BEGIN_MS + seconds * 1000)
}

/// A database in the layout that a configuration of `layouts/` is for.
struct Layout {
    store: String,
    config: String,
    database: Database,
    before: Vec<(String, Vec<Document>)>,
}

impl Layout {
    async fn new(store: String, name: &str, collections: &[(&str, Vec<Document>)]) -> Self {
        let database = connect(&store).await.unwrap();
        for (collection, documents) in collections {
            database.collection::<Document>(collection).insert_many(documents).await.unwrap();
        }
        let config = format!("{}/tests/it/layouts/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let mut layout = Self { store, config, database, before: Vec::new() };
        for (collection, _) in collections {
            let documents = layout.all(collection).await;
            layout.before.push(((*collection).to_owned(), documents));
        }
        layout
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let arguments = [arguments, &["--config", &self.config, "--json"]].concat();
        onechat().env("ONECHAT_STORE", &self.store).args(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn all(&self, collection: &str) -> Vec<Document> {
        all_of(&self.database, collection).await
    }
}

/// Migrates the documents on each kind of server; all of them afterwards, by collection, which have to be the same. Then undoes
/// it.
pub(crate) async fn migrated(name: &str, collections: &[(&str, Vec<Document>)]) -> Vec<Vec<Document>> {
    let stores = [
        shared_standalone().await.uri(&fresh_database("it")),
        shared_replica_set().await.uri(&fresh_database("it")),
    ];
    let mut outcomes = Vec::new();
    for store in stores {
        let layout = Layout::new(store, name, collections).await;
        let done = layout.json(&["migrate", "--yes"]);
        assert_eq!(
            (&done["outcome"], &done["account"]["holds"]),
            (&"enforced".into(), &true.into()),
            "{done}"
        );
        let mut after = Vec::new();
        for (collection, _) in &layout.before {
            after.push(layout.all(collection).await);
        }
        outcomes.push(after);
        layout.json(&["rollback", "--yes"]);
        layout.json(&["merge", "undo", "--run", done["run"].as_str().unwrap(), "--yes"]);
        for (collection, before) in &layout.before {
            assert_eq!(layout.all(collection).await, *before, "{collection} after undo");
        }
    }
    assert_eq!(outcomes[0], outcomes[1], "the kinds of server differ");
    outcomes.swap_remove(0)
}

pub(crate) fn ids(documents: &[Document]) -> Vec<&Bson> {
    documents.iter().map(|document| &document["_id"]).collect()
}

#[tokio::test]
async fn a_pointer_to_the_newest_message_ends_on_it_though_the_chat_with_it_has_lost_its_own() {
    let chat = |number: u8, people: [Bson; 2], last: Option<u8>, made: i64| {
        let mut chat =
            doc! { "_id": id(number), "participants": people.to_vec(), "createdAt": at(made), "__v": 0 };
        chat.extend(last.map(|last| ("lastMessage".to_owned(), id(last).into())));
        chat
    };
    let people = || [id(201).into(), id(202).into()];
    let chats = vec![
        chat(1, people(), Some(15), 1),
        chat(2, [id(202).to_hex().into(), id(201).to_hex().into()], None, 2),
        chat(3, people(), Some(11), 3),
        chat(4, [id(201).into(), id(203).into()], Some(17), 4),
    ];
    let message = |number: u8, chat: u8, time: i64| {
        doc! { "_id": id(number), "conversationId": id(chat), "sender": id(201), "text": "ok", "createdAt": at(time) }
    };
    // By their ids they are in another order.
    let messages = vec![
        message(15, 1, 20),
        message(16, 1, 10),
        message(10, 2, 50),
        message(11, 3, 30),
        message(17, 4, 60),
    ];
    let reports = vec![doc! { "_id": 1, "about": { "conversation": id(2), "why": "spam" } }];
    let after =
        migrated("04-plain", &[("conversations", chats), ("messages", messages), ("reports", reports)]).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(4).into()]);
    assert_eq!(after[0][0]["lastMessage"], id(10).into());
    assert_eq!(after[0][1]["lastMessage"], id(17).into());
    assert!(after[1].iter().all(|message| message["conversationId"] != id(2).into()));
    assert_eq!(after[2][0].get_document("about").unwrap()["conversation"], id(1).into());
}

#[tokio::test]
async fn embedded_messages_are_one_list_in_the_order_of_time() {
    let message = |number: u8, time: i64| {
        doc! { "_id": id(number), "sender": id(201), "text": format!("m{number}"), "createdAt": at(time) }
    };
    let chat = |number: u8, messages: Option<Vec<Document>>| {
        let mut chat =
            doc! { "_id": id(number), "participants": [id(201), id(202)], "createdAt": at(number.into()) };
        chat.extend(messages.map(|messages| ("messages".to_owned(), messages.into())));
        chat
    };
    let chats = vec![
        chat(1, Some(vec![message(11, 1), message(12, 5)])),
        chat(2, None),
        chat(3, Some(vec![message(13, 2), message(14, 3), message(15, 9)])),
    ];
    let after = migrated("05-embedded", &[("conversations", chats)]).await;
    let expected: Vec<Bson> = [(11, 1), (13, 2), (14, 3), (12, 5), (15, 9)]
        .map(|(number, time)| message(number, time).into())
        .to_vec();
    assert_eq!(after[0][0].get_array("messages").unwrap(), &expected);
}

#[tokio::test]
async fn messages_that_are_bare_texts_are_all_kept_those_of_the_oldest_chat_first() {
    let chat = |number: u8, people: [u8; 2], item: u8, messages: &[&str]| {
        let [one, other] = people.map(id);
        let made = at(number.into());
        doc! { "_id": id(number), "user1": one, "user2": other, "item": id(item), "messages": messages.to_vec(), "createdAt": made }
    };
    let chats = vec![
        chat(1, [201, 202], 50, &["hi", "ok"]),
        chat(2, [202, 201], 50, &["ok", "ok", "bye"]),
        chat(3, [201, 202], 51, &["hi"]),
    ];
    let after = migrated("20-embedded-texts", &[("chats", chats.clone())]).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(3).into()]);
    let expected: Vec<Bson> = ["hi", "ok", "ok", "ok", "bye"].map(Bson::from).to_vec();
    assert_eq!(after[0][0].get_array("messages").unwrap(), &expected);
    assert_eq!(after[0][1].get_array("messages").unwrap(), chats[2].get_array("messages").unwrap());
}

#[tokio::test]
async fn texts_and_numbers_of_milliseconds_are_as_good_as_ids_and_dates() {
    let ms = |seconds: i64| Bson::Int64(BEGIN_MS + seconds * 1000);
    let status = |user: &str, unread: i32, seen: i64| doc! { "userId": user, "unreadCount": unread, "lastSeen": ms(seen) };
    let chats = vec![
        doc! {
            "_id": id(1), "participants": ["a", "b_c"], "isGroup": false, "lastMessageId": id(12).to_hex(),
            "lastActivity": ms(12), "participantStatus": [status("a", 1, 5), status("b_c", 0, 6)], "createdAt": ms(1),
        },
        doc! {
            "_id": id(2), "participants": ["b_c", "a"], "lastMessageId": id(11).to_hex(), "lastActivity": ms(30),
            "participantStatus": [status("b_c", 2, 9), status("a", 3, 4)], "createdAt": ms(0),
        },
        doc! { "_id": id(3), "participants": ["a_b", "c"], "isGroup": false, "createdAt": ms(3) },
    ];
    let message = |number: u8, chat: u8, time: i64| {
        doc! { "_id": id(number), "conversationId": id(chat).to_hex(), "senderId": "a", "content": "ok", "timestamp": ms(time) }
    };
    let messages = vec![message(12, 1, 12), message(11, 2, 30)];
    let after = migrated("08-strings", &[("conversations", chats), ("messages", messages)]).await;
    // The older one is the one that was created first.
    assert_eq!(ids(&after[0]), [&id(2).into(), &id(3).into()]);
    let chat = &after[0][0];
    assert_eq!((&chat["lastMessageId"], &chat["lastActivity"]), (&id(11).to_hex().into(), &ms(30)));
    let expected: Vec<Bson> = vec![status("b_c", 2, 9).into(), status("a", 4, 5).into()];
    assert_eq!(chat.get_array("participantStatus").unwrap(), &expected);
    assert!(!chat.contains_key("isGroup"), "{chat}");
    assert!(after[1].iter().all(|message| message["conversationId"] == id(2).to_hex().into()));
}

#[tokio::test]
async fn ids_of_messages_are_one_list_in_the_order_of_their_rows() {
    let chat = |number: u8, messages: Vec<u8>| {
        let messages: Vec<ObjectId> = messages.into_iter().map(id).collect();
        doc! { "_id": id(number), "participants": [id(201), id(202)], "messages": messages, "createdAt": at(number.into()) }
    };
    // 99 leads nowhere.
    let chats = vec![chat(1, vec![11, 99, 13]), chat(2, vec![12, 10, 13]), chat(3, vec![])];
    let row = |number: u8, time: i64| {
        doc! { "_id": id(number), "senderId": id(201), "receiverId": id(202), "message": "hi", "createdAt": at(time) }
    };
    let rows = vec![row(10, 40), row(11, 10), row(12, 20), row(13, 30)];
    let after = migrated("10-message-ids", &[("conversations", chats), ("messages", rows.clone())]).await;
    let messages = after[0][0].get_array("messages").unwrap();
    let known: Vec<&Bson> = messages.iter().filter(|one| **one != id(99).into()).collect();
    assert_eq!(known, [&id(11).into(), &id(12).into(), &id(13).into(), &id(10).into()]);
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert_eq!(after[1], rows);
}

#[tokio::test]
async fn what_is_said_of_participants_is_merged_by_its_rules() {
    let person = |who: u8, unread: i32, archived: bool, read: i64, own: u8| {
        doc! { "user": id(who), "unreadCount": unread, "hasArchived": archived, "lastReadAt": at(read), "_id": id(own) }
    };
    let last = |words: &str, time: i64| doc! { "text": words, "sender": id(201), "createdAt": at(time) };
    let chats = vec![
        doc! {
            "_id": id(1), "participants": [person(201, 1, true, 5, 101), person(202, 0, true, 6, 102)],
            "lastMessage": last("early", 10), "createdAt": at(1),
        },
        doc! {
            "_id": id(2), "participants": [person(202, 2, true, 4, 103), person(201, 3, false, 9, 104)],
            "lastMessage": last("late", 20), "createdAt": at(2),
        },
    ];
    let message = |number: u8, chat: u8, words: &str, time: i64| {
        doc! { "_id": id(number), "thread": id(chat), "sender": id(201), "content": words, "createdAt": at(time) }
    };
    let messages = vec![message(11, 1, "early", 10), message(12, 2, "late", 20)];
    let after = migrated("13-sub-documents", &[("threads", chats), ("messages", messages)]).await;
    let chat = &after[0][0];
    let expected: Vec<Bson> = vec![person(201, 4, false, 9, 101).into(), person(202, 2, true, 6, 102).into()];
    assert_eq!(chat.get_array("participants").unwrap(), &expected);
    assert_eq!(chat.get_document("lastMessage").unwrap(), &last("late", 20));
}

#[tokio::test]
async fn each_person_keeps_the_newest_message_that_they_see() {
    let (ann, bob) = (id(201).to_hex(), id(202).to_hex());
    let seen = |words: &str, is_seen: bool| doc! { "sender": id(201), "text": words, "seen": is_seen };
    let chats = vec![
        doc! {
            "_id": id(1), "participants": [id(201), id(202)], "unreadCount": { &ann: 1 }, "archived": { &bob: true, &ann: true },
            "lastSeen": { &ann: at(1), &bob: at(9) }, "createdAt": at(1),
            "lastMessagePerUser": { &ann: seen("third", true), &bob: seen("first", true) },
        },
        doc! {
            "_id": id(2), "participants": [id(202), id(201)], "unreadCount": { &ann: 2, &bob: 4 }, "archived": { &bob: true },
            "lastSeen": { &ann: at(3) }, "createdAt": at(2),
            "lastMessagePerUser": { &bob: seen("second", false), &ann: seen("second", true) },
        },
        doc! { "_id": id(3), "participants": [id(203), id(202)], "createdAt": at(3) },
    ];
    let message = |number: u8, chat: u8, words: &str, time: i64| {
        doc! { "_id": id(number), "conversation": id(chat), "sender": id(201), "text": words, "createdAt": at(time) }
    };
    // Ann sees the newest one, and Bob does not.
    let messages =
        vec![message(13, 1, "first", 10), message(12, 2, "second", 20), message(11, 1, "third", 30)];
    let after = migrated("14-state-per-person", &[("conversations", chats), ("messages", messages)]).await;
    let chat = &after[0][0];
    assert_eq!(chat.get_document("unreadCount").unwrap(), &doc! { &ann: 3, &bob: 4 });
    assert_eq!(chat.get_document("lastSeen").unwrap(), &doc! { &ann: at(3), &bob: at(9) });
    assert_eq!(chat.get_document("archived").unwrap(), &doc! { &bob: true });
    let expected = doc! { &ann: seen("third", true), &bob: seen("second", false) };
    assert_eq!(chat.get_document("lastMessagePerUser").unwrap(), &expected);
}

/// Ann's, ben's and cleo's direct chats in any layout: two of ann and ben, and what must not be merged with them.
fn direct(number: u8, field: &str, made: i64, more: Document) -> Document {
    let mut chat = doc! { "_id": id(number), field: [id(201), id(202)], "createdAt": at(made), "__v": 0 };
    chat.extend(more);
    chat
}

#[tokio::test]
async fn a_group_of_two_is_not_merged_with_the_direct_chat_of_the_same_people() {
    let chats = vec![
        direct(1, "users", 1, doc! { "isGroupChat": false, "latestMessage": id(11) }),
        direct(2, "users", 2, doc! { "isGroupChat": true, "chatName": "Trip" }),
        direct(3, "users", 3, doc! { "latestMessage": id(12) }),
        direct(
            4,
            "users",
            4,
            doc! { "isGroupChat": true, "chatName": "Trip", "participantsKey": "of the group" },
        ),
    ];
    let message = |number: u8, chat: u8, time: i64| {
        doc! { "_id": id(number), "chat": id(chat), "sender": id(201), "content": "ok", "createdAt": at(time) }
    };
    let messages = vec![message(11, 1, 10), message(12, 3, 20), message(13, 2, 30)];
    let notifications = vec![doc! { "_id": 1, "chat": id(3) }, doc! { "_id": 2, "chat": id(2) }];
    let collections = [("chats", chats.clone()), ("messages", messages), ("notifications", notifications)];
    let stores = shared_standalone().await.uri(&fresh_database("it"));
    let layout = Layout::new(stores, "01-group-flag", &collections).await;
    // A key outside may be in the way: that is for the operator to decide.
    let output = layout.run(&["migrate", "--yes"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("outside_keys"), "{}", text(&output));
    assert_eq!(layout.all("chats").await, layout.before[0].1);

    let mut collections = collections;
    collections[0].1[3].remove("participantsKey");
    let after = migrated("01-group-flag", &collections).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(2).into(), &id(4).into()]);
    assert_eq!(after[0][0]["latestMessage"], id(12).into());
    assert_eq!(after[0][1..], [chats[1].clone(), collections[0].1[3].clone()], "the groups have changed");
    let chats_of_messages: Vec<&Bson> = after[1].iter().map(|message| &message["chat"]).collect();
    assert_eq!(chats_of_messages, [&id(1).into(), &id(1).into(), &id(2).into()]);
    assert_eq!((&after[2][0]["chat"], &after[2][1]["chat"]), (&id(1).into(), &id(2).into()));
}

#[tokio::test]
async fn chats_of_one_pair_about_different_products_stay_apart() {
    let about = |product: u8| doc! { "product": id(product), "unreadCounts": { id(201).to_hex(): 1 } };
    let chats = vec![
        direct(1, "participants", 1, about(50)),
        direct(2, "participants", 2, about(51)),
        direct(3, "participants", 3, about(50)),
        direct(4, "participants", 4, doc! {}),
    ];
    let messages = vec![
        doc! { "_id": id(11), "chatId": id(3), "sender": id(201), "text": "ok", "createdAt": at(9) },
        doc! { "_id": id(12), "chatId": id(2), "sender": id(201), "text": "ok", "createdAt": at(10) },
    ];
    let after = migrated("02-context-array", &[("chats", chats), ("messages", messages)]).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(2).into(), &id(4).into()]);
    assert_eq!(after[0][0].get_document("unreadCounts").unwrap().get_i32(id(201).to_hex()).unwrap(), 2);
    assert_eq!((&after[1][0]["chatId"], &after[1][1]["chatId"]), (&id(1).into(), &id(2).into()));
}

#[tokio::test]
async fn a_living_chat_does_not_take_over_the_mark_of_a_deleted_one() {
    let chats = vec![
        direct(1, "participants", 1, doc! { "isDeleted": true, "lastMessage": id(11) }),
        direct(
            2,
            "participants",
            2,
            doc! { "isDeleted": false, "lastMessage": id(12), "deletedBy": [id(201)] },
        ),
        direct(3, "participants", 3, doc! { "lastMessage": id(13), "deletedBy": [id(201), id(202)] }),
    ];
    let message = |number: u8, chat: u8, time: i64| {
        doc! { "_id": id(number), "conversation": id(chat), "sender": id(201), "text": "ok", "createdAt": at(time) }
    };
    let messages = vec![message(11, 1, 30), message(12, 2, 10), message(13, 3, 20)];
    let after = migrated("06-soft-delete", &[("conversations", chats.clone()), ("messages", messages)]).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(2).into()]);
    assert_eq!(after[0][0], chats[0], "the deleted chat has changed");
    let living = &after[0][1];
    assert_eq!((&living["isDeleted"], &living["lastMessage"]), (&false.into(), &id(13).into()));
    assert_eq!(living["deletedBy"], vec![Bson::from(id(201))].into());
    assert_eq!(after[1][0]["conversation"], id(1).into());
}

#[tokio::test]
async fn two_people_in_two_fields_are_one_pair_in_either_order() {
    let chat = |number: u8, people: [u8; 2], last: Option<(&str, u8, i64)>| {
        let [one, other] = people.map(id);
        let mut chat =
            doc! { "_id": id(number), "user1": one, "user2": other, "createdAt": at(number.into()) };
        chat.extend(last.into_iter().flat_map(|(words, sender, time)| {
            doc! { "lastMessage": words, "lastMessageAt": at(time), "lastMessageSenderId": id(sender) }
        }));
        chat
    };
    let chats = vec![
        chat(1, [202, 201], Some(("early", 202, 10))),
        chat(2, [201, 203], None),
        chat(3, [201, 202], Some(("late", 201, 20))),
    ];
    let message = |number: u8, chat: u8, sender: u8, words: &str, time: i64| {
        doc! { "_id": id(number), "conversationId": id(chat), "senderId": id(sender), "content": words, "createdAt": at(time) }
    };
    let messages = vec![message(11, 1, 202, "early", 10), message(12, 3, 201, "late", 20)];
    let after = migrated("03-two-fields", &[("conversations", chats.clone()), ("messages", messages)]).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(2).into()]);
    let chat = &after[0][0];
    assert_eq!(
        (&chat["user1"], &chat["user2"]),
        (&id(202).into(), &id(201).into()),
        "they stay where they are"
    );
    assert_eq!((&chat["lastMessage"], &chat["lastMessageSenderId"]), (&"late".into(), &id(201).into()));
    assert_eq!(chat["lastMessageAt"], at(20).into());
    assert!(after[1].iter().all(|message| message["conversationId"] == id(1).into()));
}

#[tokio::test]
async fn buyer_and_seller_have_a_chat_for_each_product() {
    let chat = |number: u8, buyer: u8, seller: u8, product: u8, last: u8| {
        doc! {
            "_id": id(number), "buyer": id(buyer), "seller": id(seller), "product": id(product),
            "createdAt": at(number.into()), "lastMessage": id(last),
        }
    };
    // About another product they may have changed sides.
    let chats = vec![
        chat(1, 201, 202, 50, 11),
        chat(2, 202, 201, 51, 12),
        chat(3, 201, 202, 50, 13),
        chat(4, 201, 202, 51, 14),
    ];
    let message = |number: u8, chat: u8, time: i64| {
        doc! { "_id": id(number), "chatId": id(chat), "sender": id(201), "text": "ok", "createdAt": at(time) }
    };
    let messages = vec![message(11, 1, 10), message(12, 2, 40), message(13, 3, 20), message(14, 4, 30)];
    let after = migrated("07-two-fields-context", &[("chats", chats), ("messages", messages)]).await;
    assert_eq!(ids(&after[0]), [&id(1).into(), &id(2).into()]);
    assert_eq!((&after[0][0]["lastMessage"], &after[0][1]["lastMessage"]), (&id(13).into(), &id(12).into()));
    let chats_of_messages: Vec<&Bson> = after[1].iter().map(|message| &message["chatId"]).collect();
    assert_eq!(chats_of_messages, [&id(1).into(), &id(2).into(), &id(1).into(), &id(2).into()]);
}

#[tokio::test]
async fn references_are_people_and_messages_and_stay_references() {
    let to = |collection: &str, number: u8| doc! { "$ref": collection, "$id": id(number) };
    let chat = |number: u8, people: [u8; 2], messages: &[u8]| {
        let messages: Vec<Document> = messages.iter().map(|number| to("messages", *number)).collect();
        let people = people.map(|number| to("users", number)).to_vec();
        let mut chat = doc! { "_id": id(number), "users": people, "_class": "example.Chat" };
        chat.extend(messages.last().map(|last| ("latestMessage".to_owned(), last.clone().into())));
        chat.insert("messages", messages);
        chat
    };
    let chats =
        vec![chat(1, [202, 201], &[11, 13]), chat(2, [201, 203], &[]), chat(3, [201, 202], &[12, 14])];
    let row = |number: u8| {
        let time = at(number.into());
        doc! { "_id": id(number), "from": to("users", 201), "content": "ok", "sentAt": time }
    };
    let rows: Vec<Document> = (11..=14).map(row).collect();
    let after = migrated("16-dbref", &[("chats", chats), ("messages", rows.clone())]).await;
    let left: Vec<&Bson> = ids(&after[0]);
    assert_eq!(left.len(), 2, "{left:?}");
    let chat = &after[0][0];
    let expected: Vec<Bson> = (11..=14).map(|number| to("messages", number).into()).collect();
    assert_eq!(chat.get_array("messages").unwrap(), &expected);
    assert_eq!(chat["latestMessage"], to("messages", 14).into());
    assert_eq!(after[1], rows);
}

#[tokio::test]
async fn named_rooms_are_left_as_they_are() {
    let people = [id(1), id(2)];
    let room = |number: u8, name: &str| {
        let messages = Bson::from(at(i64::from(number)));
        doc! { "_id": id(number), "name": name, "users": people.to_vec(), "createdAt": messages }
    };
    let rooms = vec![room(11, "tea"), room(12, "coffee")];
    let messages = vec![doc! { "_id": id(21), "chatroom": id(11), "user": id(1), "message": "hello" }];
    let collections = [("chatrooms", rooms), ("messages", messages)];
    let after = migrated("12-named-rooms", &collections).await;
    assert_eq!(after, [collections[0].1.clone(), collections[1].1.clone()]);

    let store = shared_standalone().await.uri(&fresh_database("it"));
    let layout = Layout::new(store, "12-named-rooms", &collections).await;
    let mut command = onechat();
    command.env("ONECHAT_STORE", &layout.store).args(["migrate", "--yes", "--config", &layout.config]);
    let said = text(&command.output().unwrap());
    assert!(said.contains("No chat is inside `only`, which leaves out 2 documents"), "{said}");
}
