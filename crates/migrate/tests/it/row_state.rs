//! State per participant that is kept as rows.

use bson::{Document, doc, oid::ObjectId};
use onechat_migrate::{Blocked, FieldRule, Group, MergeRules, Reference, RowState, plan};

use crate::support::{at, chat_id, edits, group, message, messages, raw, reference};

fn rules(of: &[(&str, FieldRule)]) -> MergeRules {
    let state = RowState {
        participant: "userId".to_owned(),
        rules: of.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect(),
        read_until: Some("readAt".to_owned()),
    };
    let members = Reference { state: Some(state), ..reference("members", "chatId") };
    MergeRules { references: vec![members, messages()], ..MergeRules::default() }
}

fn with_rows(rules: &MergeRules, rows: &[Document]) -> Group {
    let mut group = group(rules, &[1, 2, 3].map(|number| doc! { "_id": chat_id(number) }));
    group.references[0].rows = rows.iter().map(raw).collect();
    group
}

fn row(id: i32, chat: u32, user: &str, more: Document) -> Document {
    let mut row = doc! { "_id": id, "chatId": chat_id(chat), "userId": user };
    row.extend(more);
    row
}

#[test]
fn the_survivors_row_takes_the_losers_in() {
    let mut rows = [
        row(1, 2, "alice", doc! { "unread": 2, "readAt": at(9), "createdAt": at(1), "color": "red" }),
        row(2, 1, "alice", doc! { "unread": 1, "readAt": at(5), "createdAt": at(2), "color": "blue" }),
    ];
    let mut rules = rules(&[("unread", FieldRule::Sum), ("readAt", FieldRule::Max)]);
    let Err(Blocked::Unexplained(differences)) = plan(&rules, &with_rows(&rules, &rows)) else { panic!() };
    assert_eq!(differences[0].place.to_string(), "members: color");
    rules.references[0].state.as_mut().unwrap().rules.insert("color".to_owned(), FieldRule::Survivor);
    rows.reverse();
    let plan = plan(&rules, &with_rows(&rules, &rows)).unwrap();
    let merged =
        row(2, 1, "alice", doc! { "unread": 3, "readAt": at(9), "createdAt": at(1), "color": "blue" });
    assert_eq!(edits(&plan), [(1.into(), None), (2.into(), Some(merged))]);
}

#[test]
fn without_one_the_row_of_the_oldest_loser_is_pointed_to_the_survivor() {
    let rows =
        [row(1, 3, "bob", doc! { "unread": 2 }), row(2, 2, "bob", doc! { "unread": 1, "muted": true })];
    let rules = rules(&[("unread", FieldRule::Sum), ("muted", FieldRule::Survivor)]);
    let plan = plan(&rules, &with_rows(&rules, &rows)).unwrap();
    let merged = row(2, 1, "bob", doc! { "unread": 3, "muted": true });
    assert_eq!(edits(&plan), [(1.into(), None), (2.into(), Some(merged))]);
}

#[test]
fn a_single_row_of_a_loser_is_pointed_to_the_survivor_as_it_is() {
    let rules = rules(&[]);
    let plan = plan(&rules, &with_rows(&rules, &[row(1, 3, "bob", doc! { "unread": 2 })])).unwrap();
    assert_eq!(edits(&plan), [(1.into(), Some(row(1, 1, "bob", doc! { "unread": 2 })))]);
}

#[test]
fn unread_is_counted_anew_without_messages_that_were_sent_twice() {
    let rules = rules(&[("unread", FieldRule::Recompute), ("readAt", FieldRule::Max)]);
    assert!(rules.needs_messages());
    let rows = [
        row(1, 1, "alice", doc! { "unread": 7, "readAt": at(5) }),
        row(2, 2, "alice", doc! { "unread": 7, "readAt": at(6) }),
    ];
    let mut group = with_rows(&rules, &rows);
    let sent = |id: i32, chat: u32, seconds: i64| {
        raw(
            &doc! { "_id": id, "chatId": chat_id(chat), "sender": "bob", "clientMessageId": "c", "text": "hi", "createdAt": at(seconds) },
        )
    };
    group.references[1].rows = vec![sent(1, 1, 8), sent(2, 2, 9)];
    let others = [("bob", 6), ("alice", 9)];
    group.references[1].messages = group.references[1].rows.clone();
    let others = others.map(|(sender, seconds)| message(ObjectId::new(), 1, sender, "hi", seconds));
    group.references[1].messages.extend(others);
    let plan = plan(&rules, &group).unwrap();
    let kept = plan.edits.iter().find(|edit| edit.collection == "members" && edit.after.is_some()).unwrap();
    assert_eq!(kept.after.as_ref().unwrap().get_i32("unread").unwrap(), 1);
}

#[test]
fn what_hides_a_chat_does_so_only_if_every_chat_is_hidden_by_a_row() {
    let rules = rules(&[("hidden", FieldRule::All)]);
    let hidden = |id, chat, user: &str| row(id, chat, user, doc! { "hidden": true });
    let rows = [
        hidden(1, 1, "alice"),
        hidden(2, 2, "alice"),
        hidden(3, 3, "alice"),
        hidden(4, 1, "bob"),
        hidden(5, 2, "bob"),
        hidden(6, 3, "carol"),
    ];
    let plan = plan(&rules, &with_rows(&rules, &rows)).unwrap();
    let left: Vec<Document> = edits(&plan).into_iter().filter_map(|(_, after)| after).collect();
    // Alice's row is as it was.
    assert_eq!(left, [row(4, 1, "bob", doc! {}), row(6, 1, "carol", doc! {})]);
}

#[test]
fn what_the_survivor_has_twice_stays_twice() {
    let rows = [
        row(1, 1, "alice", doc! { "unread": 1 }),
        row(2, 1, "alice", doc! { "unread": 2 }),
        row(3, 2, "alice", doc! { "unread": 4 }),
    ];
    let rules = rules(&[("unread", FieldRule::Sum)]);
    let plan = plan(&rules, &with_rows(&rules, &rows)).unwrap();
    assert_eq!(edits(&plan), [(1.into(), Some(row(1, 1, "alice", doc! { "unread": 5 }))), (3.into(), None)]);
}
