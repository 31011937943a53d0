//! Ids of chats of every type: chats are found, listed and written to by them, and new ones get theirs in the same form.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use onechat_core::{
    Chat, ChatId, OutcomeKind, PageSize, Participant, ResolveError, StoreError,
    ports::{ChatStore, FindingKind},
};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{ChatIdForm, IdMapping, Mapping, MongoChatStore, MongoOptions, PublicIdForm, UuidOrder};

use crate::support::{Place, World, chat_of};

const AT: DateTime = DateTime::from_millis(1_700_000_000_000);

fn with(chat_id: Option<ChatIdForm>) -> MongoOptions {
    MongoOptions { mapping: Mapping { chat_id, ..Mapping::default() }, ..MongoOptions::default() }
}

fn uuid_text(number: u8) -> String {
    format!("00112233-4455-4677-8899-aabbccddee{number:02x}")
}

fn uuid_bytes(number: u8) -> Vec<u8> {
    let digits = uuid_text(number).replace('-', "");
    (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("it answers")).collect()
}

fn uuid(number: u8) -> Bson {
    Binary { subtype: BinarySubtype::Uuid, bytes: uuid_bytes(number) }.into()
}

fn legacy_uuid(number: u8) -> Bson {
    let mut bytes = uuid_bytes(number);
    bytes[..8].reverse();
    bytes[8..].reverse();
    Binary { subtype: BinarySubtype::UuidOld, bytes }.into()
}

fn object_id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, number])
}

/// A chat of ann and `b<number>` that has its key. All are equally old, so that only their ids order them.
fn keyed(id: impl Into<Bson>, number: u8) -> Document {
    let other = format!("b{number:03}");
    doc! { "_id": id.into(), "participants": ["ann", &other], "participantsKey": format!("ann_{other}"), "createdAt": AT }
}

async fn listed(store: &MongoChatStore, size: u16) -> Vec<Chat> {
    let ann = Participant::new("ann").expect("it answers");
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store
            .chats_of(&ann, None, PageSize::new(size).expect("it answers"), after.as_ref())
            .await
            .expect("it answers");
        all.extend(page.items);
        assert!(all.len() <= 100, "the list goes round in circles");
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn rows(place: &Place, collection: &str) -> Vec<Document> {
    let rows = place.database.collection::<Document>(collection);
    rows.find(doc! {})
        .sort(doc! { "_id": 1 })
        .await
        .expect("it answers")
        .try_collect()
        .await
        .expect("it answers")
}

/// Each chat is listed once, found by its people, opened by the id that it has in the list, and written to.
async fn are_served(place: &Place, store: &MongoChatStore, documents: &[Document], texts: &[String]) {
    let world = World::default();
    for size in [1, 2, 100] {
        let mut ids: Vec<String> =
            listed(store, size).await.into_iter().map(|chat| chat.id.to_string()).collect();
        assert_eq!(ids.len(), texts.len(), "pages of {size}: {ids:?}");
        ids.sort();
        let mut texts = texts.to_vec();
        texts.sort();
        assert_eq!(ids, texts, "pages of {size}");
    }
    let (ann, eve) =
        (Participant::new("ann").expect("it answers"), Participant::new("eve").expect("it answers"));
    for (number, (document, text)) in documents.iter().zip(texts).enumerate() {
        let other = document.get_array("participants").expect("it answers")[1]
            .as_str()
            .expect("it answers")
            .to_owned();
        let found = store.create_or_get(world.proposal(&[&other, "ann"])).await.expect("it answers");
        assert_eq!((found.kind, found.chat.id.as_str()), (OutcomeKind::Existing, text.as_str()));
        let id = ChatId::new(text.as_str()).expect("it answers");
        let opened = store.chat_for(&id, &ann).await.expect("it answers").expect("ann is in it");
        assert_eq!(opened.identity, chat_of(&["ann", &other]));
        assert_eq!(store.chat_for(&id, &eve).await.expect("it answers"), None);
        let client = format!("m{number}");
        let sent =
            store.send(world.message(&id, "ann", &client)).await.expect("it answers").expect("it answers");
        let again =
            store.send(world.message(&id, "ann", &client)).await.expect("it answers").expect("it answers");
        assert_eq!((sent.created, again.created, &again.message.id), (true, false, &sent.message.id));
        let page = store.messages(&id, PageSize::default(), None).await.expect("it answers");
        assert_eq!(page.items, [sent.message]);
    }
    let mut named: Vec<Bson> =
        rows(place, "messages").await.into_iter().map(|row| row["chatId"].clone()).collect();
    let own: Vec<Bson> = documents.iter().map(|document| document["_id"].clone()).collect();
    assert_eq!(named.len(), own.len());
    named.retain(|id| !own.contains(id));
    assert_eq!(named, [], "messages name their chat as it names itself");
}

struct Way {
    form: ChatIdForm,
    ids: Vec<(Bson, String)>,
    /// What a new chat is called, and the `_id` that it gets then, if any gets one.
    new: (String, Option<Bson>),
}

fn ways() -> Vec<Way> {
    let hex = |number| object_id(number).to_hex();
    let text = |text: String| (Bson::from(text.as_str()), text);
    let uuids = |form: fn(u8) -> Bson| (1..4).map(|number| (form(number), uuid_text(number))).collect();
    let new_uuid = |id: Bson| (uuid_text(9), Some(id));
    let number = |id: Bson, text: &str| (id, text.to_owned());
    let counted = (hex(9), None);
    vec![
        Way {
            form: ChatIdForm::Text,
            // Among them the hexadecimal digits of an ObjectId, and the digits of a number.
            ids: ["dm_a_b", "01HZ8Y3T5V6W7X8Y9ZABCDEFGH", &hex(1), "42", &uuid_text(1)]
                .map(|id| text(id.to_owned()))
                .into(),
            new: (hex(9), Some(hex(9).into())),
        },
        Way {
            form: ChatIdForm::UuidText,
            ids: (1..4).map(|number| text(uuid_text(number))).collect(),
            new: new_uuid(uuid_text(9).into()),
        },
        Way { form: ChatIdForm::Uuid, ids: uuids(uuid), new: new_uuid(uuid(9)) },
        Way {
            form: ChatIdForm::LegacyUuid(UuidOrder::Java),
            ids: uuids(legacy_uuid),
            new: new_uuid(legacy_uuid(9)),
        },
        Way {
            form: ChatIdForm::Number,
            ids: vec![
                number(Bson::Int32(-7), "-7"),
                number(Bson::Int32(42), "42"),
                number(Bson::Int64(1 << 60), "1152921504606846976"),
                number(Bson::Double(3_000_000_000.0), "3000000000"),
            ],
            new: counted,
        },
        Way {
            form: ChatIdForm::ObjectId,
            ids: vec![
                (object_id(1).into(), hex(1)),
                (uuid(1), uuid_text(1)),
                (legacy_hex(2), hex(2)),
                number(Bson::Int32(-7), "-7"),
                number(Bson::Int64(42), "42"),
                number(Bson::Double(7.0), "7"),
                (object_id(3).into(), hex(3)),
                text("dm_a_b".to_owned()),
                text(uuid_text(2)),
            ],
            new: (hex(9), Some(object_id(9).into())),
        },
    ]
}

fn legacy_hex(number: u8) -> Bson {
    object_id(number).to_hex().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_are_served_by_an_id_of_any_type() {
    for Way { form, ids, new } in ways() {
        let place = Place::fresh().await;
        let store = place.store_with(with(Some(form))).await;
        let documents = (1..).zip(&ids).map(|(number, (id, _))| keyed(id.clone(), number));
        let documents: Vec<Document> = documents.collect();
        place.chats().insert_many(&documents).await.expect("it answers");
        let texts: Vec<String> = ids.into_iter().map(|(_, text)| text).collect();
        are_served(&place, &store, &documents, &texts).await;

        let (called, written) = new;
        let proposal =
            World::default().proposal_with_id(&["ann", "new"], ChatId::new(called).expect("it answers"));
        let made = store.create_or_get(proposal.clone()).await;
        let Some(written) = written else {
            let Err(ResolveError::Store(StoreError::Refused(why))) = made else {
                panic!("{form:?}: {made:?}")
            };
            assert!(why.contains("ids of chats are numbers"), "{why}");
            assert_eq!(rows(&place, "chats").await.len(), documents.len());
            continue;
        };
        assert_eq!(made.expect("it answers").kind, OutcomeKind::Created, "{form:?}");
        let stored = place
            .chats()
            .find_one(doc! { "participants": "new" })
            .await
            .expect("it answers")
            .expect("it answers");
        assert_eq!(stored["_id"], written, "{form:?}");
        let again =
            store.create_or_get(World::default().proposal(&["new", "ann"])).await.expect("it answers");
        assert_eq!((again.kind, &again.chat.id), (OutcomeKind::Existing, &proposal.id), "{form:?}");
        let audit = audit(&place, form).await;
        assert_eq!(audit.0, 0, "{form:?}");
    }
}

/// Chats that are called what no chat is found by, and ids of two chats.
async fn audit(place: &Place, form: impl Into<Option<ChatIdForm>>) -> (u64, u64) {
    let report = crate::audit::audit_with(place, &with(form.into())).await;
    let count = |kind| crate::audit::count(&report, kind);
    assert_eq!((count(FindingKind::OrphanedMessage), count(FindingKind::OtherIdForm)), (0, 0));
    (count(FindingKind::UnfoundId), count(FindingKind::TwofoldId))
}

/// Chats without any date stand in the order of their ids, whatever the types of these.
#[tokio::test(flavor = "multi_thread")]
async fn chats_without_dates_and_with_ids_of_every_type_are_listed_once() {
    let place = Place::fresh().await;
    let store = place.store_with(with(Some(ChatIdForm::Text))).await;
    let ids: Vec<Bson> = vec![
        Bson::Int32(-3),
        Bson::Int64(2),
        Bson::Double(5.0),
        "a".into(),
        "b".into(),
        uuid(1),
        uuid(2),
        object_id(1).into(),
        object_id(2).into(),
    ];
    let documents = (1..).zip(&ids).map(|(number, id)| {
        let mut document = keyed(id.clone(), number);
        document.remove("createdAt");
        document
    });
    place.chats().insert_many(documents).await.expect("it answers");
    let in_order = [
        object_id(2).to_hex(),
        object_id(1).to_hex(),
        uuid_text(2),
        uuid_text(1),
        "b".to_owned(),
        "a".to_owned(),
        "5".to_owned(),
        "2".to_owned(),
        "-3".to_owned(),
    ];
    for size in [1_u16, 4] {
        let ids: Vec<String> =
            listed(&store, size).await.into_iter().map(|chat| chat.id.to_string()).collect();
        assert_eq!(ids, in_order, "pages of {size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_two_chats_have_outside_opens_neither_for_a_message_and_stops_a_migration() {
    let place = Place::fresh().await;
    let store = place.store_with(with(Some(ChatIdForm::Text))).await;
    place.chats().insert_many([keyed(42, 1), keyed("42", 2), keyed("43", 3)]).await.expect("it answers");
    let (world, id) = (World::default(), ChatId::new("42").expect("it answers"));
    let sent = store.send(world.message(&id, "ann", "m1")).await;
    assert!(matches!(sent, Err(StoreError::Corrupt(_))), "{sent:?}");
    assert!(
        store
            .send(world.message(&ChatId::new("43").expect("it answers"), "ann", "m1"))
            .await
            .expect("it answers")
            .is_some()
    );
    // Who is in one of the two is given that one.
    let other = Participant::new("b002").expect("it answers");
    let opened = store.chat_for(&id, &other).await.expect("it answers").expect("it answers");
    assert_eq!(opened.identity, chat_of(&["ann", "b002"]));
    assert_eq!(audit(&place, ChatIdForm::Text).await, (0, 1));
    let refused = place.migrator_with(&with(Some(ChatIdForm::Text))).await;
    let refused = refused.plan(&Uncontrolled, &mut |_| Ok(())).await.expect_err("42 names two chats");
    assert!(refused.to_string().contains("names two chats"), "{refused}");
}

/// What is not said is as it was: texts are text, ObjectIds are ObjectIds, and the audit names what servers do not find.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_an_audit_names_chats_that_nobody_can_open() {
    let place = Place::fresh().await;
    let store = place.store().await;
    let chats = [
        keyed(object_id(1), 1),
        keyed("dm_a_b", 2),
        keyed(uuid_text(3), 3),
        keyed(uuid(4), 4),
        keyed(object_id(5).to_hex(), 5),
        keyed(6, 6),
    ];
    place.chats().insert_many(&chats[..3]).await.expect("it answers");
    assert_eq!(audit(&place, None).await, (0, 0));
    let texts = [object_id(1).to_hex(), "dm_a_b".to_owned(), uuid_text(3)];
    are_served(&place, &store, &chats[..3], &texts).await;
    place.chats().insert_many(&chats[3..]).await.expect("it answers");
    assert_eq!(audit(&place, None).await, (3, 0));
    assert_eq!(audit(&place, ChatIdForm::Text).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_public_id_the_own_id_of_a_new_chat_has_the_form_of_the_others() {
    let id = || IdMapping::Field { name: "publicId".to_owned(), form: PublicIdForm::Text };
    let is_of = |form: ChatIdForm, own: &Bson| match form {
        ChatIdForm::ObjectId => own.as_object_id().is_some(),
        ChatIdForm::Text => own.as_str().is_some_and(|text| ObjectId::parse_str(text).is_ok()),
        ChatIdForm::UuidText => own.as_str().is_some_and(|text| text.len() == 36),
        _ => matches!(own, Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid),
    };
    for form in [ChatIdForm::ObjectId, ChatIdForm::Text, ChatIdForm::UuidText, ChatIdForm::Uuid] {
        let place = Place::fresh().await;
        let mapping = Mapping { id: id(), chat_id: Some(form), ..Mapping::default() };
        let store = place.store_with(MongoOptions { mapping, ..MongoOptions::default() }).await;
        let world = World::default();
        let made = store.create_or_get(world.proposal(&["ann", "bob"])).await.expect("it answers").chat;
        let stored = rows(&place, "chats").await.remove(0);
        assert!(is_of(form, &stored["_id"]), "{form:?}: {stored}");
        assert_eq!(stored["publicId"], made.id.as_str().into());
        store.send(world.message(&made.id, "ann", "m1")).await.expect("it answers").expect("it answers");
        assert_eq!(rows(&place, "messages").await[0]["chatId"], stored["_id"]);
    }
    let place = Place::fresh().await;
    let mapping = Mapping { id: id(), chat_id: Some(ChatIdForm::Number), ..Mapping::default() };
    let store = place.store_with(MongoOptions { mapping, ..MongoOptions::default() }).await;
    let refused = store.create_or_get(World::default().proposal(&["ann", "bob"])).await;
    assert!(matches!(refused, Err(ResolveError::Store(StoreError::Refused(_)))), "{refused:?}");
}
