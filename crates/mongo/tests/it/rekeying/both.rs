//! What servers of both configurations write, and what it costs.

use super::*;

/// Commands on the chats that the profiler saw.
async fn commands(place: &Place) -> u64 {
    let profile = place.database.collection::<Document>("system.profile");
    let on_chats = doc! { "ns": format!("{}.chats", place.database.name()), "command.listIndexes": null };
    profile.count_documents(on_chats).await.expect("it answers")
}

#[tokio::test]
async fn a_get_costs_what_it_did_and_a_new_chat_one_more_lookup() {
    let (place, world) = (Place::fresh().await, World::default());
    let new = rekeyed(&joined());
    let before = place.store_with(joined()).await;
    open(&before, &world, 0).await;
    migrate(&place, &new).await;
    let store = place.store_with(new.clone()).await;
    open(&before, &world, 1).await;
    place.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let cost = async |n: usize| {
        let before = commands(&place).await;
        open(&store, &world, n).await;
        commands(&place).await - before
    };
    assert_eq!(cost(0).await, 1, "a get");
    assert_eq!(
        cost(1).await,
        4,
        "one that a server of the previous keys has made: two finds, an update, a find"
    );
    assert_eq!(cost(1).await, 1, "the same again");
    assert_eq!(cost(2).await, 3, "a new chat: two finds and an insert");
    finish(&place, &new).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(cost(3).await, 2, "a new chat once the previous keys are gone");
}

/// Chats that an old backend wrote without any key, on a collection whose servers do not look for such any more: who gives
/// them the new key gives them the previous one too, and with it to the other servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_adopts_gives_both_keys() {
    let (place, world) = (Place::fresh().await, World::default());
    let (old, new) = (joined(), rekeyed(&joined()));
    let before = place.store_with(old.clone()).await;
    open(&before, &world, 9).await;
    migrate(&place, &old).await;
    let unkeyed = (0..6).map(|n| doc! { "participants": pair(n).to_vec() });
    place.chats().insert_many(unkeyed).await.unwrap();
    let guarding = migrator(&place, &new).await;
    let lease = guarding.lease("test").await.unwrap();
    guarding.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    lease.release().await.unwrap();

    let after = place.store_with(new).await;
    for n in 0..6 {
        for store in [&after, &before, &after] {
            assert_eq!(open(store, &world, n).await.kind, OutcomeKind::Existing, "pair {n}");
        }
    }
    let keys = keys(&place).await;
    assert_eq!(keys.len(), 7, "an unkeyed chat was created a second time");
    let adopted = keys.iter().filter(|(before, after)| before.is_some() && after.is_some()).count();
    assert_eq!(adopted, 6, "{keys:?}");
}

/// The survivor of a merge may be one that servers of the previous keys do not find: then it takes their key over.
async fn a_merge_takes_the_previous_key_along(deployment: &Deployment) {
    let (place, world) = (Place::on(deployment).await, World::default());
    let (old, new) = (joined(), rekeyed(&joined()));
    let store = place.store_with(old.clone()).await;
    let made = open(&store, &world, 1).await.chat;
    // The old backend that is older than all keys.
    let oldest = mongodb::bson::oid::ObjectId::from_bytes([1; 12]);
    place
        .chats()
        .insert_one(doc! { "_id": oldest, "participants": pair(1).to_vec() })
        .await
        .expect("it answers");
    let before = all(&place).await;
    let done = migrate(&place, &new).await;
    assert_eq!((done.merge.groups, done.merge.blocked), (1, 0), "{done:?}");
    let keyed = keys(&place).await;
    assert_eq!(keyed, [(Some("u1_v1".to_owned()), Some("u1_v1".to_owned()))]);
    let again = open(&store, &world, 1).await;
    assert_eq!((again.kind, again.chat.id.as_str()), (OutcomeKind::Existing, &*oldest.to_hex()));

    let migrator = migrator(&place, &new).await;
    let lease = migrator.lease("test").await.expect("nobody else is at work");
    migrator.rollback(&lease).await.expect("it answers");
    let target = onechat_mongo::UndoTarget::Run(done.run);
    let undone = migrator.undo(Some(&lease), &target, false, &Uncontrolled).await.expect("it answers");
    assert_eq!((undone.groups, undone.conflicts.len()), (1, 0), "{undone:?}");
    assert_eq!(all(&place).await, before);
    assert_eq!(open(&store, &world, 1).await.chat.id, made.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_the_previous_key_along_on_a_standalone_server() {
    a_merge_takes_the_previous_key_along(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_the_previous_key_along_on_a_replica_set() {
    a_merge_takes_the_previous_key_along(shared_replica_set().await).await;
}

/// A primary that was cut off may not have heard of a chat, by whichever key it is looked for.
#[tokio::test]
async fn that_there_is_no_chat_is_asked_of_a_sure_primary_by_both_keys() {
    let (place, world) = (Place::on(shared_replica_set().await).await, World::default());
    let new = rekeyed(&joined());
    open(&*place.store_with(joined()).await, &world, 0).await;
    migrate(&place, &new).await;
    let store = place.store_with(new).await;
    place.database.run_command(doc! { "profile": 2 }).await.unwrap();
    assert_eq!(store.lookup(&chat_of(&["ann", "bob"])).await.unwrap(), None);
    let profile = place.database.collection::<Document>("system.profile");
    for field in [KEY, OLD] {
        let sure = doc! {
            "command.readConcern.level": "linearizable", format!("command.filter.{field}"): { "$exists": true },
        };
        assert_eq!(profile.count_documents(sure).await.unwrap(), 1, "by {field}");
    }
}
