//! The validator that requires a key, beside one that is there, and given back as it was.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use onechat_core::ports::ChatStore;
use onechat_migrate::Uncontrolled;
use onechat_mongo::MongoMigrator;

use crate::support::{Place, World};

async fn options(place: &Place) -> Document {
    let list = doc! { "listCollections": 1, "filter": { "name": "chats" } };
    let cursor = place.database.run_cursor_command(list).await.unwrap();
    let listed: Vec<Document> = cursor.try_collect().await.unwrap();
    listed[0].get_document("options").unwrap().clone()
}

async fn change(place: &Place, change: Document) {
    let mut command = doc! { "collMod": "chats" };
    command.extend(change);
    place.database.run_command(command).await.unwrap();
}

/// A collection with an old chat that has neither a key nor a title, and this validation.
async fn place_with(validation: Document) -> (Place, MongoMigrator) {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"] }).await.unwrap();
    change(&place, validation).await;
    let migrator = place.migrator().await;
    (place, migrator)
}

/// Whether a new chat is taken, and stays not.
async fn takes(place: &Place, chat: Document) -> bool {
    let Ok(inserted) = place.chats().insert_one(chat).await else { return false };
    place.chats().delete_one(doc! { "_id": inserted.inserted_id }).await.unwrap();
    true
}

#[tokio::test]
async fn a_new_chat_needs_a_key_and_what_was_required_before() {
    let titled = doc! { "title": { "$type": "string" } };
    let validation =
        doc! { "validator": titled.clone(), "validationLevel": "strict", "validationAction": "error" };
    let (place, migrator) = place_with(validation).await;
    let before = options(&place).await;
    let lease = migrator.lease("test").await.unwrap();
    assert!(!migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap().requires_key);
    assert_eq!(options(&place).await, before);
    for _ in 0..2 {
        assert!(migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap().requires_key);
    }
    let people = || doc! { "participants": ["c", "d"] };
    let with = |fields: Document| people().into_iter().chain(fields).collect::<Document>();
    assert!(takes(&place, with(doc! { "title": "t", "participantsKey": "c_d" })).await);
    for refused in [
        with(doc! { "title": "t" }),
        with(doc! { "title": "t", "participantsKey": null }),
        with(doc! { "title": "t", "participantsKey": "" }),
        with(doc! { "participantsKey": "c_d" }),
    ] {
        assert!(!takes(&place, refused.clone()).await, "{refused}");
    }
    // An old one that breaks both rules can still be changed.
    let changed =
        place.chats().update_one(doc! { "participants": "a" }, doc! { "$set": { "unread": 3 } }).await;
    assert_eq!(changed.unwrap().modified_count, 1);

    assert!(!migrator.guard_off(&lease).await.unwrap().requires_key);
    assert_eq!(options(&place).await, before);
    assert!(takes(&place, with(doc! { "title": "t" })).await);
    assert!(!takes(&place, people()).await);
}

#[tokio::test]
async fn what_only_warned_does_not_refuse_and_comes_back() {
    for validation in [
        doc! { "validator": { "title": { "$exists": true } }, "validationAction": "warn" },
        doc! { "validator": { "title": { "$exists": true } }, "validationLevel": "off" },
    ] {
        let (place, migrator) = place_with(validation).await;
        let before = options(&place).await;
        let lease = migrator.lease("test").await.unwrap();
        migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap();
        assert!(takes(&place, doc! { "participants": ["c", "d"], "participantsKey": "c_d" }).await);
        assert!(!takes(&place, doc! { "participants": ["c", "d"], "title": "t" }).await);
        migrator.rollback(&lease).await.unwrap();
        assert_eq!(options(&place).await, before);
    }
}

#[tokio::test]
async fn a_requirement_that_was_cut_off_half_way_is_completed() {
    let titled = doc! { "title": { "$exists": true } };
    let (place, migrator) = place_with(doc! { "validator": titled.clone() }).await;
    let before = options(&place).await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap();
    // As it was after the note and before the change.
    change(&place, doc! { "validator": titled, "validationLevel": "strict", "validationAction": "error" })
        .await;
    assert!(!migrator.protection().await.unwrap().requires_key);
    assert!(migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap().requires_key);
    migrator.rollback(&lease).await.unwrap();
    assert_eq!(options(&place).await, before);
    // As it was after the change back and before the note was removed: nothing is given back twice.
    assert!(migrator.rollback(&lease).await.unwrap().is_empty());
    assert_eq!(options(&place).await, before);
}

#[tokio::test]
async fn a_validator_that_was_changed_since_loses_only_what_we_added() {
    let (place, migrator) = place_with(doc! { "validator": { "title": { "$exists": true } } }).await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap();
    let mut now = options(&place).await.get_document("validator").unwrap().clone();
    now.get_array_mut("$and").unwrap().push(doc! { "kind": "direct" }.into());
    change(&place, doc! { "validator": now }).await;
    migrator.rollback(&lease).await.unwrap();
    let rest = doc! { "$and": [{ "title": { "$exists": true } }, { "kind": "direct" }] };
    assert_eq!(options(&place).await.get_document("validator").unwrap(), &rest);
}

#[tokio::test]
async fn servers_are_not_in_its_way() {
    let (place, migrator) = place_with(doc! {}).await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap();
    let (store, world) = (place.store().await, World::default());
    store.create_or_get(world.proposal(&["a", "b"])).await.unwrap();
    let chat = store.create_or_get(world.proposal(&["c", "d"])).await.unwrap().chat;
    store.send(world.message(&chat.id, "c", "m1")).await.unwrap().unwrap();
    migrator.rollback(&lease).await.unwrap();
    assert!(takes(&place, doc! { "participants": ["c", "d"] }).await);
}
