//! What holds for any group.

use std::collections::BTreeSet;

use bson::{Bson, Document, RawDocumentBuf, doc};
use onechat_migrate::{
    Blocked, Conflict, EmbeddedArray, FieldRule, Group, GroupPlan, MergeRules, Reference, ReferenceRows,
    RowState, StateField, StateForm, SurvivorPolicy, plan, undo_document,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::support::{after, at, chat_id, group, messages, raw, read, reference};

fn scalar() -> impl Strategy<Value = Bson> {
    prop_oneof![
        Just(Bson::Null),
        any::<bool>().prop_map(Bson::from),
        (-3..4_i32).prop_map(Bson::from),
        (-3..4_i64).prop_map(Bson::from),
        (-3..4_i32).prop_map(|number| f64::from(number).into()),
        "[a-c]{0,2}".prop_map(Bson::from),
        (0..5_i64).prop_map(|seconds| at(seconds).into()),
    ]
}

fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Bson::from), fields(inner).prop_map(Bson::from)]
    })
}

fn fields(inner: impl Strategy<Value = Bson>) -> impl Strategy<Value = Document> {
    vec(("[a-e]", inner), 0..5).prop_map(|fields| fields.into_iter().collect())
}

fn document() -> impl Strategy<Value = Document> {
    fields(value())
}

fn embedded() -> impl Strategy<Value = Document> {
    (0..6_i32, option::of(0..4_i64), "[xy]").prop_map(|(id, time, text)| {
        let mut message = doc! { "id": id, "text": text };
        message.extend(time.map(|time| ("at".to_owned(), at(time).into())));
        message
    })
}

prop_compose! {
    fn chat()(
        fields in document(),
        messages in option::of(vec(embedded(), 0..4)),
        unread in option::of((0..9_i32, 0..9_i32)),
        times in (option::of(0..9_i64), option::of(0..9_i64)),
    ) -> Document {
        let mut chat = doc! { "participants": ["alice", "bob"] };
        chat.extend(fields);
        chat.extend(messages.map(|messages| ("messages".to_owned(), messages.into())));
        chat.extend(unread.map(|(alice, bob)| ("unread".to_owned(), doc! { "alice": alice, "bob": bob }.into())));
        chat.extend(times.0.map(|time| ("createdAt".to_owned(), at(time).into())));
        chat.extend(times.1.map(|time| ("lastMessageAt".to_owned(), at(time).into())));
        chat
    }
}

fn rules() -> impl Strategy<Value = MergeRules> {
    let policies = [SurvivorPolicy::Oldest, SurvivorPolicy::MostMessages, SurvivorPolicy::MostRecent];
    select(policies.to_vec()).prop_map(|survivor| MergeRules {
        survivor,
        references: vec![messages(), reference("users", "pinned"), members()],
        embedded: vec![EmbeddedArray {
            field: "messages".to_owned(),
            id: Some("id".to_owned()),
            time: Some("at".to_owned()),
            sender: None,
            ids_of: None,
        }],
        state: vec![StateField {
            field: "unread".to_owned(),
            form: StateForm::Map,
            rules: [(String::new(), FieldRule::Sum)].into(),
            read_until: None,
        }],
        fields: LETTERS.map(|letter| (letter.to_owned(), FieldRule::Survivor)).into(),
        ..MergeRules::default()
    })
}

/// What the fields are called of which a chat may have anything.
const LETTERS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn members() -> Reference {
    let rules = [("unread".to_owned(), FieldRule::Sum), ("color".to_owned(), FieldRule::Survivor)].into();
    let state = RowState { participant: "userId".to_owned(), rules, read_until: None };
    Reference { state: Some(state), ..reference("members", "chatId") }
}

prop_compose! {
    fn rows(chats: u32)(
        messages in vec((0..chats, "[ab]", "[xy]", 0..5_i64), 0..6),
        users in vec(vec(0..chats + 1, 0..4), 0..3),
        members in vec((0..chats, "[ab]", 0..3_i32, "[xy]"), 0..6),
    ) -> Vec<ReferenceRows> {
        let message = |(id, (chat, client, text, time)): (i64, (u32, String, String, i64))| raw(&doc! {
            "_id": id, "chatId": chat_id(chat), "sender": "alice", "clientMessageId": client, "text": text,
            "createdAt": at(time),
        });
        let user = |(id, chats): (i64, Vec<u32>)| raw(&doc! {
            "_id": id, "pinned": chats.into_iter().map(chat_id).collect::<Vec<_>>(),
        });
        let member = |(id, (chat, user, unread, color)): (i64, (u32, String, i32, String))| raw(&doc! {
            "_id": id, "chatId": chat_id(chat), "userId": user, "unread": unread, "color": color,
        });
        let messages: Vec<RawDocumentBuf> = (0..).zip(messages).map(message).collect();
        let counts = (0..chats).map(|chat| (chat_id(chat).into(), 1)).collect();
        vec![
            ReferenceRows { counts, rows: messages, messages: Vec::new() },
            ReferenceRows { rows: (0..).zip(users).map(user).collect(), ..ReferenceRows::default() },
            ReferenceRows { rows: (0..).zip(members).map(member).collect(), ..ReferenceRows::default() },
        ]
    }
}

/// Rules and a group of up to five chats, with rows that name them.
fn any_group() -> impl Strategy<Value = (MergeRules, Group)> {
    (rules(), vec(chat(), 1..6)).prop_flat_map(|(rules, chats)| {
        let count = u32::try_from(chats.len()).expect("there are few");
        let chats: Vec<Document> = chats
            .into_iter()
            .zip(0..)
            .map(|(fields, number)| {
                let mut chat = doc! { "_id": chat_id(number) };
                chat.extend(fields);
                chat
            })
            .collect();
        let group = group(&rules, &chats);
        (Just(rules), Just(group), rows(count))
            .prop_map(|(rules, group, references)| (rules, Group { references, ..group }))
    })
}

fn documents(group: &Group) -> Vec<Document> {
    group.chats.iter().map(|chat| read(&chat.document)).collect()
}

fn message_ids(chat: &Document) -> BTreeSet<i32> {
    let messages = chat.get_array("messages").map(Vec::as_slice).unwrap_or_default();
    messages
        .iter()
        .map(|message| message.as_document().expect("a sub-document").get_i32("id").expect("an id"))
        .collect()
}

/// As the database compares them.
fn are_equal(one: &Bson, other: &Bson) -> bool {
    let number = |value: &Bson| match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => i32::try_from(*number).ok().map(f64::from),
        Bson::Double(number) => Some(*number),
        _ => None,
    };
    one == other || number(one).is_some_and(|one| number(other) == Some(one))
}

fn is_reported(plan: &GroupPlan, field: &str, value: &Bson) -> bool {
    let has = |conflict: &Conflict| {
        conflict.field == field && conflict.dropped.iter().any(|(dropped, _)| dropped == value)
    };
    plan.conflicts.iter().any(has)
}

proptest! {
    #[test]
    fn a_plan_does_not_depend_on_the_order_of_anything(
        (rules, group) in any_group(),
        turns in any::<[prop::sample::Index; 4]>(),
    ) {
        let mut turned = group.clone();
        let turn = |length: usize, index: &prop::sample::Index| if length == 0 { 0 } else { index.index(length) };
        let chats = turn(turned.chats.len(), &turns[0]);
        turned.chats.rotate_left(chats);
        turned.chats.reverse();
        for (rows, index) in turned.references.iter_mut().zip(&turns[1..]) {
            let turned = turn(rows.rows.len(), index);
            rows.rows.rotate_left(turned);
            rows.counts.reverse();
        }
        prop_assert_eq!(plan(&rules, &turned), plan(&rules, &group));
    }

    #[test]
    fn what_was_merged_need_not_be_merged_again((rules, group) in any_group()) {
        let plan_of = plan(&rules, &group).unwrap();
        let mut again = group.clone();
        again.chats.retain(|chat| chat.document.get_object_id("_id").ok().map(Bson::from) == Some(plan_of.survivor.clone()));
        if let Some(after) = &plan_of.survivor_after {
            again.chats[0].document = after.clone();
        }
        for rows in &mut again.references {
            rows.counts.clear();
            rows.rows.retain_mut(|row| match plan_of.edits.iter().find(|edit| edit.before == *row) {
                Some(edit) => edit.after.clone().map(|after| *row = after).is_some(),
                None => true,
            });
        }
        let again = plan(&rules, &again).unwrap();
        prop_assert!(again.changes_nothing(), "{}", again);
        prop_assert!(again.conflicts.is_empty());
    }

    #[test]
    fn nothing_of_a_chat_is_lost((rules, group) in any_group()) {
        let made = plan(&rules, &group).unwrap();
        let survivor = after(&made);
        for chat in documents(&group) {
            prop_assert!(message_ids(&chat).is_subset(&message_ids(&survivor)));
            for message in chat.get_array("messages").map(Vec::as_slice).unwrap_or_default() {
                let is_there = survivor.get_array("messages").unwrap().contains(message);
                prop_assert!(is_there || is_reported(&made, "messages", message), "{} in {}", message, survivor);
            }
            for (name, value) in chat.iter().filter(|(name, value)| name.len() == 1 && **value != Bson::Null) {
                prop_assert!(survivor.contains_key(name), "{} = {} in {}", name, value, survivor);
            }
        }
        let sum = |name: &str| documents(&group).iter().filter_map(|chat| chat.get_document("unread").ok()?.get_i32(name).ok()).sum::<i32>();
        if let Ok(unread) = survivor.get_document("unread") {
            prop_assert_eq!(unread, &doc! { "alice": sum("alice"), "bob": sum("bob") });
        }
    }

    #[test]
    fn nothing_is_dropped_without_a_rule(
        (mut rules, group) in any_group(),
        rule in select(vec![FieldRule::Survivor, FieldRule::Newest, FieldRule::Recompute]),
        explained in proptest::sample::subsequence(LETTERS.to_vec(), 0..=LETTERS.len()),
    ) {
        rules.fields = explained.iter().map(|letter| ((*letter).to_owned(), rule)).collect();
        let chats = documents(&group);
        let value = |chat: &Document, letter: &str| chat.get(letter).filter(|value| **value != Bson::Null).cloned();
        let differs = |letter: &&str| {
            let first = value(&chats[0], letter);
            chats.iter().any(|chat| match (value(chat, letter), &first) {
                (Some(one), Some(other)) => !are_equal(&one, other),
                (one, other) => one.is_some() != other.is_some(),
            })
        };
        let mut open: Vec<&str> = LETTERS.into_iter().filter(|letter| !explained.contains(letter)).filter(differs).collect();
        match plan(&rules, &group) {
            Ok(made) => {
                prop_assert!(open.is_empty(), "{:?}", open);
                let survivor = made.survivor_after.as_ref().map(read);
                let survivor = survivor.as_ref().unwrap_or(&chats[0]);
                for letter in LETTERS.into_iter().filter(|letter| !explained.contains(letter)) {
                    for known in chats.iter().filter_map(|chat| value(chat, letter)) {
                        prop_assert!(are_equal(&known, &survivor[letter]));
                    }
                }
            }
            Err(Blocked::Unexplained(differences)) => {
                let mut asked: Vec<String> = differences.iter().map(|one| one.place.to_string()).collect();
                asked.sort();
                open.sort_unstable();
                prop_assert_eq!(asked, open);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn every_message_that_is_a_row_is_there_or_another_stands_for_it((rules, group) in any_group()) {
        let plan = plan(&rules, &group).unwrap();
        let text = |row: &RawDocumentBuf| row.get_str("text").unwrap().to_owned();
        let removed = |row: &&RawDocumentBuf| plan.edits.iter().any(|edit| edit.before == **row && edit.after.is_none());
        let rows = &group.references[0].rows;
        for gone in rows.iter().filter(removed) {
            let twin = |row: &RawDocumentBuf| {
                text(row) == text(gone) && row.get_str("clientMessageId").ok() == gone.get_str("clientMessageId").ok()
            };
            prop_assert!(rows.iter().any(|row| !removed(&row) && twin(row)));
        }
        for edit in &plan.edits {
            let after = edit.after.as_ref().map(|row| Document::try_from(row).unwrap().to_string());
            for loser in &plan.losers {
                let names = |row: &String| row.contains(&format!("ObjectId(\"{}\")", loser.public_id));
                prop_assert!(!after.as_ref().is_some_and(names));
            }
        }
    }

    #[test]
    fn a_plan_comes_back_from_its_json((rules, group) in any_group()) {
        let plan = plan(&rules, &group).unwrap();
        let line = serde_json::to_string(&plan).unwrap();
        let back: GroupPlan = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(back.fingerprint(), plan.fingerprint());
        prop_assert_eq!(back, plan);
    }

    #[test]
    fn a_change_that_nobody_has_written_to_is_taken_back_to_the_byte(before in document(), after in document()) {
        let undone = undo_document(&raw(&before), &raw(&after), &raw(&after));
        prop_assert_eq!(undone.document, raw(&before));
        prop_assert!(undone.kept.is_empty() && undone.conflicts.is_empty());
    }

    #[test]
    fn what_was_written_since_is_in_the_document_or_was_there_before(
        before in document(), after in document(), now in document(),
    ) {
        let undone = undo_document(&raw(&before), &raw(&after), &raw(&now));
        let result = Document::try_from(&undone.document).unwrap();
        for (name, value) in now.iter().filter(|(name, value)| after.get(name) != Some(value)) {
            match (result.get(name), value) {
                (Some(Bson::Array(elements)), Bson::Array(since)) => {
                    let known = |element: &Bson| elements.contains(element) || after.get_array(name).is_ok_and(|after| after.contains(element));
                    prop_assert!(since.iter().all(known));
                }
                (Some(Bson::Document(_)), Bson::Document(_)) => {}
                (result, value) => prop_assert_eq!(result, Some(value)),
            }
        }
    }
}
