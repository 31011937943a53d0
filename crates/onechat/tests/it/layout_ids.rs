//! Layouts whose chats have no ObjectIds: what names them has their ids in one form or in several.

use bson::{Bson, Document, doc};

use crate::layouts::{at, id, ids, migrated};

#[tokio::test]
async fn ids_of_chats_may_be_texts_of_any_kind() {
    let room = |id: &str, kind: &str, people: [&str; 2], made: i64, last: Option<(&str, &str, i64)>| {
        let mut room = doc! { "_id": id, "t": kind, "uids": people.to_vec(), "ts": at(made), "msgs": 2 };
        room.extend(last.into_iter().flat_map(|(id, words, time)| {
            doc! { "lm": at(time), "lastMessage": { "_id": id, "msg": words, "ts": at(time), "u": { "_id": "ann" } } }
        }));
        room
    };
    let (ulid, uuid) = ("01HZ8Y3T5V6W7X8Y9ZABCDEFGH", "00112233-4455-4677-8899-aabbccddeeff");
    let rooms = vec![
        room("annben", "d", ["ann", "ben"], 2, Some(("m1", "early", 10))),
        room(ulid, "d", ["ben", "ann"], 1, Some(("m2", "late", 20))),
        room(uuid, "d", ["ann", "ben"], 3, None),
        room("dm_ann_cleo", "d", ["ann", "cleo"], 4, None),
        room("GENERAL", "c", ["ann", "ben"], 0, None),
    ];
    let message = |id: &str, room: &str, words: &str, time: i64| {
        doc! { "_id": id, "rid": room, "u": { "_id": "ann" }, "msg": words, "ts": at(time) }
    };
    let messages = vec![
        message("m1", "annben", "early", 10),
        message("m2", ulid, "late", 20),
        message("m3", uuid, "first", 5),
        message("m4", "GENERAL", "elsewhere", 6),
    ];
    let row = |id: i32, room: &str, who: &str, unread: i32, seen: i64| {
        doc! { "_id": id, "rid": room, "u": who, "unread": unread, "ls": at(seen) }
    };
    let subscriptions = vec![
        row(1, "annben", "ann", 1, 7),
        row(2, ulid, "ann", 2, 6),
        row(3, uuid, "ben", 4, 5),
        row(4, "GENERAL", "ann", 9, 1),
    ];
    let collections = [("rooms", rooms.clone()), ("messages", messages), ("subscriptions", subscriptions)];
    let after = migrated("17-text-ids", &collections).await;
    let ids_of =
        |rows: &[Document], field: &str| rows.iter().map(|row| row[field].clone()).collect::<Vec<_>>();
    let living: Vec<Bson> = [ulid, "GENERAL", "dm_ann_cleo"].map(Bson::from).to_vec();
    assert_eq!(ids_of(&after[0], "_id"), living);
    let room = &after[0][0];
    assert_eq!(
        (&room.get_document("lastMessage").unwrap()["msg"], &room["msgs"]),
        (&"late".into(), &6.into())
    );
    assert_eq!(after[0][1], rooms[4], "the channel has changed");
    assert_eq!(ids_of(&after[1], "rid"), [ulid, ulid, ulid, "GENERAL"].map(Bson::from));
    let unread = |who: &str| {
        let of = after[2].iter().filter(|row| row["u"] == who.into() && row["rid"] == ulid.into());
        of.map(|row| row.get_i32("unread").unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((unread("ann"), unread("ben")), (vec![3], vec![4]));
}

#[tokio::test]
async fn ids_of_chats_may_be_numbers_that_rows_have_in_any_form() {
    let chat = |number: Bson, people: [i64; 2], made: i64, last: i64| {
        doc! { "_id": number, "participants": people.to_vec(), "createdAt": at(made), "lastMessage": last }
    };
    let chats = vec![
        chat(Bson::Int32(7), [1, 2], 1, 101),
        chat(Bson::Int32(42), [2, 1], 2, 103),
        chat(Bson::Double(43.0), [1, 2], 3, 104),
        chat(Bson::Int64(44), [1, 3], 4, 105),
    ];
    let message = |number: i64, chat: Bson, time: i64| {
        doc! { "_id": number, "convo_id": chat, "sender": 1_i64, "text": format!("m{number}"), "createdAt": at(time) }
    };
    let messages = vec![
        message(101, Bson::Int32(7), 10),
        message(102, Bson::Double(42.0), 20),
        message(103, "42".into(), 30),
        message(104, Bson::Int64(43), 25),
        message(105, Bson::Int32(44), 40),
    ];
    let report = |number: i32, chat: Bson| doc! { "_id": number, "about": { "chat": chat, "why": "spam" } };
    let reports = vec![report(1, "43".into()), report(2, Bson::Int32(42)), report(3, Bson::Double(44.0))];
    let after =
        migrated("18-number-ids", &[("chats", chats), ("messages", messages), ("reports", reports)]).await;
    assert_eq!(ids(&after[0]), [&Bson::Int32(7), &Bson::Int64(44)]);
    assert_eq!(after[0][0]["lastMessage"], Bson::Int64(103));
    let named: Vec<&Bson> = after[1].iter().map(|message| &message["convo_id"]).collect();
    let living = [Bson::Int32(7), Bson::Double(7.0), "7".into(), Bson::Int64(7), Bson::Int32(44)];
    assert_eq!(named, living.iter().collect::<Vec<_>>());
    let named: Vec<&Bson> =
        after[2].iter().map(|report| &report.get_document("about").unwrap()["chat"]).collect();
    assert_eq!(named, [&"7".into(), &Bson::Int32(7), &Bson::Double(44.0)]);
}

#[tokio::test]
async fn ids_of_chats_may_be_of_several_types_in_one_collection() {
    let uuid = |number: u8| Bson::from(bson::Uuid::from_bytes([number; 16]));
    let text = |number: u8| Bson::from(bson::Uuid::from_bytes([number; 16]).to_string());
    let chat = |id: Bson, people: [&str; 2], made: i64| doc! { "_id": id, "participants": people.to_vec(), "createdAt": at(made) };
    let chats = vec![
        chat(uuid(1), ["ann", "ben"], 1),
        chat(id(2).into(), ["ben", "ann"], 2),
        chat(id(3).into(), ["ann", "cleo"], 3),
        chat(uuid(4), ["cleo", "ann"], 4),
    ];
    let message = |number: u8, chat: Bson| {
        doc! { "_id": id(number), "chatId": chat, "sender": "ann", "text": "ok", "createdAt": at(number.into()) }
    };
    let messages = vec![
        message(11, text(1)),
        message(12, uuid(1)),
        message(13, id(2).into()),
        message(14, id(2).to_hex().into()),
        message(15, uuid(4)),
        message(16, text(4)),
    ];
    let bookmarks = vec![
        doc! { "_id": 1, "chats": [id(2).to_hex(), "elsewhere", id(3)] },
        doc! { "_id": 2, "chats": [uuid(4)] },
    ];
    let after =
        migrated("19-mixed-ids", &[("chats", chats), ("messages", messages), ("bookmarks", bookmarks)]).await;
    assert_eq!(ids(&after[0]), [&uuid(1), &id(3).into()]);
    let named: Vec<&Bson> = after[1].iter().map(|message| &message["chatId"]).collect();
    // What has the form of its own chat gets that of the living one.
    assert_eq!(named, [&text(1), &uuid(1), &uuid(1), &text(1), &id(3).into(), &id(3).to_hex().into()]);
    assert_eq!(after[2][0].get_array("chats").unwrap(), &vec![text(1), "elsewhere".into(), id(3).into()]);
    assert_eq!(after[2][1].get_array("chats").unwrap(), &vec![Bson::from(id(3))]);
}
