//! Chats of the same people about several things: each is merged, found and adopted by what it is about, and the field that
//! says so cannot be changed once keys count.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use onechat_core::{ChatIdentity, Context, KeyFormat, ParticipantsKey, ports::ChatStore};
use onechat_migrate::{FieldNames, MergeRules, Uncontrolled};
use onechat_mongo::{
    ChatFields, Mapping, MongoChatStore, MongoMigrator, MongoOptions, OpenError, RunKind, ValueForm,
};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::{Place, World, chat_of};

/// A product's id, and the text that stands for it outside.
fn product(number: u8) -> ObjectId {
    ObjectId::from_bytes([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([90, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, number])
}

fn about(context: Option<ObjectId>) -> ChatIdentity {
    let context = context.map(|context| Context::new(context.to_hex()).expect("it is a context"));
    ChatIdentity { context, ..chat_of(&["ann", "bob"]) }
}

fn options(context: Option<&str>) -> MongoOptions {
    let fields = ChatFields { context: context.map(str::to_owned), ..ChatFields::default() };
    let context_form = if context.is_some() { ValueForm::ObjectId } else { ValueForm::Text };
    let mapping = Mapping { fields, context_form, ..Mapping::default() };
    MongoOptions { mapping, ..MongoOptions::default() }
}

/// Ann's and bob's chats about two products, one of them written in two forms, and about none, in the two ways of none.
async fn bazaar(place: &Place) {
    let chat = |number: u8, product: Option<Bson>| {
        let mut chat = doc! { "_id": id(number), "participants": ["ann", "bob"] };
        chat.extend(product.map(|product| ("product".to_owned(), product)));
        chat
    };
    let chats = [
        chat(1, Some(product(1).into())),
        chat(2, Some(product(2).into())),
        chat(3, None),
        chat(4, Some(product(1).to_hex().into())),
        chat(5, Some(Bson::Null)),
        // No tool knows what this one is about, so nobody touches it.
        chat(6, Some(doc! { "name": "lamp" }.into())),
    ];
    place.chats().insert_many(chats).await.expect("it answers");
}

async fn migrator(place: &Place) -> MongoMigrator {
    let names = FieldNames { context: Some("product".to_owned()), ..FieldNames::default() };
    let rules = MergeRules { names, ..MergeRules::default() };
    MongoMigrator::connect(&place.url, &options(Some("product")), rules).await.expect("a server that runs")
}

async fn keys(place: &Place) -> Vec<(Bson, Option<Bson>)> {
    let chats = place.database.collection::<Document>("chats");
    let chats = chats.find(doc! {}).sort(doc! { "_id": 1 });
    let chats: Vec<Document> = chats.await.expect("it answers").try_collect().await.expect("it answers");
    let key = |chat: &Document| (chat["_id"].clone(), chat.get("participantsKey").cloned());
    chats.iter().map(key).collect()
}

fn key(context: Option<ObjectId>) -> Bson {
    ParticipantsKey::new(&about(context), KeyFormat::Escaped).as_str().into()
}

async fn each_context_is_merged_by_itself(deployment: &Deployment) {
    let place = Place::on(deployment).await;
    bazaar(&place).await;
    let migrator = migrator(&place).await;
    assert!(migrator.differences(&Uncontrolled).await.expect("it answers").is_empty());
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
    let report = migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers");
    assert_eq!((report.groups, report.blocked), (2, 0), "{report:?}");
    let expected = [
        (id(1).into(), Some(key(Some(product(1))))),
        (id(2).into(), Some(key(Some(product(2))))),
        (id(3).into(), Some(key(None))),
        (id(6).into(), None),
    ];
    assert_eq!(keys(&place).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_context_is_merged_by_itself_on_a_standalone_server() {
    each_context_is_merged_by_itself(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_context_is_merged_by_itself_on_a_replica_set() {
    each_context_is_merged_by_itself(shared_replica_set().await).await;
}

/// While old chats have no keys, each is adopted by what it is about, and a new one is written in the form of the others.
#[tokio::test(flavor = "multi_thread")]
async fn old_chats_are_adopted_by_what_they_are_about() {
    let place = Place::fresh().await;
    bazaar(&place).await;
    place.chats().delete_many(doc! { "_id": { "$in": [id(4), id(5)] } }).await.expect("it answers");
    let migrator = migrator(&place).await;
    let lease = migrator.lease("test").await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    let store = MongoChatStore::connect(&place.url, options(Some("product"))).await.expect("it opens");
    let world = World::default();
    for (context, old) in [(Some(product(1)), id(1)), (Some(product(2)), id(2)), (None, id(3))] {
        let proposal = onechat_core::Proposal { identity: about(context), ..world.proposal(&["ann", "bob"]) };
        let outcome = store.create_or_get(proposal).await.expect("it answers");
        assert_eq!(outcome.chat.id.as_str(), old.to_hex(), "about {context:?}");
        assert_eq!(outcome.chat.identity, about(context));
    }
    let proposal =
        onechat_core::Proposal { identity: about(Some(product(3))), ..world.proposal(&["ann", "bob"]) };
    let made = store.create_or_get(proposal).await.expect("it answers").chat;
    let made = ObjectId::parse_str(made.id.as_str()).expect("it is one");
    let document =
        place.database.collection::<Document>("chats").find_one(doc! { "_id": made }).await.unwrap();
    assert_eq!(document.expect("it is there")["product"], product(3).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_field_of_contexts_is_settled_with_the_keys() {
    let place = Place::fresh().await;
    drop(MongoChatStore::connect(&place.url, options(Some("product"))).await.expect("it opens"));
    for other in [None, Some("listing")] {
        let refused = MongoChatStore::connect(&place.url, options(other)).await.err();
        assert!(matches!(refused, Some(OpenError::Context { .. })), "{other:?}: {refused:?}");
        let refused = MongoMigrator::connect(&place.url, &options(other), MergeRules::default()).await.err();
        assert!(matches!(refused, Some(OpenError::Context { .. })), "{other:?}: {refused:?}");
    }
    drop(MongoChatStore::connect(&place.url, options(Some("product"))).await.expect("it opens"));

    // On a collection whose keys nobody relies on yet, the operator may still make up their mind.
    let place = Place::fresh().await;
    bazaar(&place).await;
    drop(MongoChatStore::connect(&place.url, options(None)).await.expect("it opens"));
    drop(MongoChatStore::connect(&place.url, options(Some("product"))).await.expect("it opens"));
}
