//! Rows of other collections.

use bson::{Binary, Bson, Document, Uuid, doc, spec::BinarySubtype};
use onechat_migrate::{Blocked, Group, GroupPlan, MergeRules, Move, Reference, plan};

use crate::support::{after, at, chat_id, conflicts, edits, group, messages, raw, reference};

/// Chats 1 (which lives on), 2 and 3, and one reference with rows.
fn with_rows(reference: Reference, rows: &[Document]) -> (MergeRules, Group) {
    let rules = MergeRules { references: vec![reference], ..MergeRules::default() };
    let chats = [1, 2, 3].map(|number| doc! { "_id": chat_id(number) });
    let mut group = group(&rules, &chats);
    group.references[0].rows = rows.iter().map(raw).collect();
    (rules, group)
}

fn edited(reference: Reference, rows: &[Document]) -> GroupPlan {
    let (rules, group) = with_rows(reference, rows);
    plan(&rules, &group).expect("it can be merged")
}

fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn binary(uuid: Uuid) -> Bson {
    Binary { subtype: BinarySubtype::Uuid, bytes: uuid.bytes().to_vec() }.into()
}

#[test]
fn each_form_of_a_losers_id_becomes_the_survivors_in_that_form() {
    let mut rules = MergeRules { references: vec![reference("notes", "chatId")], ..MergeRules::default() };
    rules.names.public_id = Some("publicId".to_owned());
    let chat = |number: u8| doc! { "_id": chat_id(number.into()), "publicId": uuid(number).to_string() };
    let mut group = group(&rules, &[chat(1), chat(2)]);
    group.references[0].counts = vec![
        (chat_id(1).into(), 7),
        (chat_id(2).into(), 1),
        (chat_id(2).to_hex().into(), 2),
        (uuid(2).to_string().into(), 3),
        (binary(uuid(2)), 4),
        ("a stranger".into(), 5),
    ];
    let moves = plan(&rules, &group).unwrap().moves;
    let to = |from: &Bson| {
        moves.iter().find(|moved| moved.from == *from).map(|moved| (moved.to.clone(), moved.rows))
    };
    assert_eq!(moves.len(), 4);
    assert_eq!(to(&chat_id(2).into()), Some((chat_id(1).into(), 1)));
    assert_eq!(to(&chat_id(2).to_hex().into()), Some((chat_id(1).to_hex().into(), 2)));
    assert_eq!(to(&uuid(2).to_string().into()), Some((uuid(1).to_string().into(), 3)));
    assert_eq!(to(&binary(uuid(2))), Some((binary(uuid(1)), 4)));
}

#[test]
fn ids_that_are_strings_may_be_referred_to_as_object_ids() {
    let rules = MergeRules { references: vec![reference("notes", "chatId")], ..MergeRules::default() };
    let chats = [doc! { "_id": chat_id(1).to_hex() }, doc! { "_id": chat_id(2).to_hex() }];
    let mut group = group(&rules, &chats);
    group.references[0].counts = vec![(chat_id(2).into(), 1)];
    let moves = plan(&rules, &group).unwrap().moves;
    let expected = Move {
        collection: "notes".to_owned(),
        field: "chatId".to_owned(),
        from: chat_id(2).into(),
        to: chat_id(1).into(),
        rows: 1,
    };
    assert_eq!(moves, [expected]);
}

#[test]
fn an_array_of_ids_has_the_survivor_once() {
    let rows = [
        doc! { "_id": 1, "pinned": [chat_id(2), chat_id(9), chat_id(1)] },
        doc! { "_id": 2, "pinned": [chat_id(3).to_hex(), chat_id(2).to_hex()] },
        doc! { "_id": 3, "pinned": [chat_id(1), chat_id(9), chat_id(9)] },
    ];
    let plan = edited(reference("users", "pinned"), &rows);
    let expected = [
        (1.into(), Some(doc! { "_id": 1, "pinned": [chat_id(1), chat_id(9)] })),
        (2.into(), Some(doc! { "_id": 2, "pinned": [chat_id(1).to_hex()] })),
    ];
    assert_eq!(edits(&plan), expected);
}

#[test]
fn sub_documents_of_two_chats_become_one_and_what_differs_is_a_conflict() {
    let rows = [
        doc! { "_id": 1, "chats": [{ "_id": 5, "id": chat_id(2), "muted": true }, { "_id": 6, "id": chat_id(1), "muted": true }] },
        doc! { "_id": 2, "chats": [{ "id": chat_id(3), "muted": false }, { "id": chat_id(2), "muted": true }] },
        doc! { "_id": 3, "chats": [{ "id": chat_id(3), "n": 1 }, { "id": chat_id(3), "n": 2 }] },
    ];
    let plan = edited(reference("users", "chats.id"), &rows);
    let expected = [
        (1.into(), Some(doc! { "_id": 1, "chats": [{ "_id": 6, "id": chat_id(1), "muted": true }] })),
        (2.into(), Some(doc! { "_id": 2, "chats": [{ "id": chat_id(1), "muted": true }] })),
        (
            3.into(),
            Some(doc! { "_id": 3, "chats": [{ "id": chat_id(1), "n": 1 }, { "id": chat_id(1), "n": 2 }] }),
        ),
    ];
    assert_eq!(edits(&plan), expected);
    let dropped = doc! { "id": chat_id(3), "muted": false };
    assert_eq!(conflicts(&plan), [("users: chats.id", vec![dropped.into()])]);
}

fn message(id: i32, chat: u32, text: &str, seconds: i64) -> Document {
    doc! { "_id": id, "chatId": chat_id(chat), "sender": "alice", "clientMessageId": "c", "text": text, "createdAt": at(seconds) }
}

#[test]
fn a_message_that_was_sent_to_two_chats_is_kept_once_the_older_one() {
    let plan = edited(messages(), &[message(1, 1, "hi", 9), message(2, 2, "hi", 8)]);
    let mut older = message(2, 2, "hi", 8);
    older.insert("chatId", chat_id(1));
    assert_eq!(edits(&plan), [(1.into(), None), (2.into(), Some(older))]);
}

#[test]
fn other_words_under_one_id_are_kept_under_another() {
    let plan = edited(messages(), &[message(1, 1, "hi", 9), message(2, 2, "ho", 8), message(3, 3, "hi", 10)]);
    let mut renamed = message(2, 1, "ho", 8);
    renamed.insert("clientMessageId", format!("c~{}", chat_id(2).to_hex()));
    assert_eq!(edits(&plan), [(2.into(), Some(renamed)), (3.into(), None)]);
}

#[test]
fn what_one_chat_has_twice_is_not_folded_and_what_is_moved_is_not_edited() {
    let (rules, mut group) = with_rows(messages(), &[message(1, 2, "hi", 9), message(2, 2, "hi", 8)]);
    group.references[0].counts = vec![(chat_id(2).into(), 2)];
    let made = plan(&rules, &group).unwrap();
    assert_eq!((made.edits.len(), made.moves[0].rows), (0, 2));
    group.references[0].rows = [message(1, 2, "hi", 9), message(2, 3, "hi", 8)].iter().map(raw).collect();
    group.references[0].counts = vec![(chat_id(2).into(), 5), (chat_id(3).into(), 5)];
    let made = plan(&rules, &group).unwrap();
    assert_eq!(edits(&made), [(1.into(), None)]);
    assert_eq!(made.moves.iter().map(|moved| moved.rows).collect::<Vec<_>>(), [4, 5]);
}

fn unique(fields: &[&str]) -> Reference {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Reference { unique: vec![fields], ..reference("tags", "chatId") }
}

#[test]
fn rows_that_a_unique_index_keeps_apart_become_one_if_they_say_the_same() {
    let row = |id: i32, chat: u32| doc! { "_id": id, "chatId": chat_id(chat), "tag": "x", "n": 1 };
    let plan = edited(unique(&["tag"]), &[row(1, 2), row(2, 1), row(3, 3)]);
    assert_eq!(edits(&plan), [(1.into(), None), (3.into(), None)]);
}

#[test]
fn rows_that_a_unique_index_keeps_apart_and_that_differ_block_the_group() {
    let row = |id: i32, chat: u32, n: i32| doc! { "_id": id, "chatId": chat_id(chat), "tag": 1.0, "n": n };
    let mut rows = [row(1, 2, 1), row(2, 1, 2)];
    rows[1].insert("tag", 1);
    for fields in [&["tag"][..], &[]] {
        let (rules, group) = with_rows(unique(fields), &rows);
        let blocked = plan(&rules, &group).unwrap_err();
        assert!(matches!(&blocked, Blocked::Clash { rows, .. } if rows == &["2", "1"]), "{blocked}");
    }
}

#[test]
fn a_row_with_two_references_is_edited_once_and_names_the_survivor_in_both() {
    let row = doc! { "_id": 1, "chatIds": [chat_id(2)], "origin": chat_id(3) };
    let (mut rules, mut group) = with_rows(reference("notes", "chatIds"), &[row]);
    rules.references.push(reference("notes", "origin"));
    group
        .references
        .push(onechat_migrate::ReferenceRows { counts: vec![(chat_id(3).into(), 1)], ..Default::default() });
    let plan = plan(&rules, &group).unwrap();
    let expected = doc! { "_id": 1, "chatIds": [chat_id(1)], "origin": chat_id(1) };
    assert_eq!(edits(&plan), [(1.into(), Some(expected))]);
    assert_eq!(plan.moves[0].rows, 0);
    assert_eq!(after(&plan).get_str("participantsKey").unwrap(), "alice_bob");
}

#[test]
fn messages_without_words_are_the_same_only_if_they_show_the_same() {
    let picture = |id: i32, chat: u32, url: &str, seconds: i64| {
        let mut message = message(id, chat, "", seconds);
        message.insert("picture", url);
        message
    };
    let plan = edited(messages(), &[picture(1, 1, "a", 7), picture(2, 2, "b", 8), picture(3, 3, "a", 9)]);
    let edits = edits(&plan);
    assert_eq!(edits.len(), 2);
    assert_eq!(edits[0].1.as_ref().unwrap().get_str("picture").unwrap(), "b");
    assert_eq!(edits[1], (3.into(), None));
}

#[test]
fn of_messages_of_losers_alone_the_oldest_keeps_its_id() {
    let plan = edited(messages(), &[message(1, 3, "hi", 8), message(2, 2, "ho", 9)]);
    let edits = edits(&plan);
    assert_eq!(edits[0].1.as_ref().unwrap().get_str("clientMessageId").unwrap(), "c");
    let renamed = format!("c~{}", chat_id(2).to_hex());
    assert_eq!(edits[1].1.as_ref().unwrap().get_str("clientMessageId").unwrap(), renamed);
}

#[test]
fn what_one_chat_has_twice_stays_when_another_chat_has_it_too() {
    let rows =
        [message(1, 1, "hi", 7), message(2, 1, "hi", 8), message(3, 2, "hi", 9), message(4, 1, "ho", 9)];
    assert_eq!(edits(&edited(messages(), &rows)), [(3.into(), None)]);
}

#[test]
fn what_one_chat_has_twice_its_index_allows() {
    let row = |id: i32, chat: u32, n: i32| doc! { "_id": id, "chatId": chat_id(chat), "tag": "x", "n": n };
    let plan = edited(unique(&["tag"]), &[row(1, 1, 1), row(2, 1, 2)]);
    assert!(plan.edits.is_empty());
    // Nor does it know rows without a value, if it is partial.
    let without = |id: i32, chat: u32, n: i32| doc! { "_id": id, "chatId": chat_id(chat), "n": n };
    let plan = edited(unique(&["tag"]), &[without(1, 1, 1), without(2, 2, 2)]);
    assert_eq!(edits(&plan), [(2.into(), Some(without(2, 1, 2)))]);
}

#[test]
fn chats_of_the_group_that_name_each_other_are_not_edited_as_rows() {
    let chats =
        [doc! { "_id": chat_id(1), "see": [chat_id(2)] }, doc! { "_id": chat_id(2), "see": [chat_id(2)] }];
    let rules = MergeRules { references: vec![reference("chats", "see")], ..MergeRules::default() };
    let mut group = group(&rules, &chats);
    let other = doc! { "_id": chat_id(9), "see": [chat_id(2)] };
    group.references[0].rows = chats.iter().chain([&other]).map(raw).collect();
    let plan = plan(&rules, &group).unwrap();
    assert_eq!(edits(&plan), [(chat_id(9).into(), Some(doc! { "_id": chat_id(9), "see": [chat_id(1)] }))]);
}
