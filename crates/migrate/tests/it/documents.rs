//! The survivor's document.

use bson::{Bson, DateTime, Document, doc};
use onechat_migrate::{Blocked, FieldRule, MergeRules, SurvivorPolicy};

use crate::support::{after, at, blocked, chat_id, chats_with, conflicts, merged, planned};

fn with(rule: FieldRule) -> MergeRules {
    MergeRules { fields: [("count".to_owned(), rule)].into(), ..MergeRules::default() }
}

fn counts(values: &[Bson]) -> Vec<Document> {
    chats_with("count", values.to_vec())
}

fn by(rule: FieldRule, values: &[Bson]) -> Bson {
    merged(&with(rule), &counts(values))["count"].clone()
}

#[test]
fn the_survivors_fields_stay_in_their_order_and_a_losers_follow() {
    let chats = [
        doc! { "_id": chat_id(1), "participantsKey": "wrong", "title": "a", "__v": 3, "participants": ["bob", "alice"] },
        doc! { "_id": chat_id(2), "__v": 9, "topic": "b", "participants": ["alice", "bob", "bob"] },
        doc! { "_id": chat_id(3), "topic": "b", "color": "red" },
    ];
    let plan = planned(&MergeRules::default(), &chats);
    let expected = doc! {
        "_id": chat_id(1), "participantsKey": "alice_bob", "title": "a", "__v": 3, "participants": ["bob", "alice"],
        "topic": "b", "color": "red",
    };
    assert_eq!(after(&plan), expected);
    assert_eq!(after(&plan).keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(plan.conflicts.is_empty());
}

#[test]
fn values_that_differ_are_conflicts_and_null_is_no_value() {
    let chats = [
        doc! { "_id": chat_id(1), "title": "a", "topic": null },
        doc! { "_id": chat_id(2), "title": "b", "topic": "t" },
        doc! { "_id": chat_id(3), "title": "a", "topic": null },
    ];
    let plan = planned(&MergeRules::default(), &chats);
    assert_eq!(after(&plan).get_str("topic").unwrap(), "t");
    assert_eq!(conflicts(&plan), [("title", vec!["b".into()])]);
    assert_eq!(plan.conflicts[0].dropped[0].1, chat_id(2).into());
}

#[test]
fn a_chat_was_made_when_the_first_of_them_was() {
    let mut rules = MergeRules { survivor: SurvivorPolicy::MostRecent, ..MergeRules::default() };
    let chats = [
        doc! { "_id": chat_id(50), "createdAt": at(50), "updatedAt": at(51), "lastMessageAt": at(60) },
        doc! { "_id": chat_id(40), "updatedAt": at(70) },
    ];
    let merged_chat = merged(&rules, &chats);
    assert_eq!(merged_chat.get_datetime("createdAt").unwrap(), &at(40));
    assert_eq!(merged_chat.get_datetime("updatedAt").unwrap(), &at(70));
    assert_eq!(merged_chat.get_datetime("lastMessageAt").unwrap(), &at(60));
    // What its own id tells needs no date, least of all a later one.
    rules.survivor = SurvivorPolicy::Oldest;
    assert!(!merged(&rules, &chats).contains_key("createdAt"));
    assert!(
        !merged(&rules, &[doc! { "_id": chat_id(1) }, doc! { "_id": chat_id(2) }])
            .contains_key("lastMessageAt")
    );
}

#[test]
fn a_date_that_is_none_is_kept_and_reported() {
    let chats =
        [doc! { "_id": chat_id(1), "createdAt": "then" }, doc! { "_id": chat_id(2), "createdAt": at(2) }];
    let plan = planned(&MergeRules::default(), &chats);
    assert_eq!(after(&plan).get_str("createdAt").unwrap(), "then");
    assert_eq!(conflicts(&plan), [("createdAt", vec![at(2).into()])]);
}

#[test]
fn max_and_min_compare_values_of_one_kind() {
    assert_eq!(by(FieldRule::Max, &[1.into(), 3_i64.into(), 2.5.into()]), 3_i64.into());
    assert_eq!(by(FieldRule::Min, &["b".into(), "a".into()]), "a".into());
    assert_eq!(by(FieldRule::Max, &[at(1).into(), at(2).into()]), at(2).into());
    let blocked = blocked(&with(FieldRule::Max), &counts(&[1.into(), "2".into()]));
    assert!(matches!(blocked, Blocked::Rule { field, .. } if field == "count"));
}

#[test]
fn a_sum_has_the_widest_type_and_must_fit_it() {
    assert_eq!(by(FieldRule::Sum, &[1.into(), 2.into()]), 3.into());
    assert_eq!(by(FieldRule::Sum, &[1.into(), 2_i64.into()]), 3_i64.into());
    assert_eq!(by(FieldRule::Sum, &[1.into(), 2_i64.into(), 0.5.into()]), 3.5.into());
    for values in [[i32::MAX.into(), 1.into()], [i64::MAX.into(), 1.into()], [1.into(), "1".into()]] {
        assert!(
            matches!(blocked(&with(FieldRule::Sum), &counts(&values)), Blocked::Rule { .. }),
            "{values:?}"
        );
    }
}

#[test]
fn a_union_has_each_element_once() {
    let union = by(FieldRule::Union, &[vec!["a", "b"].into(), vec!["c", "a"].into()]);
    assert_eq!(union, vec!["a", "b", "c"].into());
    assert!(matches!(blocked(&with(FieldRule::Union), &counts(&[1.into(), 2.into()])), Blocked::Rule { .. }));
}

#[test]
fn the_survivors_value_or_that_of_who_was_active_last_without_a_report() {
    let mut chats = counts(&["a".into(), "b".into(), "c".into()]);
    let plan = planned(&with(FieldRule::Survivor), &chats);
    assert_eq!((after(&plan).get_str("count").unwrap(), plan.conflicts.len()), ("a", 0));
    chats[1].insert("lastMessageAt", at(5));
    let plan = planned(&with(FieldRule::Recompute), &chats);
    assert_eq!((after(&plan).get_str("count").unwrap(), plan.conflicts.len()), ("b", 0));
}

#[test]
fn a_rule_reaches_into_sub_documents() {
    let rules = MergeRules {
        fields: [("stats.messages".to_owned(), FieldRule::Sum)].into(),
        ..MergeRules::default()
    };
    let chats = [
        doc! { "_id": chat_id(1), "stats": { "messages": 2, "color": "red" } },
        doc! { "_id": chat_id(2), "stats": { "messages": 3, "color": "blue" } },
    ];
    let plan = planned(&rules, &chats);
    assert_eq!(after(&plan).get_document("stats").unwrap(), &doc! { "messages": 5, "color": "red" });
    assert_eq!(conflicts(&plan), [("stats.color", vec!["blue".into()])]);
}

#[test]
fn a_group_of_one_gets_its_key_and_nothing_else() {
    let rules = with(FieldRule::Union);
    let mut chat = doc! { "_id": chat_id(1), "count": ["a", "a"], "createdAt": DateTime::from_millis(1) };
    let plan = planned(&rules, &[chat.clone()]);
    chat.insert("participantsKey", "alice_bob");
    assert_eq!(after(&plan), chat);
    assert!(planned(&rules, &[chat]).changes_nothing());
}

#[test]
fn a_chat_that_would_be_too_large_blocks_its_group() {
    let chat = |number: u32, field: &str| doc! { "_id": chat_id(number), field: "x".repeat(9 << 20) };
    assert!(matches!(
        blocked(&MergeRules::default(), &[chat(1, "a"), chat(2, "b")]),
        Blocked::TooLarge { bytes, max: 16_777_216 } if bytes > 18 << 20
    ));
}
