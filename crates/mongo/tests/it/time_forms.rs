//! Times that are no dates: old chats and messages are in their order, and new ones have them in the same form.

use mongodb::bson::{Bson, Document, Timestamp as BsonTimestamp, doc, oid::ObjectId};
use onechat_core::{PageSize, Participant, StoreError, ports::ChatStore};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{ChatFields, Mapping, MessageFields, MongoChatStore, MongoOptions, TimeForm};

use crate::support::{Place, World};

const BEGIN_MS: i64 = 1_700_000_000_000;

fn written(form: TimeForm, seconds: i64) -> Bson {
    let ms = BEGIN_MS + seconds * 1000;
    let date = mongodb::bson::DateTime::from_millis(ms);
    match form {
        TimeForm::Date => date.into(),
        #[expect(clippy::cast_precision_loss, reason = "as JavaScript does")]
        TimeForm::Milliseconds => Bson::Double(ms as f64),
        TimeForm::Seconds => Bson::Int32(i32::try_from(ms / 1000).expect("it is before 2038")),
        TimeForm::Text => {
            Bson::String(date.try_to_rfc3339_string().expect("it is a year").replace('Z', ".000Z"))
        }
        TimeForm::Timestamp => {
            Bson::Timestamp(BsonTimestamp { time: u32::try_from(ms / 1000).expect("it fits"), increment: 1 })
        }
    }
}

fn id(seconds: i64, number: u8) -> ObjectId {
    let mut bytes = [number; 12];
    let second = u32::try_from(BEGIN_MS / 1000 + seconds).expect("it fits");
    bytes[..4].copy_from_slice(&second.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn options(chats: TimeForm, messages: TimeForm) -> MongoOptions {
    let mapping = Mapping {
        fields: ChatFields { times: chats, ..ChatFields::default() },
        message_fields: MessageFields { times: messages, ..MessageFields::default() },
        ..Mapping::default()
    };
    MongoOptions { mapping, ..MongoOptions::default() }
}

async fn opened(place: &Place, options: MongoOptions) -> MongoChatStore {
    let migrator = place.migrator_with(&options).await;
    let lease = migrator.lease("test").await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    MongoChatStore::connect(&place.url, options).await.expect("it opens")
}

async fn listed(store: &MongoChatStore, size: u16) -> Result<Vec<String>, StoreError> {
    let (who, size) = (Participant::new("ann").expect("it is one"), PageSize::new(size).expect("it is one"));
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.chats_of(&who, None, size, after.as_ref()).await?;
        all.extend(page.items.iter().map(|chat| chat.id.as_str().to_owned()));
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

async fn read(store: &MongoChatStore, chat: ObjectId, size: u16) -> Vec<String> {
    let chat = onechat_core::ChatId::new(chat.to_hex()).expect("it is one");
    let size = PageSize::new(size).expect("it is one");
    let (mut before, mut all) = (None, Vec::new());
    loop {
        let page = store.messages(&chat, size, before.as_ref()).await.expect("it answers");
        all.extend(page.items.iter().map(|message| message.text.as_str().to_owned()));
        before = page.next;
        if before.is_none() || all.len() > 100 {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_read_listed_and_written_in_the_form_of_the_collection() {
    use TimeForm::{Date, Milliseconds, Seconds, Text, Timestamp};
    for (chats, messages) in
        [(Date, Timestamp), (Milliseconds, Milliseconds), (Seconds, Seconds), (Text, Text)]
    {
        let place = Place::fresh().await;
        // In another order than their ids, and than each other's.
        let chat = |number: u8| {
            let at = written(chats, i64::from(number) * 7 % 10);
            let mut chat = doc! {
                "_id": id(100, number), "participants": ["ann", format!("p{number}")], "createdAt": at.clone(), "updatedAt": at.clone(),
            };
            chat.extend(number.is_multiple_of(2).then(|| ("lastMessageAt".to_owned(), at)));
            chat
        };
        place.chats().insert_many((0..10).map(chat)).await.expect("it answers");
        let message = |number: u8, at: Option<Bson>| {
            let mut message = doc! {
                "_id": id(i64::from(number), 100 - number), "chatId": id(100, 0), "sender": "ann", "text": number.to_string(),
            };
            message.extend(at.map(|at| ("createdAt".to_owned(), at)));
            message
        };
        // The second of each is that of its id.
        let dated = (0..9).map(|number| message(number, Some(written(messages, i64::from(number)))));
        let undated = (10..14).map(|number| message(number, None));
        let rows = place.database.collection::<Document>("messages");
        rows.insert_many(dated.chain(undated)).await.expect("it answers");

        let store = opened(&place, options(chats, messages)).await;
        let mut order: Vec<u8> = (0..10).collect();
        order.sort_by_key(|number| std::cmp::Reverse(i64::from(*number) * 7 % 10));
        let order: Vec<String> = order.into_iter().map(|number| id(100, number).to_hex()).collect();
        for size in [1, 3, 20] {
            assert_eq!(
                listed(&store, size).await.expect("they have times"),
                order,
                "{chats:?}, pages of {size}"
            );
        }
        let newest: Vec<String> =
            (0..9).rev().chain((10..14).rev()).map(|number: u8| number.to_string()).collect();
        for size in [1, 3, 20] {
            assert_eq!(read(&store, id(100, 0), size).await, newest, "{messages:?}, pages of {size}");
        }
        place.chats().drop_index("onechat_participants_lastMessageAt").await.expect("it is there");
        assert_eq!(listed(&store, 3).await.expect("they have times"), order, "{chats:?} without an index");

        let world = World::default();
        let made = store.create_or_get(world.proposal(&["ann", "new"])).await.expect("it answers").chat;
        let this = doc! { "_id": ObjectId::parse_str(made.id.as_str()).expect("it is one") };
        let stored = || async {
            place.chats().find_one(this.clone()).await.expect("it answers").expect("it is there")
        };
        let is_of = |value: &Bson, form: TimeForm| match form {
            Date => value.as_datetime().is_some(),
            Milliseconds | Seconds => value.as_i64().is_some(),
            Text => value.as_str().is_some_and(|text| text.len() == 24),
            Timestamp => value.as_timestamp().is_some(),
        };
        let created = stored().await;
        assert!(is_of(&created["createdAt"], chats) && is_of(&created["updatedAt"], chats), "{created}");
        for client in ["m1", "m2"] {
            let before = stored().await;
            store
                .send(world.message(&made.id, "ann", client))
                .await
                .expect("it answers")
                .expect("it is sent");
            let after = stored().await;
            assert!(is_of(&after["lastMessageAt"], chats) && is_of(&after["updatedAt"], chats), "{after}");
            assert_ne!(before["updatedAt"], after["updatedAt"], "each message raises it");
            let sent = rows.find_one(doc! { "clientMessageId": client }).await.expect("it answers");
            let sent = sent.expect("it is there");
            assert!(is_of(&sent["createdAt"], messages), "{sent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_form_they_are_read_and_no_chat_and_no_message_is_left_out() {
    for form in [TimeForm::Milliseconds, TimeForm::Text, TimeForm::Timestamp] {
        let place = Place::fresh().await;
        let old = doc! { "_id": id(5, 1), "participants": ["ann", "bob"], "createdAt": written(form, 3) };
        place.chats().insert_one(old).await.expect("it answers");
        let message = |number: u8, at: Bson| {
            doc! { "_id": id(9, number), "chatId": id(5, 1), "sender": "ann", "text": number.to_string(), "createdAt": at }
        };
        let rows = [
            message(1, written(TimeForm::Date, 9)),
            message(2, written(form, 8)),
            message(3, written(form, 7)),
            message(4, written(TimeForm::Date, 2)),
        ];
        place.database.collection::<Document>("messages").insert_many(rows).await.expect("it answers");
        let store = opened(&place, MongoOptions::default()).await;
        let found =
            store.create_or_get(World::default().proposal(&["ann", "bob"])).await.expect("it is read");
        assert_eq!(found.chat.created_at.unix_ms() / 1000, BEGIN_MS / 1000 + 3, "{form:?}");
        let mut texts = read(&store, id(5, 1), 1).await;
        texts.sort_unstable();
        assert_eq!(texts, ["1", "2", "3", "4"], "{form:?}");
        // Those of the right form first, and the others in the order of their times.
        let more = (2..20).map(|number: u8| {
            let at = written(if number < 9 { TimeForm::Date } else { form }, i64::from(number));
            doc! { "_id": id(7, number), "participants": ["ann", format!("p{number}")], "createdAt": at }
        });
        place.chats().insert_many(more).await.expect("it answers");
        let expected = (2..9).rev().chain((9..20).rev()).map(|number| id(7, number));
        let expected: Vec<String> = expected.chain([id(5, 1)]).map(ObjectId::to_hex).collect();
        for size in [1, 3, 20] {
            assert_eq!(
                listed(&store, size).await.expect("they are read"),
                expected,
                "{form:?}, pages of {size}"
            );
        }
        place.chats().drop_index("onechat_participants_createdAt").await.expect("it is there");
        for size in [1, 3, 20] {
            assert_eq!(listed(&store, size).await.expect("they are read"), expected, "{form:?}, no index");
        }
    }
}

/// Whatever comes after a message, of whichever type its time is, is one range of the index.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_deep_in_a_chat_reads_no_more_than_a_page() {
    const SIZE: u16 = 5;
    for form in [TimeForm::Date, TimeForm::Seconds, TimeForm::Text] {
        let place = Place::fresh().await;
        let store = opened(&place, options(TimeForm::Date, form)).await;
        place
            .chats()
            .insert_one(doc! { "_id": id(0, 1), "participants": ["ann", "bob"] })
            .await
            .expect("it answers");
        let rows = (0..600).map(|number: i64| {
            let at = (number >= 100).then(|| ("createdAt".to_owned(), written(form, number)));
            let mut row = doc! { "_id": id(number, 1), "chatId": id(0, 1), "sender": "ann", "text": number.to_string() };
            row.extend(at);
            row
        });
        place.database.collection::<Document>("messages").insert_many(rows).await.expect("it answers");
        place.database.run_command(doc! { "profile": 2 }).await.expect("it answers");
        let chat = onechat_core::ChatId::new(id(0, 1).to_hex()).expect("it is one");
        let size = PageSize::new(SIZE).expect("it is one");
        let first = store.messages(&chat, size, None).await.expect("it answers");
        for start in [300, 50] {
            let at = onechat_core::Timestamp::from_unix_ms(BEGIN_MS + start * 1000).expect("it is one");
            let mut before = first.next.clone().expect("there is more");
            (before.at, before.id) =
                (at, onechat_core::MessageId::new(id(start, 1).to_hex()).expect("it is one"));
            let page = store.messages(&chat, size, Some(&before)).await.expect("it answers");
            let texts: Vec<&str> = page.items.iter().map(|message| message.text.as_str()).collect();
            let expected: Vec<String> =
                (1..=i64::from(SIZE)).map(|back| (start - back).to_string()).collect();
            assert_eq!(texts, expected, "{form:?}");
        }
        place.database.run_command(doc! { "profile": 0 }).await.expect("it answers");
        let profile = place.database.collection::<Document>("system.profile");
        let pages = doc! { "command.find": "messages", "command.sort": { "$exists": true } };
        let mut reads = profile.find(pages).await.expect("it answers");
        let mut count = 0;
        while reads.advance().await.expect("it answers") {
            let read = reads.deserialize_current().expect("it is a document");
            // Once for the comparison of any types, and once for the page.
            assert!(
                read.get_i32("docsExamined").expect("it is counted") <= 2 * i32::from(SIZE) + 2,
                "{read}"
            );
            assert!(!read.contains_key("hasSortStage"), "the server had to sort: {read}");
            count += 1;
        }
        assert_eq!(count, 3);
    }
}
