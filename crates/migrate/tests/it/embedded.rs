//! Arrays embedded in chats.

use bson::{Bson, Document, doc};
use onechat_migrate::{EmbeddedArray, MergeRules};

use crate::support::{after, at, chats_with, conflicts, group, merged, planned, raw};

fn rules(id: Option<&str>, time: Option<&str>) -> MergeRules {
    let messages = EmbeddedArray {
        field: "messages".to_owned(),
        id: id.map(str::to_owned),
        time: time.map(str::to_owned),
        sender: None,
        ids_of: None,
    };
    MergeRules { embedded: vec![messages], ..MergeRules::default() }
}

fn chats(lists: &[Vec<Document>]) -> Vec<Document> {
    chats_with("messages", lists.iter().cloned().map(Bson::from))
}

fn ids(chat: &Document) -> Vec<Bson> {
    let messages = chat.get_array("messages").expect("an array");
    messages.iter().map(|message| message.as_document().expect("a sub-document")["id"].clone()).collect()
}

#[test]
fn they_are_in_the_order_of_time_and_without_one_behind_their_predecessor() {
    let chats = chats(&[
        vec![doc! { "id": 1, "at": at(1) }, doc! { "id": 2 }, doc! { "id": 5, "at": at(5) }],
        vec![doc! { "id": 0 }, doc! { "id": 3, "at": at(3) }, doc! { "id": 4, "at": null }],
    ]);
    let merged = merged(&rules(Some("id"), Some("at")), &chats);
    assert_eq!(ids(&merged), [0, 1, 2, 3, 4, 5].map(Bson::from));
}

#[test]
fn the_same_id_is_there_once_and_other_content_is_a_conflict() {
    let chats = chats(&[
        vec![doc! { "id": 1, "text": "a" }, doc! { "id": 2, "text": "b" }],
        vec![
            doc! { "id": 2, "text": "b" },
            doc! { "id": 1, "text": "c" },
            doc! { "id": 3 },
            doc! { "id": 3 },
        ],
    ]);
    let plan = planned(&rules(Some("id"), None), &chats);
    assert_eq!(ids(&after(&plan)), [1, 2, 3].map(Bson::from));
    assert_eq!(plan.repeats, [("messages".to_owned(), 3)]);
    assert_eq!(conflicts(&plan), [("messages", vec![doc! { "id": 1, "text": "c" }.into()])]);
}

#[test]
fn without_ids_what_one_chat_says_twice_was_said_twice() {
    let ok = doc! { "text": "ok" };
    let plan = planned(&rules(None, None), &chats(&[vec![ok.clone()], vec![ok.clone(), ok.clone()]]));
    assert_eq!(after(&plan).get_array("messages").unwrap().len(), 2);
    assert_eq!(plan.repeats, [("messages".to_owned(), 1)]);
}

#[test]
fn bare_texts_are_all_kept_the_survivors_first() {
    let lists: [Vec<Bson>; 2] =
        [vec!["hi".into(), "ok".into()], vec!["ok".into(), "ok".into(), "bye".into()]];
    let plan = planned(&rules(None, None), &chats_with("messages", lists.map(Bson::from)));
    let expected: Vec<Bson> = ["hi", "ok", "ok", "ok", "bye"].map(Bson::from).to_vec();
    assert_eq!(after(&plan).get_array("messages").unwrap(), &expected);
    assert!(plan.repeats.is_empty());
}

#[test]
fn a_list_to_which_nothing_is_added_stays_in_its_own_order() {
    let out_of_order = vec![doc! { "id": 2, "at": at(2) }, doc! { "id": 1, "at": at(1) }];
    let merged =
        merged(&rules(Some("id"), Some("at")), &chats(&[out_of_order.clone(), out_of_order[..1].to_vec()]));
    assert_eq!(ids(&merged), [2, 1].map(Bson::from));
}

#[test]
fn ids_of_rows_are_one_list_in_the_order_of_the_rows() {
    let named = |number: u32| {
        bson::oid::ObjectId::from_bytes([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, u8::try_from(number).unwrap()])
    };
    let row = |number: u32, seconds: i64| raw(&doc! { "_id": named(number), "at": at(seconds) });
    let pointer = |number: u32| doc! { "$ref": "rows", "$id": named(number) };
    let mut rules = rules(None, Some("at"));
    rules.embedded[0].ids_of = Some("rows".to_owned());
    assert!(rules.needs_listed());
    let rows = vec![row(1, 40), row(2, 10), row(3, 30), row(4, 20)];
    let lists: [Vec<Bson>; 3] = [
        vec![named(2).into(), named(1).into()],
        // The same row once, in whatever form it is named; 9 leads nowhere and stays.
        vec![named(4).to_hex().into(), named(2).to_hex().into(), named(9).into(), named(3).into()],
        vec![named(3).into()],
    ];
    let mut found = group(&rules, &chats_with("messages", lists.map(Bson::from)));
    found.listed = rows.clone();
    let plan = onechat_migrate::plan(&rules, &found).unwrap();
    let expected: Vec<Bson> =
        vec![named(9).into(), named(2).into(), named(4).to_hex().into(), named(3).into(), named(1).into()];
    assert_eq!(after(&plan).get_array("messages").unwrap(), &expected);
    assert!(plan.conflicts.is_empty());

    rules.embedded[0].id = Some("$id".to_owned());
    let lists = [vec![pointer(2), pointer(1)], vec![pointer(4), pointer(1)]];
    let mut found = group(&rules, &chats_with("messages", lists.map(Bson::from)));
    found.listed = rows;
    let made = after(&onechat_migrate::plan(&rules, &found).unwrap());
    assert_eq!(made.get_array("messages").unwrap(), &[2, 4, 1].map(|number| pointer(number).into()).to_vec());
}
