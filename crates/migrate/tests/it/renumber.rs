//! Rows that are counted within each chat.

use bson::{Bson, Document, RawBson, doc};
use onechat_migrate::{Blocked, MergeRules, Reference, plan, swept};

use crate::support::{at, chat_id, edits, group, messages, raw};

fn rules() -> MergeRules {
    let counted = Reference {
        sequence: Some("seq".to_owned()),
        time: Some("createdAt".to_owned()),
        unique: vec![vec!["seq".to_owned()]],
        ..messages()
    };
    MergeRules { references: vec![counted], ..MergeRules::default() }
}

fn row(id: i32, chat: u32, seq: impl Into<Bson>, seconds: i64) -> Document {
    doc! { "_id": id, "chatId": chat_id(chat), "sender": "ann", "text": format!("m{id}"), "seq": seq, "createdAt": at(seconds) }
}

#[test]
fn rows_of_losers_are_counted_on_in_the_order_of_time() {
    let rules = rules();
    let mut group = group(&rules, &[1, 2, 3].map(|number| doc! { "_id": chat_id(number) }));
    let rows = [
        row(1, 1, 1, 10),
        row(2, 1, 2, 40),
        row(3, 2, 1, 30),
        row(4, 2, 2_i64, 50),
        row(5, 3, 1.0, 20),
        row(6, 3, Bson::Null, 60),
    ];
    group.references[0].rows = rows.iter().map(raw).collect();
    let made = edits(&plan(&rules, &group).unwrap());
    let expected = [row(3, 1, 4, 30), row(4, 1, 5_i64, 50), row(5, 1, 3.0, 20), row(6, 1, Bson::Null, 60)];
    let after: Vec<Document> = made.into_iter().filter_map(|(_, after)| after).collect();
    assert_eq!(after, expected);
}

#[test]
fn a_late_row_gets_the_next_number() {
    let reference = &rules().references[0];
    let chat = |number| RawBson::ObjectId(chat_id(number));
    let (loser, survivor) = (chat(2), chat(1));
    let found = [row(1, 1, 7, 1), row(2, 2, 3, 2)].map(|row| raw(&row));
    let edits = swept(reference, (&loser, &loser), (&survivor, &survivor), &found, None).unwrap();
    let after = edits[0].after.clone().unwrap();
    assert_eq!((edits.len(), after), (1, raw(&row(2, 1, 8, 2))));
}

#[test]
fn a_number_that_its_type_cannot_hold_blocks_the_group() {
    let rules = rules();
    let mut group = group(&rules, &[1, 2].map(|number| doc! { "_id": chat_id(number) }));
    group.references[0].rows = [row(1, 1, i32::MAX, 1), row(2, 2, 1, 2)].map(|row| raw(&row)).to_vec();
    assert!(matches!(plan(&rules, &group), Err(Blocked::Rule { field, .. }) if field == "messages: seq"));
}
