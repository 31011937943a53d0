//! State per participant, embedded in chats.

use bson::{Bson, doc, oid::ObjectId};
use onechat_migrate::{
    Blocked, EmbeddedArray, FieldRule, MergeRules, Reference, StateField, StateForm, plan,
};

use crate::support::{
    after, at, blocked, chat_id, chats_with, group, merged, message, messages, planned, unexplained,
};

fn state(field: &str, form: StateForm, rules: &[(&str, FieldRule)], read_until: Option<&str>) -> MergeRules {
    let state = StateField {
        field: field.to_owned(),
        form,
        rules: rules.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect(),
        read_until: read_until.map(str::to_owned),
    };
    MergeRules { state: vec![state], ..MergeRules::default() }
}

fn sent(sender: &str, seconds: i64) -> bson::RawDocumentBuf {
    message(ObjectId::new(), 0, sender, "hi", seconds)
}

fn array() -> StateForm {
    StateForm::Array { participant: "userId".to_owned() }
}

#[test]
fn counters_in_a_map_are_added_up() {
    let rules = state("unread", StateForm::Map, &[("", FieldRule::Sum)], None);
    let states = vec![doc! { "alice": 3, "bob": 0 }.into(), doc! { "carol": 1, "alice": 2 }.into()];
    let merged = merged(&rules, &chats_with("unread", states));
    assert_eq!(merged.get_document("unread").unwrap(), &doc! { "alice": 5, "bob": 0, "carol": 1 });
}

#[test]
fn sub_documents_in_a_map_follow_their_rules_and_the_rest_is_asked_about() {
    let mut rules =
        state("state", StateForm::Map, &[("unread", FieldRule::Sum), ("read", FieldRule::Max)], None);
    let states = vec![
        doc! { "alice": { "unread": 1, "read": at(5), "muted": true } }.into(),
        doc! { "alice": { "unread": 2, "read": at(4), "muted": false, "pinned": true } }.into(),
    ];
    let chats = chats_with("state", states);
    assert_eq!(unexplained(&rules, &chats), ["state.muted", "state.pinned"]);
    rules.state[0].rules.insert("muted".to_owned(), FieldRule::All);
    rules.state[0].rules.insert("pinned".to_owned(), FieldRule::Survivor);
    let expected = doc! { "alice": { "unread": 3, "read": at(5), "muted": false, "pinned": true } };
    assert_eq!(merged(&rules, &chats).get_document("state").unwrap(), &expected);
    // Who has nothing in one of the chats is not muted there.
    let mut chats = chats;
    chats[1].remove("state");
    let expected = doc! { "alice": { "unread": 1, "read": at(5) } };
    assert_eq!(merged(&rules, &chats).get_document("state").unwrap(), &expected);
}

#[test]
fn elements_of_an_array_belong_to_who_they_name_in_either_form() {
    let rules = state("members", array(), &[("unread", FieldRule::Sum)], None);
    let (hex, id) = (chat_id(99).to_hex(), chat_id(99));
    let states = vec![
        vec![doc! { "_id": 1, "userId": &hex, "unread": 1 }, doc! { "system": true }].into(),
        vec![
            doc! { "system": true },
            doc! { "userId": "bob", "unread": 7 },
            doc! { "_id": 2, "userId": id, "unread": 2 },
        ]
        .into(),
    ];
    let plan = planned(&rules, &chats_with("members", states));
    let expected: Bson = vec![
        doc! { "_id": 1, "userId": &hex, "unread": 3 },
        doc! { "system": true },
        doc! { "userId": "bob", "unread": 7 },
    ]
    .into();
    assert_eq!(after(&plan)["members"], expected);
    assert!(plan.conflicts.is_empty());
}

#[test]
fn participants_that_are_sub_documents_need_rules_for_what_differs_in_them() {
    let mut rules = MergeRules::default();
    rules.names.participant_path = Some("user._id".to_owned());
    let states = vec![
        vec![
            doc! { "user": { "_id": "alice", "name": "A" }, "unread": 1, "isHidden": true, "_id": 1 },
            doc! { "user": { "_id": "bob" }, "unread": 0, "isHidden": true },
        ]
        .into(),
        vec![
            doc! { "user": { "_id": "bob" }, "unread": 4, "isHidden": true, "readAt": at(3) },
            doc! { "user": { "_id": "alice", "name": "B" }, "unread": 2, "_id": 2 },
        ]
        .into(),
    ];
    let chats = chats_with("participants", states);
    assert_eq!(
        unexplained(&rules, &chats),
        ["participants.user.name", "participants.unread", "participants.isHidden", "participants.readAt"]
    );
    rules.state = vec![StateField {
        field: "participants".to_owned(),
        form: StateForm::Array { participant: "user._id".to_owned() },
        rules: [
            ("user.name".to_owned(), FieldRule::Survivor),
            ("unread".to_owned(), FieldRule::Sum),
            ("isHidden".to_owned(), FieldRule::All),
            ("readAt".to_owned(), FieldRule::Max),
        ]
        .into(),
        read_until: None,
    }];
    let expected: Bson = vec![
        doc! { "user": { "_id": "alice", "name": "A" }, "unread": 3, "_id": 1 },
        doc! { "user": { "_id": "bob" }, "unread": 4, "isHidden": true, "readAt": at(3) },
    ]
    .into();
    assert_eq!(merged(&rules, &chats)["participants"], expected);
}

#[test]
fn unread_is_counted_anew_from_messages_here_and_elsewhere() {
    let of_members = [("unread", FieldRule::Recompute), ("read", FieldRule::Max)];
    let mut rules = state("members", array(), &of_members, Some("read"));
    rules.references = vec![messages()];
    rules.embedded = vec![EmbeddedArray {
        field: "messages".to_owned(),
        id: Some("id".to_owned()),
        ids_of: None,
        time: Some("at".to_owned()),
        sender: Some("from".to_owned()),
    }];
    assert!(rules.needs_messages());
    let members = |alice, bob| -> Bson {
        vec![
            doc! { "userId": "alice", "unread": 9_i64, "read": at(alice) },
            doc! { "userId": "bob", "unread": 9, "read": at(bob) },
        ]
        .into()
    };
    let mut chats = chats_with("members", vec![members(10, 3), members(12, 1)]);
    chats[0].insert(
        "messages",
        [doc! { "id": 1, "at": at(11), "from": "bob" }, doc! { "id": 2, "at": at(13), "from": "bob" }],
    );
    chats[1].insert(
        "messages",
        [doc! { "id": 2, "at": at(13), "from": "bob" }, doc! { "id": 3, "at": at(14), "from": "alice" }],
    );
    let mut group = group(&rules, &chats);
    group.references[0].messages =
        [("bob", 20), ("alice", 2), ("alice", 4)].map(|(who, at)| sent(who, at)).to_vec();
    let after = after(&plan(&rules, &group).unwrap());
    let unread: Vec<&Bson> = after
        .get_array("members")
        .unwrap()
        .iter()
        .map(|member| &member.as_document().unwrap()["unread"])
        .collect();
    assert_eq!(unread, [&Bson::Int64(2), &Bson::Int32(2)]);
}

#[test]
fn a_counter_in_a_map_is_counted_anew_by_a_map_of_read_positions() {
    let mut rules = state("unread", StateForm::Map, &[("", FieldRule::Recompute)], Some("readAt"));
    rules.references = vec![Reference { ..messages() }];
    rules.fields =
        [("readAt.alice".to_owned(), FieldRule::Max), ("readAt.bob".to_owned(), FieldRule::Max)].into();
    let mut chats =
        chats_with("unread", vec![doc! { "alice": 5, "bob": 5 }.into(), doc! { "alice": 5 }.into()]);
    chats[0].insert("readAt", doc! { "alice": at(3) });
    chats[1].insert("readAt", doc! { "alice": at(6), "bob": at(1) });
    let mut group = group(&rules, &chats);
    group.references[0].messages =
        [("bob", 5), ("bob", 7), ("alice", 8)].map(|(who, at)| sent(who, at)).to_vec();
    let after = after(&plan(&rules, &group).unwrap());
    assert_eq!(after.get_document("unread").unwrap(), &doc! { "alice": 1, "bob": 1 });
    assert_eq!(after.get_document("readAt").unwrap(), &doc! { "alice": at(6), "bob": at(1) });
}

#[test]
fn state_of_another_shape_blocks_the_group() {
    for (form, wrong) in [(StateForm::Map, Bson::from(3)), (array(), Bson::from(doc! { "alice": 1 }))] {
        let rules = state("unread", form, &[("", FieldRule::Sum)], None);
        let blocked = blocked(&rules, &chats_with("unread", vec![wrong.clone(), wrong]));
        assert!(matches!(blocked, Blocked::Rule { field, .. } if field == "unread"));
    }
}
