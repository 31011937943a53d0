//! Collections as others have laid them out.

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use onechat_core::{ChatId, OutcomeKind, PageSize, Participant, ResolveError, StoreError, ports::ChatStore};
use onechat_mongo::{
    ChatFields, IdMapping, Mapping, MessageFields, MongoChatStore, MongoOptions, OpenError, PublicIdForm,
    ValueForm,
};
use serde_json::json;

use crate::support::{Place, World, chat_of, joined};

fn with(mapping: Mapping) -> MongoOptions {
    MongoOptions { mapping, ..MongoOptions::default() }
}

async fn only_chat(place: &Place) -> Document {
    place.chats().find_one(doc! {}).await.expect("a server that runs").expect("a chat")
}

#[tokio::test]
async fn a_new_chat_looks_as_mongoose_would_write_it() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    let proposal = world.proposal(&["bob", "ann"]);
    store.create_or_get(proposal.clone()).await.unwrap();
    let at = DateTime::from_millis(proposal.now.unix_ms());
    let wanted = doc! {
        "_id": ObjectId::parse_str(proposal.id.as_str()).unwrap(),
        "participants": ["ann", "bob"],
        "participantsKey": "ann_bob",
        "createdAt": at,
        "updatedAt": at,
        "__v": 0,
    };
    assert_eq!(only_chat(&place).await, wanted);
}

#[tokio::test]
async fn what_others_wrote_is_read_and_what_we_do_not_know_stays() {
    let place = Place::fresh().await;
    let (store, world) = (place.store_with(joined()).await, World::default());
    let id = ObjectId::new();
    let old = doc! {
        "_id": id, "participants": ["bob", "ann", "bob"], "participantsKey": "ann_bob",
        "createdAt": DateTime::from_millis(1000), "updatedAt": DateTime::from_millis(2000),
        "unread": { "ann": 3 }, "title": "old friends", "lastMessage": "hi", "__v": 7,
    };
    place.chats().insert_one(&old).await.unwrap();
    let outcome = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap();
    assert_eq!((outcome.kind, outcome.chat.id.as_str()), (OutcomeKind::Existing, id.to_hex().as_str()));
    assert_eq!(outcome.chat.identity, chat_of(&["ann", "bob"]));
    assert_eq!(only_chat(&place).await, old, "a get must write nothing");

    let message = world.message(&outcome.chat.id, "ann", "m1");
    store.send(message.clone()).await.unwrap().unwrap();
    let at = DateTime::from_millis(message.now.unix_ms());
    let mut wanted = old.clone();
    wanted.insert("updatedAt", at);
    wanted.insert("lastMessageAt", at);
    assert_eq!(only_chat(&place).await, wanted);
}

#[tokio::test]
async fn chats_and_messages_without_our_fields_are_listed() {
    let place = Place::fresh().await;
    let (store, ann) = (place.store_with(joined()).await, Participant::new("ann").unwrap());
    let (old, new) = (ObjectId::from_bytes([0x10; 12]), ObjectId::from_bytes([0x20; 12]));
    for (id, other) in [(old, "bob"), (new, "carol")] {
        let key = format!("ann_{other}");
        place
            .chats()
            .insert_one(doc! { "_id": id, "participants": ["ann", other], "participantsKey": key })
            .await
            .unwrap();
    }
    let messages = place.database.collection::<Document>("messages");
    messages.insert_one(doc! { "chatId": old, "sender": "bob", "text": "" }).await.unwrap();
    let listed = store.chats_of(&ann, None, PageSize::new(1).unwrap(), None).await.unwrap();
    assert_eq!(listed.items[0].id.as_str(), new.to_hex());
    let rest = store.chats_of(&ann, None, PageSize::default(), listed.next.as_ref()).await.unwrap();
    assert_eq!(rest.items.iter().map(|chat| chat.id.to_string()).collect::<Vec<_>>(), [old.to_hex()]);
    let page = store.messages(&rest.items[0].id, PageSize::default(), None).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].sender.as_str()), (1, "bob"));
}

#[tokio::test]
async fn participants_may_be_object_ids_inside_sub_documents() {
    let place = Place::fresh().await;
    let mapping = Mapping {
        participant_form: ValueForm::ObjectId,
        participant_path: Some("user.id".to_owned()),
        ..Mapping::default()
    };
    let (store, world) = (place.store_with(with(mapping)).await, World::default());
    let (ann, bob, carol) = ("0".repeat(24), "a".repeat(24), "b".repeat(24));
    let chat = store.create_or_get(world.proposal(&[&bob, &ann])).await.unwrap().chat;
    let member = |id: &str| Bson::Document(doc! { "user": { "id": ObjectId::parse_str(id).unwrap() } });
    assert_eq!(only_chat(&place).await.get_array("participants").unwrap(), &[member(&ann), member(&bob)]);
    assert_eq!(store.create_or_get(world.proposal(&[&ann, &bob])).await.unwrap().chat, chat);

    // Others keep more in there, in another order.
    let key = format!("{ann}_{carol}");
    let more = [
        Bson::Document(
            doc! { "user": { "id": ObjectId::parse_str(&carol).unwrap(), "name": "Carol" }, "muted": true },
        ),
        member(&ann),
    ];
    place.chats().insert_one(doc! { "participants": more, "participantsKey": key }).await.unwrap();
    let theirs = store.create_or_get(world.proposal(&[&ann, &carol])).await.unwrap();
    assert_eq!(theirs.kind, OutcomeKind::Existing);
    let ann = Participant::new(ann).unwrap();
    assert_eq!(store.chats_of(&ann, None, PageSize::default(), None).await.unwrap().items.len(), 2);
    store.send(world.message(&chat.id, ann.as_str(), "m1")).await.unwrap().unwrap();
    let page = store.messages(&chat.id, PageSize::default(), None).await.unwrap();
    assert_eq!(page.items[0].sender, ann);

    // `A…` is not `a…`: as an ObjectId it would be the same.
    let error = store.create_or_get(world.proposal(&[ann.as_str(), &"A".repeat(24)])).await.unwrap_err();
    assert!(matches!(error, ResolveError::Store(StoreError::Refused(_))), "{error:?}");
    assert_eq!(store.lookup(&chat_of(&[ann.as_str(), &"A".repeat(24)])).await.unwrap(), None);
}

#[tokio::test]
async fn a_public_id_stands_beside_the_documents_own() {
    for form in [PublicIdForm::Text, PublicIdForm::Uuid] {
        let place = Place::fresh().await;
        let id = IdMapping::Field { name: "id".to_owned(), form };
        let (store, world) =
            (place.store_with(with(Mapping { id, ..Mapping::default() })).await, World::default());
        let public = ChatId::new("67e55044-10b1-426f-9247-bb680e5fe0c8").unwrap();
        let chat =
            store.create_or_get(world.proposal_with_id(&["ann", "bob"], public.clone())).await.unwrap();
        assert_eq!((chat.kind, &chat.chat.id), (OutcomeKind::Created, &public));
        let document = only_chat(&place).await;
        let own = document.get_object_id("_id").unwrap();
        match (form, document.get("id").unwrap()) {
            (PublicIdForm::Text, Bson::String(text)) => assert_eq!(text, public.as_str()),
            (PublicIdForm::Uuid, Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes })) => {
                assert_eq!(bytes.len(), 16);
            }
            (_, other) => panic!("{form:?}: {other:?}"),
        }
        assert_eq!(store.chat(&public).await.unwrap(), Some(chat.chat.clone()));
        assert_eq!(store.chat(&ChatId::new(own.to_hex()).unwrap()).await.unwrap(), None);
        let sent = store.send(world.message(&public, "ann", "m1")).await.unwrap().unwrap();
        assert_eq!(sent.message.chat, public);
        let message =
            place.database.collection::<Document>("messages").find_one(doc! {}).await.unwrap().unwrap();
        assert_eq!(message.get_object_id("chatId").unwrap(), own, "messages refer to the document");
    }
}

#[tokio::test]
async fn names_and_constants_are_as_configured() {
    let place = Place::fresh().await;
    let name = |text: &str| text.to_owned();
    let mapping = Mapping {
        chats: name("chats"),
        messages: name("posts"),
        fields: ChatFields {
            participants: vec![name("members")],
            context: None,
            participants_key: name("pairKey"),
            created_at: name("created"),
            updated_at: name("changed"),
            last_message_at: name("activeAt"),
            ..ChatFields::default()
        },
        message_fields: MessageFields {
            chat: name("room"),
            sender: name("from"),
            text: name("body"),
            client_message_id: name("nonce"),
            created_at: name("at"),
            ..MessageFields::default()
        },
        constants: json!({ "kind": "direct", "settings": { "muted": false }, "tags": [1, 2.5, null] })
            .as_object()
            .unwrap()
            .clone(),
        ..Mapping::default()
    };
    let (store, world) = (place.store_with(with(mapping)).await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    store.send(world.message(&chat.id, "ann", "m1")).await.unwrap().unwrap();
    let document = only_chat(&place).await;
    let names: Vec<&str> = document.keys().map(String::as_str).collect();
    let wanted =
        ["_id", "members", "pairKey", "created", "changed", "__v", "kind", "settings", "tags", "activeAt"];
    assert_eq!(names, wanted);
    assert_eq!(document.get_document("settings").unwrap(), &doc! { "muted": false });
    let message = place.database.collection::<Document>("posts").find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(message.keys().collect::<Vec<_>>(), ["_id", "room", "from", "body", "nonce", "at", "__v"]);
    assert_eq!(store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat.id, chat.id);
}

#[tokio::test]
async fn a_layout_that_cannot_work_is_refused() {
    let place = Place::fresh().await;
    let with_key = |key: &str| {
        let fields = ChatFields { participants_key: key.to_owned(), ..ChatFields::default() };
        Mapping { fields, ..Mapping::default() }
    };
    for key in ["", "a.b", "$key", "participants", "_id", "__v"] {
        let error = MongoChatStore::connect(&place.url, with(with_key(key))).await.err();
        assert!(matches!(error, Some(OpenError::Mapping(_))), "{key:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_connection_string_that_cannot_work_is_refused() {
    for url in ["mongodb://127.0.0.1:1/", "mongodb://127.0.0.1:1"] {
        let error = MongoChatStore::connect(url, MongoOptions::default()).await.err();
        assert!(matches!(error, Some(OpenError::NoDatabase { .. })), "{error:?}");
    }
    let error = MongoChatStore::connect("mongodb://[", MongoOptions::default()).await.err();
    assert!(matches!(error, Some(OpenError::ConnectionString(_))), "{error:?}");
    let nobody = "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200";
    let error = MongoChatStore::connect(nobody, MongoOptions::default()).await.err();
    assert!(matches!(error, Some(OpenError::Unavailable(_))), "{error:?}");
}
