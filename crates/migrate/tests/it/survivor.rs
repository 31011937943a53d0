//! Who lives on.

use bson::{Document, doc};
use onechat_migrate::{Activity, EmbeddedArray, MergeRules, SurvivorPolicy, plan};

use crate::support::{at, blocked, chat_id, group, planned};

fn chats() -> [Document; 3] {
    [
        doc! { "_id": chat_id(30), "createdAt": at(10), "messages": [{ "at": at(50) }] },
        doc! { "_id": chat_id(20), "messages": [{ "at": at(40) }, { "at": at(41) }], "lastMessageAt": at(45) },
        doc! { "_id": chat_id(40), "createdAt": at(30), "messages": [], "lastMessageAt": at(60) },
    ]
}

fn rules(survivor: SurvivorPolicy) -> MergeRules {
    let messages = EmbeddedArray {
        field: "messages".to_owned(),
        id: None,
        ids_of: None,
        time: Some("at".to_owned()),
        sender: None,
    };
    MergeRules { survivor, embedded: vec![messages], ..MergeRules::default() }
}

#[test]
fn the_oldest_by_its_date_or_else_by_its_id() {
    let plan = planned(&rules(SurvivorPolicy::Oldest), &chats());
    assert_eq!(plan.survivor, chat_id(30).into());
    assert_eq!(plan.losers[0].id, chat_id(20).into());
    assert_eq!(plan.losers[1].id, chat_id(40).into());
}

#[test]
fn the_one_with_the_most_messages_here_and_elsewhere() {
    let rules = rules(SurvivorPolicy::MostMessages);
    assert_eq!(planned(&rules, &chats()).survivor, chat_id(20).into());
    let mut group = group(&rules, &chats());
    group.chats[2].activity = Activity { messages: 3, newest: None };
    assert_eq!(plan(&rules, &group).unwrap().survivor, chat_id(40).into());
}

#[test]
fn the_one_with_the_latest_message_wherever_that_is_told() {
    let rules = rules(SurvivorPolicy::MostRecent);
    assert_eq!(planned(&rules, &chats()).survivor, chat_id(40).into());
    let mut group = group(&rules, &chats());
    group.chats[1].activity = Activity { messages: 1, newest: Some(at(61)) };
    assert_eq!(plan(&rules, &group).unwrap().survivor, chat_id(20).into());
    group.chats[1].activity = Activity::default();
    group.chats.remove(2);
    assert_eq!(plan(&rules, &group).unwrap().survivor, chat_id(30).into());
}

#[test]
fn equal_chats_are_told_apart_by_their_ids_whatever_type_those_have() {
    let equal = [doc! { "_id": "b" }, doc! { "_id": "a" }, doc! { "_id": chat_id(0) }];
    for policy in [SurvivorPolicy::Oldest, SurvivorPolicy::MostMessages, SurvivorPolicy::MostRecent] {
        let plan = planned(&rules(policy), &equal);
        assert_eq!(plan.survivor, "a".into());
        assert_eq!(plan.losers[1].id, chat_id(0).into());
    }
}

#[test]
fn a_chat_without_an_id_for_clients_blocks_its_group() {
    let mut rules = rules(SurvivorPolicy::Oldest);
    rules.names.public_id = Some("publicId".to_owned());
    let chats = [doc! { "_id": chat_id(1), "publicId": "one" }, doc! { "_id": chat_id(2) }];
    let blocked = blocked(&rules, &chats);
    assert!(
        matches!(&blocked, onechat_migrate::Blocked::NoPublicId(id) if id.contains(&chat_id(2).to_hex()))
    );
}
