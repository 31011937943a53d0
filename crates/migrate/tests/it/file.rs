//! Plans in files: readable, and the same when they come back.

use bson::{Bson, Document, RawDocumentBuf, doc, raw::cstr, spec::BinarySubtype::Generic};
use onechat_migrate::{EmbeddedArray, FieldRule, GroupPlan, MergeRules, plan};

use crate::support::{chat_id, group, planned, raw};

fn back(plan: &GroupPlan) -> (String, GroupPlan) {
    let line = serde_json::to_string(plan).expect("a plan can be written");
    assert!(!line.contains('\n'));
    let back = serde_json::from_str(&line).expect("a plan can be read");
    (line, back)
}

#[test]
fn a_document_is_written_as_canonical_extended_json_in_its_order() {
    let chats = [
        doc! { "_id": chat_id(1), "z": 1_i64, "a": { "y": 2.5, "b": [1, null, true] }, "title": "x" },
        doc! { "_id": chat_id(2), "title": "y" },
    ];
    let rules = ["z", "a", "title"].map(|field| (field.to_owned(), FieldRule::Survivor)).into();
    let plan = planned(&MergeRules { fields: rules, ..MergeRules::default() }, &chats);
    let (line, back) = back(&plan);
    assert_eq!(back, plan);
    let expected = r#"{"_id":{"$oid":"000000010707070707070707"},"z":{"$numberLong":"1"},"a":{"y":{"$numberDouble":"2.5"},"b":[{"$numberInt":"1"},null,true]},"title":"x","participantsKey":"alice_bob"}"#;
    assert!(line.contains(expected), "{line}");
}

#[test]
fn what_json_cannot_say_comes_back_all_the_same() {
    let mut twice = RawDocumentBuf::new();
    twice.append(cstr!("_id"), chat_id(1));
    twice.append(cstr!("x"), 1);
    twice.append(cstr!("x"), 2);
    let odd = [
        twice,
        raw(&doc! { "_id": chat_id(1), "o": { "$oid": "no" } }),
        raw(&doc! { "_id": chat_id(1), "o": { "$numberInt": "1" } }),
        raw(&doc! { "_id": chat_id(1), "nan": f64::from_bits(0x7ff8_0000_0000_0007) }),
    ];
    for odd in odd {
        let rules = MergeRules::default();
        let mut group = group(&rules, &[Document::new()]);
        group.chats[0].document = odd;
        let plan = plan(&rules, &group).unwrap();
        let (line, back) = back(&plan);
        assert!(line.contains(r#""$readable":"{"#), "{line}");
        assert_eq!(back, plan);
    }
}

/// Two with one id differ only in what the journal keeps.
fn with_notes() -> MergeRules {
    let notes = EmbeddedArray {
        field: "notes".to_owned(),
        id: Some("id".to_owned()),
        ids_of: None,
        time: None,
        sender: None,
    };
    MergeRules { embedded: vec![notes], ..MergeRules::default() }
}

#[test]
fn conflicts_of_every_type_come_back() {
    let values: Vec<Bson> = vec![
        bson::Timestamp { time: 1, increment: 2 }.into(),
        bson::Regex { pattern: "a".try_into().unwrap(), options: "i".try_into().unwrap() }.into(),
        bson::Binary { subtype: Generic, bytes: vec![1, 2] }.into(),
        Bson::MinKey,
        Bson::JavaScriptCode("x".to_owned()),
        "1.50".parse::<bson::Decimal128>().unwrap().into(),
        doc! { "$numberInt": "x" }.into(),
        doc! { "$bson": bson::Binary { subtype: Generic, bytes: vec![1] }, "$readable": "" }.into(),
    ];
    let chat = |number, value| doc! { "_id": chat_id(number), "notes": [{ "id": 1, "v": value }] };
    let mut chats = vec![chat(0, true.into())];
    chats.extend(values.into_iter().zip(1..).map(|(value, number)| chat(number, value)));
    let plan = planned(&with_notes(), &chats);
    assert_eq!(plan.conflicts.len(), 8);
    assert_eq!(back(&plan).1, plan);
}

#[test]
fn a_group_that_has_changed_has_another_fingerprint() {
    let rules = MergeRules::default();
    let chats = [doc! { "_id": chat_id(1) }, doc! { "_id": chat_id(2) }];
    let plan = planned(&rules, &chats);
    assert!(plan.is_as(&planned(&rules, &chats)));
    let mut changed = chats.clone();
    changed[1].insert("updatedAt", bson::DateTime::MIN);
    assert!(!plan.is_as(&planned(&rules, &changed)));
    assert!(!plan.is_as(&planned(&rules, &chats[..1])));
    assert!(raw(&chats[0]) != raw(&changed[1]));
}

#[test]
fn a_plan_prints_in_a_few_lines() {
    let note = |text: &str| vec![doc! { "id": 1, "text": text }];
    let chats =
        [doc! { "_id": chat_id(1), "notes": note("x") }, doc! { "_id": chat_id(2), "notes": note("y") }];
    let expected = "alice, bob\n  \
        stays  000000010707070707070707 (changed, key \"alice_bob\")\n  \
        ends   000000020707070707070707\n  \
        unites notes: 1 were there twice\n  \
        keeps  notes = { \"id\": 1, \"text\": \"x\" }, not { \"id\": 1, \"text\": \"y\" } of \
        ObjectId(\"000000020707070707070707\")\n";
    assert_eq!(planned(&with_notes(), &chats).to_string(), expected);
}
