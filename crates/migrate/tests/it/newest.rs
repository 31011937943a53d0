//! Pointers to the newest message, and copies of it.

use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use onechat_migrate::{
    EmbeddedArray, FieldRule, Group, MergeRules, Reference, RowState, StateField, StateForm, plan,
    plan_around,
};

use crate::support::{after, at, chat_id, group, message, messages, raw, reference};

/// An id that tells another time than its row.
fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn rules(fields: &[&str]) -> MergeRules {
    MergeRules {
        references: vec![messages()],
        fields: fields.iter().map(|field| ((*field).to_owned(), FieldRule::Newest)).collect(),
        ..MergeRules::default()
    }
}

/// Chats with these fields, and messages of two of them: `early` of the first, `late` and then `last` of the second.
fn chats(rules: &MergeRules, fields: &[Document]) -> Group {
    let chats = (1..).zip(fields).map(|(number, fields)| {
        let mut chat = doc! { "_id": chat_id(number) };
        chat.extend(fields.clone());
        chat
    });
    let mut group = group(rules, &chats.collect::<Vec<_>>());
    group.references[0].messages = vec![
        message(id(9), 1, "ann", "early", 10),
        message(id(7), 2, "bob", "late", 20),
        message(id(5), 2, "ann", "last", 30),
    ];
    group
}

fn merged(rules: &MergeRules, fields: &[Document]) -> Document {
    after(&plan(rules, &chats(rules, fields)).expect("they can be merged"))
}

#[test]
fn an_id_is_that_of_the_newest_row_in_the_form_that_it_has() {
    let rules = rules(&["last"]);
    let (early, late, last) = (id(9), id(7), id(5));
    let cases: [([Option<Bson>; 2], Bson); 6] = [
        ([Some(early.into()), Some(last.into())], last.into()),
        ([Some(early.to_hex().into()), Some(last.to_hex().into())], last.to_hex().into()),
        // Stale, lost, null, and of a message that is not there any more.
        ([Some(early.into()), Some(late.into())], last.into()),
        ([Some(early.into()), None], last.into()),
        ([Some(early.to_hex().into()), Some(Bson::Null)], last.to_hex().into()),
        ([None, Some(ObjectId::from_bytes([0; 12]).into())], last.into()),
    ];
    for (values, expected) in cases {
        let fields =
            values.clone().map(|value| value.map_or_else(Document::new, |value| doc! { "last": value }));
        assert_eq!(merged(&rules, &fields)["last"], expected, "{values:?}");
    }
    assert!(!merged(&rules, &[doc! {}, doc! {}]).contains_key("last"));
}

#[test]
fn a_pointer_to_a_message_that_nobody_has_read_yet_is_decided_by_its_own_time() {
    let mut rules = rules(&["last"]);
    rules.references.clear();
    let (older, newer) = (chat_id(100), chat_id(200));
    let mut group = group(
        &rules,
        &[
            doc! { "_id": chat_id(1), "last": newer, "lastMessageAt": at(1) },
            doc! { "_id": chat_id(2), "last": older, "lastMessageAt": at(5) },
        ],
    );
    assert_eq!(after(&plan(&rules, &group).unwrap())["last"], newer.into());
    group.chats.reverse();
    assert_eq!(after(&plan(&rules, &group).unwrap())["last"], newer.into());
}

#[test]
fn a_copy_is_that_of_the_newest_message_at_any_depth() {
    let copy = |text: &str, seconds: i64| doc! { "text": text, "at": at(seconds), "by": { "name": "x" } };
    let expected = copy("last", 30);
    for fields in [
        [doc! { "last": copy("early", 10) }, doc! { "last": copy("last", 30) }],
        [doc! { "last": copy("last", 30) }, doc! { "last": copy("early", 10) }],
        // What it says of a message is made to say it of the newest.
        [doc! { "last": copy("early", 10) }, doc! {}],
    ] {
        assert_eq!(merged(&rules(&["last"]), &fields).get_document("last").unwrap(), &expected);
    }
    let parts = rules(&["last.text", "last.at", "last.by"]);
    let fields = [doc! { "last": copy("early", 10) }, doc! { "last": copy("last", 30) }];
    assert_eq!(merged(&parts, &fields).get_document("last").unwrap(), &expected);
    // Beside each other: the text, the time, the sender.
    let flat = |text: &str, seconds: i64, who: &str| doc! { "text": text, "time": at(seconds), "who": who };
    let fields = [flat("early", 10, "ann"), flat("late", 20, "bob")];
    let made = merged(&rules(&["text", "time", "who"]), &fields);
    assert_eq!((&made["text"], &made["time"], &made["who"]), (&"last".into(), &at(30).into(), &"ann".into()));
}

#[test]
fn of_a_message_without_words_nothing_is_made_up() {
    let rules = rules(&["last", "text"]);
    let copy = doc! { "text": "early", "at": at(10), "by": null };
    let mut group = chats(&rules, &[doc! { "last": copy.clone(), "text": "early" }, doc! {}]);
    let picture =
        doc! { "_id": id(3), "chatId": chat_id(2), "sender": "bob", "text": null, "createdAt": at(40) };
    group.references[0].messages[2] = raw(&picture);
    let made = after(&plan(&rules, &group).unwrap());
    assert_eq!((&made["last"], &made["text"]), (&copy.into(), &"early".into()));
}

#[test]
fn a_text_that_was_said_often_is_that_of_its_own_chat() {
    let rules = rules(&["last"]);
    let mut group = chats(
        &rules,
        &[doc! { "last": { "text": "ok", "seen": 1 } }, doc! { "last": { "text": "late", "seen": 2 } }],
    );
    group.references[0].messages = vec![
        message(id(1), 1, "ann", "ok", 10),
        message(id(2), 2, "bob", "ok", 5),
        message(id(3), 2, "bob", "late", 20),
    ];
    let made = after(&plan(&rules, &group).unwrap());
    assert_eq!(made.get_document("last").unwrap(), &doc! { "text": "late", "seen": 2 });
}

#[test]
fn each_person_keeps_the_newest_of_what_they_see() {
    let mut rules = rules(&[]);
    rules.state = vec![StateField {
        field: "seen".to_owned(),
        form: StateForm::Map,
        rules: [(String::new(), FieldRule::Newest)].into(),
        read_until: None,
    }];
    assert!(rules.needs_messages() && rules.needs_activity());
    let fields = [
        doc! { "seen": { "ann": "early", "bob": id(9), "eve": { "text": "early" } } },
        doc! { "seen": { "bob": id(7), "ann": "late", "eve": { "text": "last" } } },
    ];
    let made = merged(&rules, &fields);
    // None of them is made to see what they have not.
    let expected = doc! { "ann": "late", "bob": id(7), "eve": { "text": "last" } };
    assert_eq!(made.get_document("seen").unwrap(), &expected);
}

#[test]
fn messages_that_are_embedded_or_named_by_an_array_of_ids_count_too() {
    let mut rules = rules(&["last"]);
    rules.embedded = vec![EmbeddedArray {
        field: "notes".to_owned(),
        id: Some("id".to_owned()),
        ids_of: None,
        time: Some("at".to_owned()),
        sender: None,
    }];
    let fields = [
        doc! { "last": "early", "notes": [{ "id": 1, "at": "2023-03-02T20:01:46Z", "text": "noted" }] },
        doc! { "last": "last" },
    ];
    assert_eq!(merged(&rules, &fields)["last"], "noted".into());

    rules.embedded[0] =
        EmbeddedArray { id: None, ids_of: Some("rows".to_owned()), ..rules.embedded[0].clone() };
    let fields =
        [doc! { "last": id(50), "notes": [id(50), id(51)] }, doc! { "last": id(5), "notes": [id(52)] }];
    let mut group = chats(&rules, &fields);
    let row = |number: u8, ms: i64| raw(&doc! { "_id": id(number), "at": ms });
    group.listed = vec![row(50, 900_000_000_001), row(51, 900_000_000_003), row(52, 900_000_000_002)];
    let made = after(&plan(&rules, &group).unwrap());
    assert_eq!(made["last"], id(51).into());
    assert_eq!(made.get_array("notes").unwrap(), &[id(50), id(52), id(51)].map(Bson::from).to_vec());
}

#[test]
fn a_message_that_another_stands_for_is_pointed_to_no_more() {
    let rules = rules(&["last"]);
    let sent = |number: u8, chat: u32, seconds: i64| {
        raw(&doc! {
            "_id": id(number), "chatId": chat_id(chat), "sender": "ann", "text": "hi", "clientMessageId": "c",
            "createdAt": at(seconds),
        })
    };
    let mut group = chats(&rules, &[doc! { "last": id(1) }, doc! { "last": id(2) }]);
    let rows: Vec<RawDocumentBuf> = vec![sent(1, 1, 10), sent(2, 2, 11)];
    group.references[0].rows = rows.clone();
    group.references[0].messages = rows;
    let plan = plan(&rules, &group).unwrap();
    assert_eq!(plan.edits.iter().filter(|edit| edit.after.is_none()).count(), 1);
    assert_eq!(plan.survivor_after.map(|after| after.get_object_id("last").unwrap()), Some(id(1)));
}

#[test]
fn what_somebody_writes_during_the_merge_is_newer_than_what_was_read() {
    let rules = rules(&["last"]);
    let group = chats(&rules, &[doc! { "last": "early" }, doc! { "last": "last" }]);
    let mut written = group.clone();
    written.chats[0].document = raw(&doc! { "_id": chat_id(1), "last": "just now", "theme": "dark" });
    let earlier = &group.chats[0].document;
    let made = after(&plan_around(&rules, &written, &chat_id(1).into(), earlier).unwrap());
    // Nothing explains the theme, and nothing is lost with it: the others have ended.
    assert_eq!((&made["last"], &made["theme"]), (&"just now".into(), &"dark".into()));
    assert!(plan(&rules, &written).is_err());
}

#[test]
fn what_each_person_has_read_last_is_decided_by_the_row_in_sub_documents_and_in_rows_too() {
    let by_rule = || [("lastRead".to_owned(), FieldRule::Newest)].into();
    let mut rules = rules(&[]);
    rules.names.participant_path = Some("user".to_owned());
    rules.state = vec![StateField {
        field: "participants".to_owned(),
        form: StateForm::Array { participant: "user".to_owned() },
        rules: by_rule(),
        read_until: None,
    }];
    rules.references.push(Reference {
        state: Some(RowState { participant: "user".to_owned(), rules: by_rule(), read_until: None }),
        ..reference("members", "chatId")
    });
    let person = |user: &str, read: u8| doc! { "user": user, "lastRead": id(read) };
    let mut group = chats(
        &rules,
        &[
            doc! { "participants": [person("ann", 9), person("bob", 7)] },
            doc! { "participants": [person("bob", 9), person("ann", 5)] },
        ],
    );
    let member = |number: i32, chat: u32, read: u8| {
        raw(&doc! { "_id": number, "chatId": chat_id(chat), "user": "ann", "lastRead": id(read).to_hex() })
    };
    group.references[1].rows = vec![member(1, 1, 9), member(2, 2, 7)];
    let plan = plan(&rules, &group).unwrap();
    let expected: Vec<Bson> = vec![person("ann", 5).into(), person("bob", 7).into()];
    assert_eq!(after(&plan).get_array("participants").unwrap(), &expected);
    let kept = plan.edits.iter().find_map(|edit| edit.after.as_ref()).unwrap();
    assert_eq!(kept, &member(1, 1, 7));
}
