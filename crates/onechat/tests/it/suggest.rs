//! `audit --suggest`: what it prints is accepted by the program, merges only what is one chat, and asks the rest; the
//! migration stops at every question.

mod ids;
mod place;
mod unusual;

use bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use serde_json::Value;

use crate::server::text;
use place::{Place, answered, at, id, who};

fn fields(questions: &[Value]) -> Vec<Vec<&str>> {
    let of = |question: &Value| question["fields"].as_array().unwrap().len();
    let name = |question: usize, field: usize| questions[question]["fields"][field].as_str().unwrap();
    (0..questions.len()).map(|at| (0..of(&questions[at])).map(|field| name(at, field)).collect()).collect()
}

/// A message of `sender` in the chat.
fn message(number: u8, chat: Bson, sender: u8, seconds: i64) -> Document {
    doc! { "_id": id(number), "chat": chat, "sender": who(sender), "text": format!("word {number}"), "createdAt": at(seconds) }
}

/// Whose the chats are.
const PAIRS: [(u8, u8); 8] = [(1, 2), (2, 1), (3, 4), (4, 3), (1, 3), (2, 4), (5, 6), (1, 6)];

/// Direct chats of six pairs, of the first two of which there are two chats, with what `more` adds to each by its number.
pub(crate) fn chats(people: &str, more: impl Fn(u8) -> Document) -> Vec<Document> {
    let chat = |(index, (one, other)): (usize, (u8, u8))| {
        let number = u8::try_from(index).unwrap() + 1;
        let mut chat =
            doc! { "_id": id(number), people: [who(one), who(other)], "createdAt": at(number.into()) };
        chat.extend(more(number));
        chat
    };
    PAIRS.into_iter().enumerate().map(chat).collect()
}

pub(crate) fn messages() -> Vec<Document> {
    (1..=8).map(|number| message(number + 100, id(number).into(), 1, i64::from(number) * 10)).collect()
}

pub(crate) fn users() -> Vec<Document> {
    (1..=6).map(|number| doc! { "_id": who(number), "email": format!("{number}@example.com") }).collect()
}

fn all_but(left_out: &[u8]) -> Vec<Bson> {
    (1..=8).filter(|number| !left_out.contains(number)).map(|number| id(number).into()).collect()
}

/// A question about exactly these fields, at which everything stops; answered by its first answer, exactly these chats are
/// merged, and those of `untouched` are as they were.
async fn asks(
    collections: Vec<(&str, Vec<Document>)>,
    chats: &str,
    asked: &[&str],
    merged: &[u8],
    untouched: &[u8],
) {
    let place = Place::new(collections).await;
    let before = place.all(chats).await;
    let (toml, questions) = place.suggest();
    assert_eq!(fields(&questions), [asked], "{toml}");
    place.stops_at(&toml, asked).await;
    place.migrate(&answered(&toml, &[&questions[0]["answers"][0]]));
    assert_eq!(place.ids(chats).await, all_but(merged), "{toml}");
    for number in untouched {
        let of = |documents: &[Document]| {
            documents.iter().find(|chat| chat["_id"] == id(*number).into()).cloned().unwrap()
        };
        assert_eq!(of(&place.all(chats).await), of(&before), "{number} has changed");
    }
}

#[tokio::test]
async fn a_flag_that_tells_groups_is_a_question_also_if_it_is_rare_and_nothing_differs() {
    let more = |number| match number {
        2 => doc! { "isGroup": true, "title": "Trip", "owner": who(1) },
        3 => doc! { "isGroup": false, "lastMessage": id(103) },
        _ => doc! {},
    };
    let collections = vec![("chats", chats("members", more)), ("messages", messages()), ("users", users())];
    asks(collections, "chats", &["isGroup"], &[4], &[2]).await;
    // No group has the people of a direct chat today.
    let more = |number| {
        if number == 8 {
            doc! { "isGroup": true }
        } else {
            doc! {}
        }
    };
    let collections = vec![("chats", chats("members", more)), ("messages", messages()), ("users", users())];
    asks(collections, "chats", &["isGroup"], &[2, 4], &[8]).await;
}

#[tokio::test]
async fn a_type_is_a_question_by_its_name_and_by_how_many_people_have_it() {
    let more = |number| doc! { "kind": if number == 2 { "channel" } else { "dm" } };
    let collections = vec![("chats", chats("members", more)), ("messages", messages()), ("users", users())];
    asks(collections, "chats", &["kind"], &[4], &[2]).await;
    let more = |number| doc! { "style": if number == 2 { 7 } else { 3 } };
    let mut all = chats("members", more);
    for number in 9..=11 {
        let members = [who(1), who(2), who(number)];
        all.push(doc! { "_id": id(number), "members": members, "style": 7, "createdAt": at(50) });
    }
    let place = Place::new(vec![("chats", all), ("messages", messages()), ("users", users())]).await;
    let (toml, questions) = place.suggest();
    assert_eq!(fields(&questions), [["style"]], "{toml}");
    assert!(
        questions[0]["answers"][0]["toml"].as_str().unwrap().contains(r#"only = '{"style":3}'"#),
        "{toml}"
    );
}

#[tokio::test]
async fn a_mark_of_deletion_is_a_question_with_what_is_shown_and_so_is_what_hides_for_one() {
    let more = |number| match number {
        1 => doc! { "isDeleted": true, "deletedAt": at(9), "deletedBy": [] },
        3 => doc! { "isDeleted": false, "deletedAt": null, "deletedBy": [who(3)] },
        _ => doc! { "deletedBy": [] },
    };
    let collections = vec![("threads", chats("members", more)), ("messages", messages()), ("users", users())];
    let place = Place::new(collections).await;
    let (toml, questions) = place.suggest();
    assert_eq!(fields(&questions), [vec!["isDeleted", "deletedAt"], vec!["deletedBy"]], "{toml}");
    let first: Vec<&Value> = questions.iter().map(|question| &question["answers"][0]).collect();
    let filters = first[0]["toml"].as_str().unwrap();
    assert!(filters.contains(r#"only = '{"isDeleted":{"$ne":true}}'"#), "{filters}");
    assert!(filters.contains(r#"visible = '{"isDeleted":{"$ne":true}}'"#), "{filters}");
    assert!(first[1]["toml"].as_str().unwrap().contains("deletedBy = \"all\""), "{toml}");
    place.stops_at(&toml, &["isDeleted", "deletedBy"]).await;
    place.migrate(&answered(&toml, &first));
    assert_eq!(place.ids("threads").await, all_but(&[4]));
    assert_eq!(place.all("threads").await[2]["deletedBy"], Bson::Array(vec![]));
}

#[tokio::test]
async fn what_chats_may_be_about_is_a_question_by_name_by_where_it_leads_and_by_what_differs() {
    let goods: Vec<Document> = (150..154).map(|number| doc! { "_id": id(number), "price": 3 }).collect();
    for field in ["listing", "thing"] {
        let more = |number| {
            if number == 2 {
                doc! { field: id(151) }
            } else {
                doc! { field: id(150) }
            }
        };
        let collections = vec![
            ("chats", chats("members", more)),
            ("messages", messages()),
            ("users", users()),
            ("goods", goods.clone()),
        ];
        asks(collections, "chats", &[field], &[4], &[]).await;
    }
    let more = |number| {
        if number == 2 {
            doc! { "about": "a lamp" }
        } else {
            doc! {}
        }
    };
    let collections = vec![("chats", chats("members", more)), ("messages", messages()), ("users", users())];
    asks(collections, "chats", &["about"], &[4], &[]).await;
}

#[tokio::test]
async fn rooms_with_names_are_a_question_whose_first_answer_leaves_them_all_alone() {
    let more = |number: u8| doc! { "name": format!("room {number}") };
    let collections = vec![("rooms", chats("users", more)), ("messages", messages()), ("users", users())];
    asks(collections, "rooms", &["name"], &[], &[1, 2, 3]).await;
}

#[tokio::test]
async fn where_only_a_name_tells_groups_the_first_answer_takes_those_without() {
    let more = |number: u8| {
        if number == 2 {
            doc! { "title": "Trip" }
        } else {
            doc! {}
        }
    };
    let collections = vec![("chats", chats("members", more)), ("messages", messages()), ("users", users())];
    asks(collections, "chats", &["title"], &[4], &[2]).await;
}

#[tokio::test]
async fn what_is_said_of_participants_and_constants_and_times_in_numbers_need_no_question() {
    let ms = |seconds: i64| Bson::Int64(at(seconds).timestamp_millis());
    let person = |number: u8, unread: i32, archived: bool| {
        doc! { "user": who(number), "unread": unread, "archived": archived, "lastReadAt": ms(unread.into()) }
    };
    let more = |number: u8| {
        let mut chat = doc! {
            "people": [person(1, 1, true), person(2, number.into(), number == 1)], "_class": "Chat", "lastActivity": ms(number.into()),
            "state": { who(1).to_hex(): { "unreadCount": 2, "muted": true } },
        };
        if number == 1 {
            chat.insert("isGroup", false);
        }
        chat
    };
    let all: Vec<Document> = (1..=2)
        .map(|number| {
            let mut chat =
                doc! { "_id": id(number), "createdAt": ms(number.into()), "updatedAt": ms(number.into()) };
            chat.extend(more(number));
            chat
        })
        .chain((3..=6).map(|number| {
            let mut chat =
                doc! { "_id": id(number), "createdAt": ms(number.into()), "updatedAt": ms(number.into()) };
            chat.extend(more(1));
            chat.insert("people", vec![person(number, 0, false), person(number + 1, 0, false)]);
            chat.remove("state");
            chat
        }))
        .collect();
    let place = Place::new(vec![("threads", all), ("messages", messages()), ("users", users())]).await;
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    place.migrate(&toml);
    let chats = place.all("threads").await;
    assert_eq!(chats.len(), 5);
    let second = chats[0].get_array("people").unwrap()[1].as_document().unwrap();
    assert_eq!((&second["unread"], &second["archived"]), (&3.into(), &false.into()), "{second}");
    assert_eq!(chats[0]["lastActivity"], ms(2));
    assert!(toml.contains("isGroup = false") && toml.contains("_class = \"Chat\""), "{toml}");
}

#[tokio::test]
async fn ids_of_messages_are_put_in_the_order_of_their_time() {
    let lists: [&[u8]; 4] = [&[101, 104], &[102, 103], &[105], &[]];
    let more = |number: u8| {
        let list = lists.get(usize::from(number) - 1).copied().unwrap_or_default();
        doc! { "messages": list.iter().map(|number| id(*number)).collect::<Vec<_>>() }
    };
    let words = messages().into_iter().map(|mut message| {
        message.remove("chat");
        message
    });
    let collections =
        vec![("conversations", chats("members", more)), ("messages", words.collect()), ("users", users())];
    let place = Place::new(collections).await;
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    place.migrate(&toml);
    let united: Vec<Bson> = [101, 102, 103, 104].map(|number| id(number).into()).into();
    assert_eq!(place.all("conversations").await[0]["messages"], Bson::Array(united));
}

#[tokio::test]
async fn what_the_server_deletes_by_is_so_only_if_it_is_so_in_all() {
    let more = |number: u8| {
        if number == 2 {
            doc! { "expiresAt": DateTime::from_millis(4_000_000_000_000) }
        } else {
            doc! {}
        }
    };
    let place = Place::new(vec![("chats", chats("members", more)), ("messages", messages())]).await;
    let index = doc! { "key": { "expiresAt": 1 }, "name": "ttl", "expireAfterSeconds": 0 };
    place.database.run_command(doc! { "createIndexes": "chats", "indexes": [index] }).await.unwrap();
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    assert!(toml.contains("expiresAt = \"all\""), "{toml}");
    place.migrate(&toml);
    assert!(!place.all("chats").await[0].contains_key("expiresAt"));
}

#[tokio::test]
async fn a_key_by_another_formula_is_left_to_its_backend() {
    let more = |number: u8| doc! { "pairKey": format!("{number}"), "participantsKey": format!("{number}:x") };
    let (mut all, mut expected) = (chats("members", more), Vec::new());
    for chat in &mut all {
        let people: Vec<String> = chat
            .get_array("members")
            .unwrap()
            .iter()
            .map(|who| who.as_object_id().unwrap().to_hex())
            .collect();
        let mut people = people;
        people.sort();
        chat.insert("participantsKey", people.join(":"));
        chat.remove("pairKey");
        expected.push(chat["participantsKey"].clone());
    }
    let place = Place::new(vec![("chats", all), ("messages", messages())]).await;
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    place.migrate(&toml);
    for chat in place.all("chats").await {
        assert!(expected.contains(&chat["participantsKey"]), "{chat}");
    }
}

#[tokio::test]
async fn a_collection_that_holds_no_chats_is_refused() {
    let said = |number: u8, more: Document| {
        let mut message = doc! { "_id": id(number), "sender": who(number % 3), "text": format!("word {number}"), "createdAt": at(1) };
        message.extend(more);
        message
    };
    let read = |number: u8| said(number, doc! { "readBy": [who(1), who(2)], "room": "a" });
    let users_of = |number: u8| {
        doc! { "_id": id(number), "message": { "text": format!("word {number}") }, "users": [who(1), who(2)], "sender": who(1) }
    };
    let owned = |number: u8| {
        let (one, other) = if number.is_multiple_of(2) { (number, number + 1) } else { (number, number - 1) };
        doc! { "_id": id(number), "owner": who(one), "partner": who(other), "chatId": format!("c{}", number / 2) }
    };
    let cases: [(&str, Vec<Document>, &[&str]); 4] = [
        ("chat_messages", (0..12).map(read).collect(), &["chat_messages holds messages"]),
        ("messages", (0..12).map(users_of).collect(), &["messages holds messages"]),
        (
            "inboxes",
            (0..12).map(owned).collect(),
            &["owner", "partner", "chatId", "one document for each owner"],
        ),
        ("orders", vec![doc! { "items": [{ "price": 1 }] }], &["no collection looks like chats"]),
    ];
    for (name, documents, said) in cases {
        let place = Place::new(vec![(name, documents), ("users", users())]).await;
        let refusal = place.refusal();
        assert!(said.iter().all(|part| refusal.contains(part)), "{refusal}");
    }
}

/// Messages of three pairs in both directions, with what `more` adds to each by its number.
fn between(people: [&str; 2], more: impl Fn(u8) -> Document) -> Vec<Document> {
    let pairs = [(1, 2), (2, 1), (2, 3), (3, 1), (1, 3), (3, 2)];
    let one = |number: u8| {
        let (from, to) = pairs[usize::from(number % 6)];
        let mut message = doc! {
            "_id": id(number), people[0]: who(from), people[1]: who(to), "message": format!("word {number}"),
            "sentAt": at(number.into()),
        };
        message.extend(more(number));
        message
    };
    (0..12).map(one).collect()
}

#[tokio::test]
async fn chats_are_suggested_for_messages_alone_and_what_tells_several_of_a_pair_apart_is_asked() {
    let users = || ("users", users());
    let people = ["senderId", "recieverId"];
    let plain = |number: u8| doc! { "seen": number > 3, "replyTo": id(number / 2) };
    let place = Place::new(vec![("messages", between(people, plain)), users()]).await;
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    place.migrate(&toml);
    assert_eq!(place.all("chats").await.len(), 3, "{toml}");
    assert!(place.all("messages").await.iter().all(|message| message.contains_key("chatId")), "{toml}");

    let traded = |number: u8| doc! { "tradingId": id(150 + number % 2), "chatId": "of another program" };
    for (answer, count) in [(0, 6), (1, 3)] {
        let place = Place::new(vec![("messages", between(people, traded)), users()]).await;
        let (toml, questions) = place.suggest();
        assert_eq!(fields(&questions), [["tradingId"]], "{toml}");
        place.stops_at(&toml, &["tradingId"]).await;
        place.migrate(&answered(&toml, &[&questions[0]["answers"][answer]]));
        assert_eq!(place.all("chats").await.len(), count, "{toml}");
        assert!(place.all("messages").await.iter().all(|one| one["chatId"] == "of another program".into()));
    }
    let roomed = |number: u8| doc! { "roomNumber": i32::from(number % 4) };
    let place = Place::new(vec![("messages", between(people, roomed)), users()]).await;
    let (toml, questions) = place.suggest();
    assert_eq!(fields(&questions), [["roomNumber"]], "{toml}");

    // They may be anything that is from somebody to somebody.
    let place = Place::new(vec![("alerts", between(["from", "to"], |_| doc! {})), users()]).await;
    let (toml, questions) = place.suggest();
    assert_eq!(fields(&questions), [["from", "to"]], "{toml}");
    let both = vec![("messages", between(people, plain)), ("oldMessages", between(people, plain))];
    let refusal = Place::new(both).await.refusal();
    assert!(refusal.contains("messages holds") && refusal.contains("oldMessages holds"), "{refusal}");
}

#[tokio::test]
async fn explain_says_of_each_group_why_it_is_one_chat() {
    let more =
        |number: u8| doc! { "listing": id(150), "muted": number == 1, "lastMessage": id(100 + number) };
    let place = Place::new(vec![("chats", chats("members", more)), ("messages", messages())]).await;
    let configuration = "
        [mongodb]
        participants = 'object_id'
        context = 'object_id'
        [mongodb.chat_fields]
        participants = 'members'
        context = 'listing'
        [mongodb.message_fields]
        chat = 'chat'
        [migrate.fields]
        muted = 'all'
        lastMessage = 'newest'
    ";
    let before = place.hash().await;
    let output = place.run(&["migrate", "--explain"], Some(configuration));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let (one, other) = (who(1).to_hex(), who(2).to_hex());
    for part in [
        format!("{one}, {other}: 2 chats are one chat"),
        "their participants are the same set, by members".to_owned(),
        format!("their context is the same, by listing: {}", id(150).to_hex()),
        "muted: true | false".to_owned(),
        "decided by [migrate.fields]: all".to_owned(),
        "decided by [migrate.fields]: newest".to_owned(),
    ] {
        assert!(said.contains(&part), "{part:?} is not in {said}");
    }
    assert_eq!(place.hash().await, before);
    let without = configuration.replace("muted = 'all'", "");
    let output = place.run(&["migrate", "--explain"], Some(&without));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("muted: differs in"), "{}", text(&output));
}

/// The settings, without comments and empty lines.
fn settings(toml: &str) -> Vec<&str> {
    toml.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

async fn fill(place: &Place, collection: &str, documents: Vec<Document>) {
    place
        .database
        .collection::<Document>(collection)
        .insert_many(documents)
        .await
        .expect("the database answers");
}

fn uuid(n: u8) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![n; 16] })
}

#[tokio::test]
async fn a_model_with_sub_documents_object_ids_and_a_public_id() {
    let place = Place::new(vec![]).await;
    let users: Vec<ObjectId> = (0..20).map(|_| ObjectId::new()).collect();
    let conversations = (0_u8..19).map(|n| {
        let (one, other) = (users[usize::from(n)], users[usize::from(n) + 1]);
        let mut ids = [one.to_hex(), other.to_hex()];
        ids.sort();
        doc! {
            "conversationId": uuid(n), "members": [{ "user": one }, { "user": other }],
            "memberKey": ids.join("_"), "kind": "direct",
            "createdAt": at(1), "updatedAt": at(1), "lastMessageAt": at(1), "__v": 0,
        }
    });
    fill(&place, "conversations", conversations.collect()).await;
    let people = users.iter().map(|id| doc! { "_id": id, "name": "somebody", "friends": users.clone() });
    fill(&place, "users", people.collect()).await;
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    let wanted = [
        "[store]",
        "key_format = \"escaped\"",
        "[mongodb]",
        "chats = \"conversations\"",
        "participants = \"object_id\"",
        "participant_path = \"user\"",
        "id_field = \"conversationId\"",
        "id_form = \"uuid\"",
        "[mongodb.chat_fields]",
        "participants = \"members\"",
        "participants_key = \"memberKey\"",
        "created_at = \"createdAt\"",
        "updated_at = \"updatedAt\"",
        "last_message_at = \"lastMessageAt\"",
        "[mongodb.constants]",
        "kind = \"direct\"",
    ];
    assert_eq!(settings(&toml), wanted, "{toml}");
    assert!(toml.contains("19 agree with \"escaped\", 19 with \"joined\""), "{toml}");
}

#[tokio::test]
async fn a_database_with_everything() {
    let place = Place::new(vec![]).await;
    let mut rows: [Vec<Document>; 5] = Default::default();
    let mut rooms = Vec::new();
    for n in 0..30_i32 {
        let (id, one, other) = (ObjectId::new(), format!("user_{n:02}"), format!("user_{:02}", n + 1));
        rooms.push(doc! {
            "_id": id, "participants": [&other, &one], "chatKey": format!("{one}_{other}"),
            "created": at(1), "lastActivity": at(2), "messageCount": 3, "title": "a room", "lastMessage": "how are you", "hiddenAt": at(9),
            "lastMessagePerUser": { &one: { "text": "hi", "seen": true }, &other: { "text": "hi", "seen": false } },
            "nicknames": { &one: "the one" }, "hiddenFor": [&one], "tags": ["work"],
            "history": [{ "_id": ObjectId::new(), "author": &one, "body": "how are you", "sentAt": at(3) }],
            "unread": { &one: 1, &other: 0 },
            "readers": [{ "who": &one, "seenAt": at(4), "muted": true }, { "who": &other, "seenAt": at(5), "muted": false }],
        });
        let [posts, alerts, bookmarks, members, files] = &mut rows;
        posts.push(doc! {
            "room": id, "from": &one, "body": "hello there", "nonce": format!("n{n}"), "sentAt": at(6),
        });
        alerts.push(doc! { "about": { "room": id.to_hex() }, "userId": &one, "kind": "mention" });
        bookmarks.push(doc! { "owner": &other, "rooms": [id.to_hex(), ObjectId::new().to_hex()] });
        members.push(doc! { "room": id, "user": &one, "unread": 4, "lastReadAt": at(7), "joinedAt": at(1), "pins": [1] });
        members.push(doc! { "room": id, "user": &other, "unread": 0, "lastReadAt": at(8), "joinedAt": at(1), "pins": [2] });
        files.push(doc! { "owner": ObjectId::new(), "name": "picture" });
    }
    fill(&place, "rooms", rooms).await;
    for (name, rows) in ["posts", "alerts", "bookmarks", "roomMembers", "files"].into_iter().zip(rows) {
        fill(&place, name, rows).await;
    }
    let before = place.database.list_collection_names().await.unwrap().len();
    let (toml, questions) = place.suggest();
    assert_eq!(questions, Vec::<Value>::new(), "{toml}");
    let wanted = [
        "[store]",
        "key_format = \"joined\"",
        "[mongodb]",
        "chats = \"rooms\"",
        "messages = \"posts\"",
        "participants = \"string\"",
        "[mongodb.chat_fields]",
        "participants = \"participants\"",
        "participants_key = \"chatKey\"",
        "created_at = \"created\"",
        "last_message_at = \"lastActivity\"",
        "[mongodb.message_fields]",
        "chat = \"room\"",
        "sender = \"from\"",
        "text = \"body\"",
        "client_message_id = \"nonce\"",
        "created_at = \"sentAt\"",
        "[mongodb.constants]",
        "title = \"a room\"",
        "[[migrate.references]]",
        "collection = \"alerts\"",
        "field = \"about.room\"",
        "[[migrate.references]]",
        "collection = \"bookmarks\"",
        "field = \"rooms\"",
        "[[migrate.references]]",
        "collection = \"roomMembers\"",
        "field = \"room\"",
        "participant = \"user\"",
        "rules = { joinedAt = \"min\", lastReadAt = \"max\", pins = \"union\", unread = \"sum\" }",
        "[[migrate.embedded]]",
        "field = \"history\"",
        "id = \"_id\"",
        "time = \"sentAt\"",
        "sender = \"author\"",
        "[[migrate.state]]",
        "field = \"lastMessagePerUser\"",
        "form = \"map\"",
        "rules = { \"\" = \"newest\" }",
        "[[migrate.state]]",
        "field = \"readers\"",
        "form = \"array\"",
        "participant = \"who\"",
        "rules = { muted = \"all\", seenAt = \"max\" }",
        "[[migrate.state]]",
        "field = \"unread\"",
        "form = \"map\"",
        "rules = { \"\" = \"sum\" }",
        "[migrate.fields]",
        "lastMessage = \"newest\"",
        "messageCount = \"sum\"",
        "tags = \"union\"",
    ];
    assert_eq!(settings(&toml), wanted, "{toml}");
    assert!(toml.contains("30 agree with \"joined\"") || toml.contains("30 with \"joined\""), "{toml}");
    assert!(toml.contains("30 of 60 different values are ids of chats: strings."), "{toml}");
    assert_eq!(place.database.list_collection_names().await.unwrap().len(), before);
}
