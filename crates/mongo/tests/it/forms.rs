//! People and contexts in every form, in arrays and in fields of their own: old chats are found, listed and written to, and
//! new ones are written as the old ones are.

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use onechat_core::{
    ChatId, ChatIdentity, Context, OutcomeKind, PageSize, Participant, ResolveError, StoreError,
    ports::ChatStore,
};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{
    ChatFields, Mapping, MessageFields, MongoChatStore, MongoOptions, OpenError, Order, UuidOrder, ValueForm,
};

use crate::support::{Place, World, chat_of};

/// How people are in a layout, with three of them as they are outside.
struct Way {
    mapping: Mapping,
    people: [&'static str; 3],
    /// A person as documents have it.
    form: fn(&str) -> Bson,
    /// The sender's field of a message.
    sender: fn(&Document) -> Option<&Bson>,
}

const IDS: [&str; 3] = ["5f5e10000000000d00000001", "5f5e10000000000d00000002", "5f5e10000000000d00000003"];
const UUIDS: [&str; 3] = [
    "00112233-4455-6677-8899-aabbccddeef1",
    "00112233-4455-6677-8899-aabbccddeef2",
    "00112233-4455-6677-8899-aabbccddeef3",
];

fn id(text: &str) -> Bson {
    ObjectId::parse_str(text).expect("it is one").into()
}

/// The bytes of a UUID with its digits in another order, as legacy drivers write them.
fn uuid(text: &str, order: [usize; 16]) -> Bson {
    let digits = text.replace('-', "");
    let bytes: Vec<u8> =
        order.map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits")).to_vec();
    Binary { subtype: BinarySubtype::UuidOld, bytes }.into()
}

fn form(participant_form: ValueForm) -> Mapping {
    Mapping { participant_form, ..Mapping::default() }
}

fn sender(message: &Document) -> Option<&Bson> {
    message.get("sender")
}

fn ways() -> Vec<Way> {
    let numbers = ["7", "42", "9"];
    let plain = |form_of, people, written| Way { mapping: form(form_of), people, form: written, sender };
    let legacy = |order| ValueForm::LegacyUuid(order);
    let references = Mapping {
        participant_form: ValueForm::ObjectId,
        participant_path: Some("$id".to_owned()),
        participant_ref: Some("users".to_owned()),
        message_fields: MessageFields { sender: "from.$id".to_owned(), ..MessageFields::default() },
        ..Mapping::default()
    };
    let whole = Mapping {
        participant_path: Some("_id".to_owned()),
        message_fields: MessageFields { sender: "user._id".to_owned(), ..MessageFields::default() },
        ..form(ValueForm::ObjectId)
    };
    vec![
        plain(ValueForm::Int32, numbers, |text| Bson::Int32(text.parse().expect("a number"))),
        plain(ValueForm::Int64, numbers, |text| Bson::Int64(text.parse().expect("a number"))),
        plain(ValueForm::Double, numbers, |text| Bson::Double(text.parse().expect("a number"))),
        plain(legacy(UuidOrder::Java), UUIDS, |text| {
            uuid(text, [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8])
        }),
        plain(legacy(UuidOrder::CSharp), UUIDS, |text| {
            uuid(text, [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15])
        }),
        plain(legacy(UuidOrder::Python), UUIDS, |text| {
            uuid(text, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
        }),
        Way {
            mapping: references,
            people: IDS,
            form: |text| doc! { "$ref": "users", "$id": id(text) }.into(),
            sender: |message| message.get("from"),
        },
        Way {
            mapping: whole,
            people: IDS,
            form: |text| doc! { "_id": id(text) }.into(),
            sender: |message| message.get("user"),
        },
    ]
}

fn with(mapping: Mapping) -> MongoOptions {
    MongoOptions { mapping, ..MongoOptions::default() }
}

async fn document(place: &Place, chat: &ChatId) -> Document {
    let filter = doc! { "_id": ObjectId::parse_str(chat.as_str()).expect("it is one") };
    place.chats().find_one(filter).await.expect("it answers").expect("it is there")
}

async fn listed(store: &MongoChatStore, person: &str) -> Vec<String> {
    let (who, size) = (Participant::new(person).expect("it is one"), PageSize::new(10).expect("it is one"));
    let page = store.chats_of(&who, None, size, None).await.expect("it answers");
    page.items.iter().map(|chat| chat.id.as_str().to_owned()).collect()
}

/// An old chat of the first two is found, listed, opened and written to; one of the others is new.
async fn is_served(
    place: &Place,
    options: MongoOptions,
    old: Document,
    people: [&str; 3],
) -> (ChatId, ChatId) {
    let [ann, bob, cleo] = people;
    place.chats().insert_one(&old).await.expect("it answers");
    let migrator = place.migrator_with(&options).await;
    let lease = migrator.lease("test").await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    let store = MongoChatStore::connect(&place.url, options).await.expect("it opens");
    let world = World::default();
    let found = store.create_or_get(world.proposal(&[bob, ann])).await.expect("it answers");
    assert_eq!(found.kind, OutcomeKind::Existing, "{ann}");
    assert_eq!(Bson::from(ObjectId::parse_str(found.chat.id.as_str()).expect("it answers")), old["_id"]);
    assert_eq!(found.chat.identity, chat_of(&[ann, bob]));
    for person in [ann, bob] {
        assert_eq!(listed(&store, person).await, [found.chat.id.as_str()]);
        let who = Participant::new(person).expect("it answers");
        let opened = store.chat_for(&found.chat.id, &who).await.expect("it answers");
        assert_eq!(opened.map(|chat| chat.id), Some(found.chat.id.clone()));
    }
    let stranger = Participant::new(cleo).expect("it answers");
    assert_eq!(store.chat_for(&found.chat.id, &stranger).await.expect("it answers"), None);
    let sent =
        store.send(world.message(&found.chat.id, ann, "m1")).await.expect("it answers").expect("it answers");
    let again =
        store.send(world.message(&found.chat.id, ann, "m1")).await.expect("it answers").expect("it answers");
    assert_eq!((sent.created, again.created, &sent.message.id), (true, false, &again.message.id));
    let page = store
        .messages(&found.chat.id, PageSize::new(10).expect("it answers"), None)
        .await
        .expect("it answers");
    assert_eq!(page.items[0].sender.as_str(), ann);
    let made = store.create_or_get(world.proposal(&[cleo, ann])).await.expect("it answers");
    assert_eq!(made.kind, OutcomeKind::Created);
    let again = store.create_or_get(world.proposal(&[ann, cleo])).await.expect("it answers");
    assert_eq!((again.kind, &again.chat.id), (OutcomeKind::Existing, &made.chat.id));
    (found.chat.id, made.chat.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_read_and_written_in_every_form() {
    for way in ways() {
        let place = Place::fresh().await;
        let [ann, bob, cleo] = way.people;
        let old = doc! { "_id": ObjectId::new(), "participants": [(way.form)(bob), (way.form)(ann)] };
        let (_, made) = is_served(&place, with(way.mapping), old, way.people).await;
        let mut sorted = [ann, cleo];
        sorted.sort_unstable();
        let expected: Vec<Bson> = sorted.map(way.form).to_vec();
        assert_eq!(document(&place, &made).await.get_array("participants").unwrap(), &expected);
        let messages = place.database.collection::<Document>("messages");
        let message = messages.find_one(doc! {}).await.unwrap().unwrap();
        assert_eq!((way.sender)(&message), Some(&(way.form)(ann)));
    }
}

fn deal(order: Option<Order>) -> Mapping {
    let fields = ChatFields {
        participants: vec!["buyer".to_owned(), "seller".to_owned()],
        context: Some("product.$id".to_owned()),
        ..ChatFields::default()
    };
    Mapping { fields, order, context_ref: Some("products".to_owned()), ..form(ValueForm::ObjectId) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_for_each_of_two_people_is_as_good_as_an_array() {
    let place = Place::fresh().await;
    let [ann, bob, cleo] = IDS;
    let old = doc! { "_id": ObjectId::new(), "buyer": id(bob), "seller": id(ann) };
    let (found, made) = is_served(&place, with(deal(Some(Order::Sorted))), old, IDS).await;
    let (found, made) = (document(&place, &found).await, document(&place, &made).await);
    assert_eq!((&found["buyer"], &found["seller"]), (&id(bob), &id(ann)), "they stay where they are");
    assert_eq!((&made["buyer"], &made["seller"]), (&id(ann), &id(cleo)));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_alone_is_in_both_fields_and_three_are_in_none() {
    let place = Place::fresh().await;
    let store = place.store_with(with(deal(Some(Order::Sorted)))).await;
    let world = World::default();
    let alone = store.create_or_get(world.proposal(&[IDS[0]])).await.expect("it answers").chat;
    let stored = document(&place, &alone.id).await;
    assert_eq!((&stored["buyer"], &stored["seller"]), (&id(IDS[0]), &id(IDS[0])));
    assert_eq!(listed(&store, IDS[0]).await, [alone.id.as_str()]);
    let refused = store.create_or_get(world.proposal(&IDS)).await;
    assert!(matches!(refused, Err(ResolveError::Store(StoreError::Refused(_)))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_order_no_chat_is_made() {
    let place = Place::fresh().await;
    let store = place.store_with(with(deal(None))).await;
    let old =
        doc! { "_id": ObjectId::new(), "buyer": id(IDS[1]), "seller": id(IDS[0]), "participantsKey": "x" };
    place.chats().insert_one(&old).await.expect("it answers");
    let refused = store.create_or_get(World::default().proposal(&[IDS[0], IDS[2]])).await;
    assert!(matches!(refused, Err(ResolveError::Store(StoreError::Refused(_)))), "{refused:?}");
    assert_eq!(listed(&store, IDS[0]).await.len(), 1);
    let array = Mapping { order: Some(Order::Roles), ..Mapping::default() };
    let refused = MongoChatStore::connect(&place.url, with(array)).await.err();
    assert!(matches!(refused, Some(OpenError::Mapping(_))), "{refused:?}");
}

/// A list over two fields is one list: page after page each chat once, the latest first.
#[tokio::test(flavor = "multi_thread")]
async fn the_chats_of_somebody_in_either_field_are_one_list() {
    let place = Place::fresh().await;
    let store = place.store_with(with(deal(Some(Order::Sorted)))).await;
    let person = |number: u8| ObjectId::from_bytes([number; 12]).to_hex();
    let (me, world) = (person(100), World::default());
    for number in (95..105).filter(|number| *number != 100) {
        let chat = store.create_or_get(world.proposal(&[&me, &person(number)])).await.unwrap().chat;
        if number % 2 == 0 {
            store.send(world.message(&chat.id, &me, "m")).await.unwrap().unwrap();
        }
    }
    let (who, size) = (Participant::new(&*me).unwrap(), PageSize::new(2).unwrap());
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.chats_of(&who, None, size, after.as_ref()).await.unwrap();
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let times: Vec<_> = all.iter().map(|chat| chat.last_message_at.unwrap_or(chat.created_at)).collect();
    assert!(times.is_sorted_by(|one, other| one > other), "{times:?}");
    assert_eq!(all.len(), 9);
}

/// Each field has every index that an array has, so that no page reads more of a field than a page.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_over_two_fields_reads_a_page_of_each() {
    const SIZE: u16 = 5;
    let place = Place::fresh().await;
    let store = place.store_with(with(deal(Some(Order::Sorted)))).await;
    let indexes = place.chats().list_index_names().await.unwrap();
    for part in ["id_*", "*_lastMessageAt", "*_createdAt"] {
        for field in ["buyer", "seller"] {
            let name = format!("onechat_{}", part.replace('*', field));
            assert!(indexes.contains(&name), "{name} is not in {indexes:?}");
        }
    }
    let person = |number: u16| {
        let mut bytes = [0; 12];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Bson::from(ObjectId::from_bytes(bytes))
    };
    let chats = (0..1000).map(|number: u16| {
        let mut people = [person(5000), person(4500 + number)];
        if number < 500 {
            people.reverse();
        }
        let [buyer, seller] = people;
        let at = DateTime::from_millis(1_700_000_000_000 + i64::from(number) * 7919 % 1_000_003);
        let key = format!("key{number}");
        let mut chat = doc! { "buyer": buyer, "seller": seller, "participantsKey": key, "createdAt": at };
        chat.extend(number.is_multiple_of(2).then(|| ("lastMessageAt".to_owned(), at.into())));
        chat
    });
    place.chats().insert_many(chats).await.unwrap();
    let me = Participant::new(person(5000).as_object_id().unwrap().to_hex()).unwrap();
    crate::lists::profile(&place).await;
    let (mut after, mut times) = (None, Vec::new());
    for _ in 0..4 {
        let page = store.chats_of(&me, None, PageSize::new(SIZE).unwrap(), after.as_ref()).await.unwrap();
        times.extend(page.items.iter().map(|chat| chat.last_message_at.unwrap_or(chat.created_at)));
        after = page.next;
    }
    assert_eq!(times.len(), 4 * usize::from(SIZE));
    assert!(times.is_sorted_by(|one, other| one > other), "{times:?}");
    let reads = crate::lists::profiled(&place).await;
    assert!((4..=4 * 6).contains(&reads.len()), "three parts of each field a page: {}", reads.len());
    for read in reads {
        assert!(read.get_i32("docsExamined").unwrap() <= i32::from(SIZE) + 3, "{read}");
        assert!(!read.contains_key("hasSortStage"), "the server had to sort: {read}");
    }
}

/// There are places for fewer pages than a list over many fields reads at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_over_many_fields_is_answered() {
    let place = Place::fresh().await;
    let participants = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let fields = ChatFields { participants, ..ChatFields::default() };
    let options = with(Mapping { fields, order: Some(Order::Sorted), ..Mapping::default() });
    let (store, world) = (place.store_with(options).await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob", "cleo", "dan"])).await.unwrap().chat;
    let list = tokio::time::timeout(std::time::Duration::from_secs(20), listed(&store, "dan"));
    assert_eq!(list.await.expect("it is answered"), [chat.id.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_may_be_a_reference() {
    let place = Place::fresh().await;
    let options = with(Mapping { context_form: ValueForm::Int64, ..deal(Some(Order::Sorted)) });
    let store = place.store_with(options).await;
    let identity = ChatIdentity { context: Some(Context::new("42").unwrap()), ..chat_of(&IDS[..2]) };
    let proposal = onechat_core::Proposal { identity, ..World::default().proposal(&IDS[..2]) };
    let made = store.create_or_get(proposal.clone()).await.expect("it answers").chat;
    let stored = document(&place, &made.id).await;
    assert_eq!(stored["product"], doc! { "$ref": "products", "$id": 42_i64 }.into());
    let again = store.create_or_get(proposal).await.expect("it answers").chat;
    assert_eq!((&again.id, again.identity), (&made.id, made.identity));
}

/// In one array forms may be mixed, and one person is in several of them; but a number and a text may be two people.
#[tokio::test(flavor = "multi_thread")]
async fn forms_are_mixed_unless_a_text_would_stand_for_two_people() {
    let place = Place::fresh().await;
    let chat = |people: [Bson; 2]| doc! { "_id": ObjectId::new(), "participants": people.to_vec() };
    let mixed = [
        chat([42_i32.into(), "ann".into()]),
        chat([42.0.into(), "ann".into()]),
        chat([IDS[0].into(), "7".into()]),
        chat([id(IDS[0]), "7".into()]),
    ];
    place.chats().insert_many(mixed).await.expect("it answers");
    let migrator = place.migrator().await;
    let plans = |migrator: onechat_mongo::MongoMigrator| async move {
        let mut groups = 0;
        let mut count = |_| {
            groups += 1;
            Ok(())
        };
        migrator.plan(&Uncontrolled, &mut count).await.map(|_| groups)
    };
    assert_eq!(plans(migrator).await.expect("nobody is two"), 2);
    let audit = || async {
        let report = crate::audit::audit(&place, onechat_core::KeyFormat::Escaped).await;
        crate::audit::count(&report, onechat_core::ports::FindingKind::TwofoldNames)
    };
    assert_eq!(audit().await, 0);
    place.chats().insert_one(chat(["42".into(), "bob".into()])).await.expect("it answers");
    let refused = plans(place.migrator().await).await.expect_err("42 may be two people");
    assert!(refused.to_string().contains("42 and \"42\""), "{refused}");
    assert_eq!(audit().await, 1);
}
