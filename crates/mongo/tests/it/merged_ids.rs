//! Merges of chats with ids of any type: rows follow in the form that each has, those that come late too; old ids answer; and
//! an undo gives everything back to the byte.

use mongodb::{
    IndexModel,
    bson::{Binary, Bson, Document, doc, oid::ObjectId, spec::BinarySubtype},
    options::IndexOptions,
};
use onechat_core::{
    ChatId, PageSize, Participant,
    ports::{ChatStore, FindingKind},
};
use onechat_migrate::{FieldNames, MergeRules, Uncontrolled};
use onechat_mongo::{
    ChatIdForm, Mapping, MessageFields, MongoChatStore, MongoMigrator, MongoOptions, RunKind, UndoTarget,
    UuidOrder, ValueForm,
};
use onechat_mongod::{shared_replica_set, shared_standalone};

use crate::{
    audit,
    old_data::{difference, dump, rules},
    support::{Place, World},
};

/// Two chats of ann and bob, the older one first: all the forms in which rows name each.
struct Way {
    chat_id: ChatIdForm,
    forms: [Vec<Bson>; 2],
    called: [String; 2],
}

fn uuid_text(number: u8) -> String {
    format!("00112233-4455-4677-8899-aabbccddee{number:02x}")
}

fn uuid(number: u8, is_legacy: bool) -> Bson {
    let digits = uuid_text(number).replace('-', "");
    let mut bytes: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("it answers")).collect();
    if is_legacy {
        bytes[..8].reverse();
        bytes[8..].reverse();
    }
    let subtype = if is_legacy { BinarySubtype::UuidOld } else { BinarySubtype::Uuid };
    Binary { subtype, bytes }.into()
}

fn ways() -> Vec<Way> {
    let of_uuids = |chat_id, forms: fn(u8) -> Vec<Bson>| Way {
        chat_id,
        forms: [forms(1), forms(2)],
        called: [uuid_text(1), uuid_text(2)],
    };
    let numbers = |number: i32| {
        vec![
            Bson::Int32(number),
            number.to_string().into(),
            Bson::Double(number.into()),
            Bson::Int64(number.into()),
        ]
    };
    let hex = |number: u8| ObjectId::from_bytes([number; 12]);
    vec![
        Way {
            chat_id: ChatIdForm::Text,
            forms: [vec!["dm_a_b".into()], vec!["dm_b_a".into()]],
            called: ["dm_a_b", "dm_b_a"].map(str::to_owned),
        },
        Way {
            chat_id: ChatIdForm::Text,
            forms: [1, 2].map(|number| vec![hex(number).to_hex().into(), hex(number).into()]),
            called: [1, 2].map(|number| hex(number).to_hex()),
        },
        of_uuids(ChatIdForm::UuidText, |number| vec![uuid_text(number).into(), uuid(number, false)]),
        of_uuids(ChatIdForm::Uuid, |number| vec![uuid(number, false), uuid_text(number).into()]),
        of_uuids(ChatIdForm::LegacyUuid(UuidOrder::Java), |number| {
            vec![uuid(number, true), uuid_text(number).into(), uuid(number, false)]
        }),
        Way {
            chat_id: ChatIdForm::Number,
            forms: [numbers(7), numbers(42)],
            called: ["7", "42"].map(str::to_owned),
        },
    ]
}

/// What names a chat in each of its forms: messages, a list of chats, a member's row.
fn rows(forms: &[Bson], of: &str) -> Vec<(&'static str, Document)> {
    let mut rows = Vec::new();
    for (number, form) in forms.iter().enumerate() {
        let name = format!("{of} {number}");
        rows.push(("messages", doc! { "_id": format!("m {name}"), "chatId": form.clone(), "sender": "ann", "text": &name, "clientMessageId": &name }));
        rows.push(("bookmarks", doc! { "_id": format!("b {name}"), "chats": [form.clone(), "elsewhere"] }));
        rows.push((
            "memberships",
            doc! { "_id": format!("s {name}"), "chat": { "id": form.clone() }, "user": &name, "unread": 1 },
        ));
    }
    rows
}

async fn insert(place: &Place, rows: Vec<(&str, Document)>) {
    for (collection, row) in rows {
        place.database.collection::<Document>(collection).insert_one(row).await.expect("it answers");
    }
}

async fn one(place: &Place, collection: &str, id: &str) -> Document {
    let rows = place.database.collection::<Document>(collection);
    rows.find_one(doc! { "_id": id }).await.expect("it answers").unwrap_or_else(|| panic!("{id} is gone"))
}

/// Every row of the merged chat names the living one in the form in which it named its own.
async fn follow(place: &Place, living: &[Bson], of: &str) {
    for (number, form) in living.iter().enumerate() {
        let name = format!("{of} {number}");
        assert_eq!(one(place, "messages", &format!("m {name}")).await["chatId"], *form);
        assert_eq!(
            one(place, "bookmarks", &format!("b {name}")).await.get_array("chats").expect("it answers")[0],
            *form
        );
        assert_eq!(
            one(place, "memberships", &format!("s {name}")).await.get_document("chat").expect("it answers")["id"],
            *form
        );
    }
}

async fn merges(place: Place, way: Way) {
    let Way { chat_id, forms: [living, ended], called: [id, old_id] } = way;
    let message_fields = MessageFields { chat_form: Some(ValueForm::Text), ..MessageFields::default() };
    let mapping = Mapping { chat_id: Some(chat_id), message_fields, ..Mapping::default() };
    let names = FieldNames { uuids: mapping.uuids(), ..FieldNames::default() };
    let options = MongoOptions { mapping, ..MongoOptions::default() };
    let chats = [&living[0], &ended[0]].map(|id| doc! { "_id": id.clone(), "participants": ["ann", "bob"] });
    place.chats().insert_many(chats).await.expect("it answers");
    insert(&place, rows(&living, "here")).await;
    insert(&place, rows(&ended, "there")).await;
    let unique = IndexOptions::builder().unique(true).build();
    let keys = doc! { "chatId": 1, "sender": 1, "clientMessageId": 1 };
    let unique = IndexModel::builder().keys(keys).options(unique).build();
    place.database.collection::<Document>("messages").create_index(unique).await.expect("it answers");
    let before = dump(&place.database).await;

    let rules = MergeRules { names, ..rules() };
    let migrator = MongoMigrator::connect(&place.url, &options, rules).await.expect("it answers");
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    migrator.take_inventory(&lease, &run, &Uncontrolled).await.expect("it answers");
    assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 1, "{old_id}");
    follow(&place, &living, "here").await;
    follow(&place, &living, "there").await;
    let account = migrator.account(&run, &Uncontrolled).await.expect("it answers");
    assert!(account.holds, "{old_id}: {account:?}");

    // An old backend still writes to the chat that has ended.
    insert(&place, rows(&ended, "late")).await;
    let late = 3 * ended.len() as u64;
    assert_eq!(migrator.unswept(&Uncontrolled).await.expect("it answers"), late, "{old_id}");
    assert_eq!(migrator.sweep(&lease, &Uncontrolled).await.expect("it answers").moved, late, "{old_id}");
    follow(&place, &living, "late").await;
    assert!(migrator.account(&run, &Uncontrolled).await.expect("it answers").holds, "{old_id}");

    is_served(&place, &options, [&id, &old_id], living.len() + 2 * ended.len()).await;
    let target = UndoTarget::Run(run);
    let undone = migrator.undo(Some(&lease), &target, false, &Uncontrolled).await.expect("it answers");
    assert_eq!(undone.conflicts, [""; 0], "{old_id}");
    for collection in ["messages", "bookmarks", "memberships"] {
        let rows = place.database.collection::<Document>(collection);
        rows.delete_many(doc! { "_id": { "$regex": "late" } }).await.expect("it answers");
    }
    assert_eq!(difference(&before, &dump(&place.database).await), None, "{old_id}");

    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 1, "{old_id}");
    let (store, world) =
        (MongoChatStore::connect(&place.url, options).await.expect("it answers"), World::default());
    let old = ChatId::new(old_id).expect("it answers");
    let sent = store
        .send(world.message(&old, "bob", "to the old one"))
        .await
        .expect("it answers")
        .expect("it answers");
    assert_eq!((sent.created, sent.message.chat.as_str()), (true, &*id));
    let again =
        store.send(world.message(&old, "ann", "there 0")).await.expect("it answers").expect("it answers");
    assert_eq!(
        (again.created, again.message.id.as_str()),
        (false, "m there 0"),
        "the first one is in the living chat"
    );
}

/// The old id answers with the living chat, whose messages are all there.
async fn is_served(place: &Place, options: &MongoOptions, [id, old_id]: [&str; 2], messages: usize) {
    let report = audit::audit_with(place, options).await;
    for kind in ["orphaned_message", "other_id_form", "dangling_alias", "alias_of_live_chat", "unfound_id"] {
        let kind = FindingKind::of_code(kind).expect("it answers");
        assert_eq!(audit::count(&report, kind), 0, "{old_id}: {kind:?}");
    }
    let store = MongoChatStore::connect(&place.url, options.clone()).await.expect("it answers");
    let ann = Participant::new("ann").expect("it answers");
    for called in [id, old_id] {
        let called = ChatId::new(called).expect("it answers");
        let opened = store.chat_for(&called, &ann).await.expect("it answers").expect("ann is in it");
        assert_eq!(opened.id.as_str(), id);
        let page =
            store.messages(&called, PageSize::new(100).expect("it answers"), None).await.expect("it answers");
        assert_eq!(page.items.len(), messages, "{called}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_follow_whatever_the_type_of_ids_and_all_of_it_is_undone() {
    for way in ways() {
        merges(Place::on(shared_standalone().await).await, way).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_follow_whatever_the_type_of_ids_on_a_replica_set() {
    for way in ways() {
        merges(Place::on(shared_replica_set().await).await, way).await;
    }
}
