//! Messages that name their chat in another form than it names itself: text for an ObjectId, an ObjectId for text, both in one
//! collection.

use futures_util::{TryStreamExt as _, future::join_all};
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_core::{
    ChatId, PageSize,
    ports::{ChatStore, FindingKind},
};
use onechat_mongo::{ChatIdForm, Mapping, MessageFields, MongoChatStore, MongoOptions, ValueForm};

use crate::support::{Place, World};

const OWN: ObjectId = ObjectId::from_bytes([0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

fn with(chat_id: Option<ChatIdForm>, chat_form: Option<ValueForm>) -> MongoOptions {
    let message_fields = MessageFields { chat_form, ..MessageFields::default() };
    MongoOptions {
        mapping: Mapping { chat_id, message_fields, ..Mapping::default() },
        ..MongoOptions::default()
    }
}

/// A chat, and how its messages name it.
struct Way {
    chat_id: Option<ChatIdForm>,
    own: Bson,
    called: String,
    written: ValueForm,
    /// The forms of the messages that are there, the one that new ones have first.
    forms: Vec<Bson>,
}

fn ways() -> Vec<Way> {
    let text = Bson::from(OWN.to_hex());
    let way = |chat_id, own: &Bson, written, forms: [&Bson; 2]| Way {
        chat_id,
        own: own.clone(),
        called: OWN.to_hex(),
        written,
        forms: forms.map(Clone::clone).to_vec(),
    };
    let id = Bson::from(OWN);
    let number = |written, forms: [Bson; 2]| Way {
        chat_id: Some(ChatIdForm::Number),
        own: Bson::Int32(42),
        called: "42".to_owned(),
        written,
        forms: forms.to_vec(),
    };
    vec![
        way(None, &id, ValueForm::Text, [&text, &id]),
        way(None, &id, ValueForm::ObjectId, [&id, &text]),
        way(Some(ChatIdForm::Text), &text, ValueForm::ObjectId, [&id, &text]),
        number(ValueForm::Text, ["42".into(), Bson::Double(42.0)]),
        number(ValueForm::Int64, [Bson::Int64(42), "42".into()]),
    ]
}

async fn stored(place: &Place) -> Vec<Document> {
    let rows = place.database.collection::<Document>("messages");
    rows.find(doc! {})
        .sort(doc! { "createdAt": 1, "_id": 1 })
        .await
        .expect("it answers")
        .try_collect()
        .await
        .expect("it answers")
}

async fn read(store: &MongoChatStore, chat: &ChatId, size: u16) -> Vec<String> {
    let (mut before, mut all) = (None, Vec::new());
    loop {
        let page = store
            .messages(chat, PageSize::new(size).expect("it answers"), before.as_ref())
            .await
            .expect("it answers");
        all.extend(page.items.into_iter().map(|message| message.id.to_string()));
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_one_list_in_whatever_form_they_name_their_chat_and_new_ones_have_the_form_of_others() {
    for Way { chat_id, own, called, written, forms } in ways() {
        let place = Place::fresh().await;
        let options = with(chat_id, Some(written));
        let store = place.store_with(options.clone()).await;
        let people = ["ann", "bob"];
        let chat = doc! { "_id": own, "participants": people.to_vec(), "participantsKey": "ann_bob" };
        place.chats().insert_one(chat).await.expect("it answers");
        let message = |number: u8| {
            let form = forms[usize::from(number % 2)].clone();
            // Several at one moment.
            let at = DateTime::from_millis(1_600_000_000_000 + i64::from(number / 3));
            let id = ObjectId::from_bytes([number; 12]);
            doc! {
                "_id": id, "chatId": form, "sender": "ann", "text": "old", "createdAt": at,
                "clientMessageId": format!("old {number}"),
            }
        };
        let messages = place.database.collection::<Document>("messages");
        messages.insert_many((1..=21).map(message)).await.expect("it answers");
        let (world, id) = (World::default(), ChatId::new(called).expect("it answers"));
        let sent =
            store.send(world.message(&id, "ann", "new")).await.expect("it answers").expect("it answers");
        assert!(sent.created);
        let last = stored(&place).await.pop().expect("it answers");
        assert_eq!((&last["clientMessageId"], &last["chatId"]), (&"new".into(), &forms[0]), "{written}");
        let mut expected: Vec<String> = (1..=21).map(|n| ObjectId::from_bytes([n; 12]).to_hex()).collect();
        expected.push(sent.message.id.to_string());
        expected.reverse();
        for size in [1, 4, 100] {
            assert_eq!(read(&store, &id, size).await, expected, "{written}, pages of {size}");
        }
        // Whatever form the first one has, it is the answer.
        for number in [1_u8, 2] {
            let again = store
                .send(world.message(&id, "ann", &format!("old {number}")))
                .await
                .expect("it answers")
                .expect("it answers");
            let first = ObjectId::from_bytes([number; 12]).to_hex();
            assert_eq!((again.created, again.message.id.as_str()), (false, &*first), "{written}");
        }
        let at_once = (0..20).map(|_| store.send(world.message(&id, "ann", "at once")));
        let at_once: Vec<_> = join_all(at_once)
            .await
            .into_iter()
            .map(|sent| sent.expect("it answers").expect("it answers"))
            .collect();
        assert_eq!(at_once.iter().filter(|sent| sent.created).count(), 1, "{written}");
        assert_eq!(stored(&place).await.len(), 23, "{written}");
        let report = crate::audit::audit_with(&place, &options).await;
        for kind in [FindingKind::OtherIdForm, FindingKind::OrphanedMessage, FindingKind::UnfoundId] {
            assert_eq!(crate::audit::count(&report, kind), 0, "{written}: {kind:?}");
        }
    }
}

/// A page of messages of two forms reads a page of each, and is not sorted by the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_no_more_than_a_page_of_each_form() {
    const SIZE: u16 = 5;
    let place = Place::fresh().await;
    let store = place.store_with(with(None, Some(ValueForm::Text))).await;
    let chat = doc! { "_id": OWN, "participants": ["ann", "bob"], "participantsKey": "ann_bob" };
    place.chats().insert_one(chat).await.expect("it answers");
    let at = |number: i64| 1_600_000_000_000 + number * 7919 % 1_000_003;
    let messages = (0..600_i64).map(|number| {
        let form = if number % 3 == 0 { Bson::from(OWN) } else { OWN.to_hex().into() };
        let at = DateTime::from_millis(at(number));
        doc! { "chatId": form, "sender": "ann", "text": "old", "createdAt": at }
    });
    place.database.collection::<Document>("messages").insert_many(messages).await.expect("it answers");
    crate::lists::profile(&place).await;
    let (id, mut before, mut times) = (ChatId::new(OWN.to_hex()).expect("it answers"), None, Vec::new());
    for _ in 0..4 {
        let page = store
            .messages(&id, PageSize::new(SIZE).expect("it answers"), before.as_ref())
            .await
            .expect("it answers");
        times.extend(page.items.iter().map(|message| message.created_at.unix_ms()));
        before = page.next;
    }
    let mut expected: Vec<i64> = (0..600).map(at).collect();
    expected.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
    expected.truncate(4 * usize::from(SIZE));
    assert_eq!(times, expected);
    let profile = place.database.collection::<Document>("system.profile");
    let of_pages = doc! { "command.find": "messages", "command.sort": { "$exists": true } };
    let reads: Vec<Document> =
        profile.find(of_pages).await.expect("it answers").try_collect().await.expect("it answers");
    assert_eq!(reads.len(), 4);
    for read in reads {
        assert!(read.get_i32("docsExamined").expect("it answers") <= 2 * (i32::from(SIZE) + 3), "{read}");
        assert!(!read.contains_key("hasSortStage"), "the server had to sort: {read}");
    }
}

/// Nothing is asked of those who have not configured it, and each message is asked for by the one value that it has.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_messages_are_asked_for_as_the_chat_names_itself() {
    let place = Place::fresh().await;
    let store = place.store().await;
    let world = World::default();
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.expect("it answers").chat;
    crate::lists::profile(&place).await;
    store.send(world.message(&chat.id, "ann", "m1")).await.expect("it answers").expect("it answers");
    read(&store, &chat.id, 10).await;
    place.database.run_command(doc! { "profile": 0 }).await.expect("it answers");
    let profile = place.database.collection::<Document>("system.profile");
    let seen: Vec<Document> = profile
        .find(doc! { "appName": "onechat" })
        .sort(doc! { "$natural": 1 })
        .await
        .expect("it answers")
        .try_collect()
        .await
        .expect("it answers");
    let own = ObjectId::parse_str(chat.id.as_str()).expect("it answers");
    let filter = |name: &str| {
        let of = |one: &&Document| {
            one.get_document("command")
                .is_ok_and(|command| command.get_str("find").is_ok_and(|found| found == name))
        };
        let finds = seen.iter().filter(of);
        finds
            .map(|one| {
                one.get_document("command")
                    .expect("it answers")
                    .get_document("filter")
                    .expect("it answers")
                    .clone()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(filter("messages"), [doc! { "chatId": own }]);
    assert_eq!(filter("chats"), [doc! { "_id": own }, doc! { "_id": own }]);
}
