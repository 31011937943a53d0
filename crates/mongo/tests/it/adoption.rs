//! Chats without their key while servers serve: adopted, or a duplicate is born.

use std::sync::Arc;

use futures_util::{TryStreamExt as _, future::join_all};
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_core::{OutcomeKind, ResolveError, ports::ChatStore};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{Mapping, MongoChatStore, MongoOptions, ValueForm};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::support::{Place, World, chat_of, joined};

/// A place with this history and the guard on.
async fn guarded(deployment: &Deployment, chats: &[Document], options: &MongoOptions) -> Place {
    let place = Place::on(deployment).await;
    place.chats().insert_many(chats).await.expect("the database answers");
    let migrator = place.migrator_with(options).await;
    let lease = migrator.lease("test").await.expect("the database answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
    lease.release().await.expect("the database answers");
    place
}

async fn all(place: &Place) -> Vec<Document> {
    place
        .chats()
        .find(doc! {})
        .await
        .expect("the database answers")
        .try_collect()
        .await
        .expect("the database answers")
}

fn adopted(store: &MongoChatStore) -> u64 {
    let mut registry = Registry::default();
    store.register_metrics(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("the database answers");
    let line = text.lines().find_map(|line| line.strip_prefix("onechat_mongo_adopted_chats_total "));
    line.expect("the metric is there").parse().expect("the database answers")
}

/// Who looks by key alone does not see what history has left. That is what `enforced` promises servers they may do,
/// so noting it too early shows what would happen without adoption.
#[tokio::test]
async fn without_adoption_a_chat_of_old_gets_a_duplicate() {
    let old = ObjectId::new();
    let chat = doc! { "_id": old, "participants": ["ann", "bob"] };
    for (state, kind, count) in [("enforced", OutcomeKind::Created, 2), ("guarded", OutcomeKind::Existing, 1)]
    {
        let place =
            guarded(shared_standalone().await, std::slice::from_ref(&chat), &MongoOptions::default()).await;
        place.tell(state).await;
        let (store, world) = (place.store().await, World::default());
        let outcome = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap();
        assert_eq!((outcome.kind, all(&place).await.len()), (kind, count), "{state}");
    }
}

/// A chat for each way in which a key can be missing or wrong, and participants written.
fn shapes(round: usize) -> Vec<([String; 2], Document)> {
    let people = |shape: &str| [format!("ann{round}"), format!("{shape}{round}")];
    let chat = |of: &[String; 2]| doc! { "_id": ObjectId::new(), "participants": of.to_vec() };
    let keyed = |key: Bson| {
        move |mut chat: Document| {
            chat.insert("participantsKey", key.clone());
            chat
        }
    };
    let mut shapes = Vec::new();
    for (shape, key) in
        [("null", Bson::Null), ("empty", "".into()), ("wrong", format!("bob{round}_carol{round}").into())]
    {
        let of = people(shape);
        shapes.push((of.clone(), keyed(key)(chat(&of))));
    }
    let of = people("missing");
    shapes.push((of.clone(), chat(&of)));
    let of = people("reversed");
    let reversed = [of[1].clone(), of[0].clone()];
    shapes.push((of, chat(&reversed)));
    let of = people("repeated");
    let repeated = vec![of[1].clone(), of[0].clone(), of[1].clone()];
    shapes.push((of, doc! { "_id": ObjectId::new(), "participants": repeated }));
    // People whose ids are ObjectIds, of whom one was written as such and the other as text.
    let (one, two) = (ObjectId::new(), ObjectId::new());
    let mixed = doc! { "_id": ObjectId::new(), "participants": [one, two.to_hex()] };
    shapes.push(([one.to_hex(), two.to_hex()], mixed));
    shapes
}

async fn one_chat_each(deployment: &Deployment) {
    const CALLERS: usize = 16;
    let history: Vec<_> = (0..4).flat_map(shapes).collect();
    let documents: Vec<Document> = history.iter().map(|(_, chat)| chat.clone()).collect();
    let place = guarded(deployment, &documents, &MongoOptions::default()).await;
    let (stores, world) = ([place.store().await, place.store().await], Arc::new(World::default()));
    let calls = history.iter().flat_map(|(people, chat)| {
        let id = chat.get_object_id("_id").expect("the database answers").to_hex();
        (0..CALLERS).map({
            let (stores, world) = (stores.clone(), Arc::clone(&world));
            move |caller| {
                let (store, world) = (Arc::clone(&stores[caller % 2]), Arc::clone(&world));
                let (people, id) = (people.clone(), id.clone());
                tokio::spawn(async move {
                    let people = people.each_ref().map(String::as_str);
                    let chat = if caller % 8 == 7 {
                        store
                            .lookup(&chat_of(&people))
                            .await
                            .expect("the database answers")
                            .expect("it is there")
                    } else {
                        let outcome =
                            store.create_or_get(world.proposal(&people)).await.expect("the database answers");
                        assert_eq!(outcome.kind, OutcomeKind::Existing, "{people:?}");
                        outcome.chat
                    };
                    assert_eq!(chat.id.as_str(), id, "{people:?}");
                })
            }
        })
    });
    for call in join_all(calls.collect::<Vec<_>>()).await {
        call.expect("the database answers");
    }
    let after = all(&place).await;
    assert_eq!(after.len(), history.len());
    for (people, before) in &history {
        let mut wanted = before.clone();
        let mut sorted = people.clone();
        sorted.sort();
        wanted.insert("participantsKey", sorted.join("_"));
        assert!(after.contains(&wanted), "{wanted} is not among {after:?}");
    }
    let adopted = stores.iter().map(|store| adopted(store)).sum::<u64>();
    assert_eq!(adopted, history.len() as u64, "each was adopted once, whoever it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_each_chat_of_old_is_adopted_once() {
    one_chat_each(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_each_chat_of_old_is_adopted_once_on_a_replica_set() {
    one_chat_each(shared_replica_set().await).await;
}

/// An old backend creates a chat with a key in the moment in which servers adopt the one that was there: one of them
/// gets the key, and everybody is told of that one.
async fn the_index_decides(deployment: &Deployment) {
    const SETS: usize = 100;
    let name = |n: usize| format!("friend{n}");
    let history: Vec<Document> =
        (0..SETS).map(|n| doc! { "_id": ObjectId::new(), "participants": ["ann", name(n)] }).collect();
    let place = guarded(deployment, &history, &MongoOptions::default()).await;
    let (stores, world) = ([place.store().await, place.store().await], World::default());
    let races = (0..SETS).map(|n| {
        let (chats, name) = (place.chats(), name(n));
        let (one, two) = (world.proposal(&["ann", &name]), world.proposal(&[&name, "ann"]));
        let key = format!("ann_{name}");
        let rival = doc! { "participants": ["ann", &name], "participantsKey": &key };
        let [first, second] = stores.clone();
        async move {
            let (one, two, rival) =
                tokio::join!(first.create_or_get(one), second.create_or_get(two), chats.insert_one(rival));
            (key, one.expect("the database answers"), two.expect("the database answers"), rival.is_ok())
        }
    });
    let mut won_by_rival = 0;
    for (key, one, two, rival_won) in join_all(races).await {
        let keyed: Vec<Document> = place
            .chats()
            .find(doc! { "participantsKey": &key })
            .await
            .expect("the database answers")
            .try_collect()
            .await
            .expect("the database answers");
        assert_eq!(keyed.len(), 1, "{key}");
        let id = keyed[0].get_object_id("_id").expect("the database answers").to_hex();
        assert_eq!([one.chat.id.as_str(), two.chat.id.as_str()], [&*id, &*id], "{key}");
        assert!(one.kind != OutcomeKind::Created && two.kind != OutcomeKind::Created);
        won_by_rival += usize::from(rival_won);
    }
    println!("the old backend won {won_by_rival} of {SETS} races");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_an_adoption_and_an_insert_the_index_lets_one_through() {
    the_index_decides(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_an_adoption_and_an_insert_the_index_lets_one_through_on_a_replica_set() {
    the_index_decides(shared_replica_set().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_the_oldest_is_adopted_unless_one_has_the_key() {
    let at = |ms: i64| DateTime::from_millis(ms);
    let (oldest, keyed) = (ObjectId::new(), ObjectId::new());
    let history = [
        doc! { "participants": ["ann", "bob"], "createdAt": at(3000) },
        doc! { "_id": oldest, "participants": ["bob", "ann"], "createdAt": at(1000) },
        doc! { "participants": ["ann", "bob", "ann"], "createdAt": at(2000), "participantsKey": "bob_ann" },
        doc! { "participants": ["ann", "carol"], "createdAt": at(1000) },
        doc! { "_id": keyed, "participants": ["ann", "carol"], "createdAt": at(2000), "participantsKey": "ann_carol" },
    ];
    let place = guarded(shared_standalone().await, &history, &MongoOptions::default()).await;
    let (stores, world) = ([place.store().await, place.store().await], World::default());
    for (other, id) in [("bob", oldest), ("carol", keyed)] {
        let calls = (0..40).map(|n| stores[n % 2].create_or_get(world.proposal(&["ann", other])));
        for outcome in join_all(calls).await {
            assert_eq!(outcome.unwrap().chat.id.as_str(), id.to_hex(), "{other}");
        }
    }
    let with_key = doc! { "participantsKey": { "$in": ["ann_bob", "ann_carol"] } };
    assert_eq!(place.chats().count_documents(with_key).await.unwrap(), 2);
    assert_eq!(all(&place).await.len(), history.len());
}

/// Keys in the format `joined` cannot tell `a_b, c` from `a, b_c`.
#[tokio::test]
async fn a_stranger_who_has_the_key_keeps_it() {
    let (theirs, ours) = (ObjectId::new(), ObjectId::new());
    let history = [
        doc! { "_id": theirs, "participants": ["a_b", "c"], "participantsKey": "a_b_c" },
        doc! { "_id": ours, "participants": ["a", "b_c"] },
    ];
    let place = guarded(shared_standalone().await, &history, &joined()).await;
    let (store, world) = (place.store_with(joined()).await, World::default());
    // It cannot be adopted, but it is there.
    let outcome = store.create_or_get(world.proposal(&["a", "b_c"])).await.unwrap();
    assert_eq!((outcome.kind, outcome.chat.id.as_str()), (OutcomeKind::Existing, &*ours.to_hex()));
    let outcome = store.create_or_get(world.proposal(&["a_b", "c"])).await.unwrap();
    assert_eq!(outcome.chat.id.as_str(), theirs.to_hex());
    let refused = store.create_or_get(world.proposal(&["a", "b", "c"])).await.unwrap_err();
    assert!(
        matches!(&refused, ResolveError::Collision(of) if of.holder.as_str() == theirs.to_hex()),
        "{refused:?}"
    );
    assert_eq!(all(&place).await, history, "nothing may have changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_sets_with_one_key_share_no_chat_when_both_are_of_old() {
    let (one, other) = (ObjectId::new(), ObjectId::new());
    let history = [
        doc! { "_id": one, "participants": ["a_b", "c"] },
        doc! { "_id": other, "participants": ["a", "b_c"] },
    ];
    let place = guarded(shared_standalone().await, &history, &joined()).await;
    let (store, world) = (place.store_with(joined()).await, World::default());
    let calls = (0..60).map(|n| {
        let (names, id) = if n % 2 == 0 { (["a_b", "c"], one) } else { (["b_c", "a"], other) };
        let call = store.create_or_get(world.proposal(&names));
        async move { (call.await, id) }
    });
    for (answer, id) in join_all(calls).await {
        match answer {
            Ok(outcome) => assert_eq!(outcome.chat.id.as_str(), id.to_hex()),
            // Both were adopted at once, and the other set got the key.
            Err(ResolveError::Collision(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(all(&place).await.len(), 2);
    assert_eq!(place.chats().count_documents(doc! { "participantsKey": "a_b_c" }).await.unwrap(), 1);
}

#[tokio::test]
async fn people_in_sub_documents_are_found_too() {
    let mapping = Mapping {
        participant_form: ValueForm::ObjectId,
        participant_path: Some("user.id".to_owned()),
        ..Mapping::default()
    };
    let options = MongoOptions { mapping, ..MongoOptions::default() };
    let (ann, bob, old) = (ObjectId::new(), ObjectId::new(), ObjectId::new());
    let history = [doc! {
        "_id": old, "messages": [{ "text": "hello" }],
        "participants": [{ "user": { "id": bob, "name": "Bob" }, "muted": true }, { "user": { "id": ann } }],
    }];
    let place = guarded(shared_standalone().await, &history, &options).await;
    let (store, world) = (place.store_with(options).await, World::default());
    let names = [ann.to_hex(), bob.to_hex()];
    let outcome = store.create_or_get(world.proposal(&names.each_ref().map(String::as_str))).await.unwrap();
    assert_eq!((outcome.kind, outcome.chat.id.as_str()), (OutcomeKind::Existing, &*old.to_hex()));
    let mut wanted = history[0].clone();
    wanted.insert("participantsKey", outcome.chat.participants_key.as_str());
    assert_eq!(all(&place).await, [wanted]);
}
