//! The survivor's document.

use bson::{Bson, DateTime, Document, doc};
use onechat_migrate::{Blocked, Differences, FieldRule, MergeRules, SurvivorPolicy};

use crate::support::{after, at, blocked, chat_id, chats_with, merged, planned, unexplained};

fn with(rule: FieldRule) -> MergeRules {
    MergeRules { fields: [("count".to_owned(), rule)].into(), ..MergeRules::default() }
}

fn with_rules(rules: &[(&str, FieldRule)]) -> MergeRules {
    let fields = rules.iter().map(|(field, rule)| ((*field).to_owned(), *rule));
    MergeRules { fields: fields.collect(), ..MergeRules::default() }
}

fn counts(values: &[Bson]) -> Vec<Document> {
    chats_with("count", values.to_vec())
}

fn by(rule: FieldRule, values: &[Bson]) -> Bson {
    merged(&with(rule), &counts(values))["count"].clone()
}

#[test]
fn the_survivors_fields_stay_in_their_order_and_a_losers_follow() {
    let rules = with_rules(&[
        ("title", FieldRule::Survivor),
        ("topic", FieldRule::Survivor),
        ("color", FieldRule::Survivor),
    ]);
    let chats = [
        doc! { "_id": chat_id(1), "participantsKey": "wrong", "title": "a", "__v": 3, "participants": ["bob", "alice"] },
        doc! { "_id": chat_id(2), "__v": 9, "topic": "b", "participants": ["alice", "bob", "bob"] },
        doc! { "_id": chat_id(3), "topic": "b", "color": "red" },
    ];
    let plan = planned(&rules, &chats);
    let expected = doc! {
        "_id": chat_id(1), "participantsKey": "alice_bob", "title": "a", "__v": 3, "participants": ["bob", "alice"],
        "topic": "b", "color": "red",
    };
    assert_eq!(after(&plan), expected);
    assert_eq!(after(&plan).keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(plan.conflicts.is_empty());
}

#[test]
fn what_differs_without_a_rule_blocks_the_group_and_null_is_absence() {
    let chats = [
        doc! { "_id": chat_id(1), "title": "a", "topic": null, "kind": "direct", "n": 1, "tags": ["x"], "__v": 1 },
        doc! { "_id": chat_id(2), "title": "b", "kind": "direct", "n": 1.0, "tags": ["x", "y"], "gone": null },
        doc! { "_id": chat_id(3), "title": "a", "topic": null, "kind": "direct", "n": 1_i64, "listing": 7, "tags": ["x"] },
    ];
    assert_eq!(unexplained(&MergeRules::default(), &chats), ["title", "tags", "listing"]);
    let Blocked::Unexplained(differences) = blocked(&MergeRules::default(), &chats) else { panic!() };
    let values: Vec<&str> = differences[2].values.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["absent", "absent", "7"]);
    let rules = with_rules(&[
        ("title", FieldRule::Survivor),
        ("tags", FieldRule::Union),
        ("listing", FieldRule::Max),
    ]);
    let merged = merged(&rules, &chats);
    assert_eq!(merged["listing"], 7.into());
    assert_eq!((&merged["topic"], &merged["gone"]), (&Bson::Null, &Bson::Null));
}

#[test]
fn all_differences_of_all_groups_are_asked_about_at_once() {
    let mut all = Differences::default();
    for number in 0..5 {
        let chats = [
            doc! { "_id": chat_id(1), "listing": number, "archived": true },
            doc! { "_id": chat_id(2), "listing": 9, "users": [1] },
        ];
        let Blocked::Unexplained(of_group) = blocked(&MergeRules::default(), &chats) else { panic!() };
        all.add(of_group);
    }
    assert_eq!(all.groups, 5);
    let fields: Vec<_> =
        all.fields.iter().map(|one| (one.field.as_str(), one.groups, one.examples.len())).collect();
    assert_eq!(fields, [("archived", 5, 3), ("listing", 5, 3), ("users", 5, 3)]);
    let words = all.to_string();
    for part in [
        "listing: differs in 5 groups",
        "archived = \"?\"   # one of: all, survivor",
        "context = \"listing\"",
        "only = '",
        "[[migrate.embedded]]",
        "absent in ObjectId(",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
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
fn times_are_compared_in_any_form_and_what_is_none_is_asked_about() {
    let chats =
        [doc! { "_id": chat_id(1), "createdAt": "then" }, doc! { "_id": chat_id(2), "createdAt": at(2) }];
    assert_eq!(unexplained(&MergeRules::default(), &chats), ["createdAt"]);
    let mut chats = vec![
        doc! { "_id": chat_id(1_677_787_306), "createdAt": 1_677_787_306_000_i64, "updatedAt": "2023-03-05T00:00:00.000Z" },
        doc! { "_id": chat_id(1_677_787_309), "createdAt": 1_677_787_300, "updatedAt": at(1_677_790_000) },
    ];
    let earlier = merged(&MergeRules::default(), &chats);
    assert_eq!(earlier["createdAt"], 1_677_787_300.into());
    assert_eq!(earlier["updatedAt"], "2023-03-05T00:00:00.000Z".into());
    // Of a chat that has no time but its ObjectId's, in the form of another.
    chats.push(doc! { "_id": chat_id(1_677_787_200) });
    let rules = MergeRules { survivor: SurvivorPolicy::MostRecent, ..MergeRules::default() };
    chats[0].insert("lastMessageAt", "2023-03-05T00:00:00.000Z");
    assert_eq!(merged(&rules, &chats)["createdAt"], 1_677_787_200_000_i64.into());
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
fn what_hides_or_ends_a_chat_stays_only_if_all_chats_have_it() {
    let all = |values: [Option<Bson>; 3]| {
        let chats = (1..).zip(values).map(|(number, value)| {
            let mut chat = doc! { "_id": chat_id(number), "x": 1 };
            chat.extend(value.map(|value| ("count".to_owned(), value)));
            chat
        });
        merged(&with(FieldRule::All), &chats.collect::<Vec<_>>()).remove("count")
    };
    let some = |value: Bson| Some(value);
    let (yes, no) = (|| Some(Bson::from(true)), || Some(Bson::from(false)));
    assert_eq!(all([yes(), yes(), yes()]), yes());
    assert_eq!(all([yes(), no(), yes()]), no());
    assert_eq!(all([yes(), None, no()]), None, "as in the first chat in which it is not so");
    assert_eq!(all([None, yes(), yes()]), None);
    assert_eq!(all([yes(), some(Bson::Null), yes()]), some(Bson::Null));
    // An end comes with the last one, and never to a chat that lasts.
    assert_eq!(all([1, 3, 2].map(|day| some(at(day).into()))), some(at(3).into()));
    assert_eq!(all([some(at(1).into()), None, some(at(2).into())]), None);
    assert_eq!(all([60, 90, 30].map(|seconds| some(seconds.into()))), some(90.into()));
    // Who has left all of them, in whatever form they are named.
    let (who, hex) = (chat_id(7), chat_id(7).to_hex());
    let lists: [Vec<Bson>; 3] = [
        vec!["a".into(), who.into(), "b".into()],
        vec![hex.into(), "a".into()],
        vec![who.into(), "c".into(), "a".into()],
    ];
    assert_eq!(all(lists.map(|list| some(list.into()))), some(vec![Bson::from("a"), who.into()].into()));
    let maps = [
        doc! { "a": true, "b": at(1), "c": true },
        doc! { "b": at(2), "a": true },
        doc! { "a": true, "b": at(1), "c": false },
    ];
    assert_eq!(all(maps.map(|map| some(map.into()))), some(doc! { "a": true, "b": at(2) }.into()));
    let states = ["open", "closed"].map(Bson::from);
    assert!(matches!(blocked(&with(FieldRule::All), &counts(&states)), Blocked::Rule { .. }));
}

#[test]
fn a_rule_reaches_into_sub_documents() {
    let rules = MergeRules {
        fields: [("stats.messages".to_owned(), FieldRule::Sum)].into(),
        ..MergeRules::default()
    };
    let chats = [
        doc! { "_id": chat_id(1), "stats": { "messages": 2, "color": "red" } },
        doc! { "_id": chat_id(2), "stats": { "messages": 3, "color": "red" } },
    ];
    let plan = planned(&rules, &chats);
    assert_eq!(after(&plan).get_document("stats").unwrap(), &doc! { "messages": 5, "color": "red" });
    // A rule for a part explains no other one.
    let mut chats = chats;
    chats[1].insert("stats", doc! { "messages": 3, "color": "blue" });
    assert_eq!(unexplained(&rules, &chats), ["stats.color"]);
    chats[1].remove("stats");
    assert_eq!(unexplained(&rules, &chats), ["stats.color"]);
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
        blocked(&with_rules(&[("a", FieldRule::Max), ("b", FieldRule::Max)]), &[chat(1, "a"), chat(2, "b")]),
        Blocked::TooLarge { bytes, max: 16_777_216 } if bytes > 18 << 20
    ));
}
