//! What the previous keys still forbid, what a configuration has to say, and other terms than the format.

use super::*;
use onechat_mongo::Filter;

fn proposal(world: &World, names: &[&str], context: &str) -> Proposal {
    let context = Some(Context::new(context).expect("it is a context"));
    Proposal { identity: ChatIdentity { context, ..chat_of(names) }, ..world.proposal(names) }
}

/// Chats get contexts: until the end a second chat of the same people is refused, since servers that know no contexts would
/// be handed either of them; afterwards there may be one for each.
async fn contexts_come(deployment: &Deployment) {
    let (place, world) = (Place::on(deployment).await, World::default());
    let old = MongoOptions::default();
    let new = about("listing", &rekeyed(&old));
    let before = place.store_with(old.clone()).await;
    for n in 0..10 {
        open(&before, &world, n).await;
    }
    migrate(&place, &new).await;
    let stores = [before, place.store_with(new.clone()).await];
    race(&place, &world, &[&stores[0], &stores[1]], 0..30).await;
    // One that is about something, and that servers of the previous keys take for the chat of these people.
    let lamp =
        stores[1].create_or_get(proposal(&world, &["ann", "bob"], "lamp")).await.expect("it is the first");
    assert_eq!(lamp.kind, OutcomeKind::Created);
    let taken = stores[0].create_or_get(world.proposal(&["ann", "bob"])).await.expect("it finds that one");
    assert_eq!(taken.chat.id, lamp.chat.id);
    for other in [proposal(&world, &["ann", "bob"], "sofa"), world.proposal(&["bob", "ann"])] {
        let identity = other.identity.clone();
        let refused = stores[1].create_or_get(other).await;
        assert!(
            matches!(&refused, Err(ResolveError::Collision(of)) if of.holder == lamp.chat.id),
            "{refused:?}"
        );
        assert_eq!(stores[1].lookup(&identity).await.expect("there is none"), None);
    }
    migrate(&place, &new).await;
    finish(&place, &new).await.expect("all have their keys");
    let sofa =
        stores[1].create_or_get(proposal(&world, &["ann", "bob"], "sofa")).await.expect("it may be now");
    let plain = stores[1].create_or_get(world.proposal(&["bob", "ann"])).await.expect("it may be now");
    assert_eq!([sofa.kind, plain.kind], [OutcomeKind::Created; 2]);
    let again =
        stores[1].create_or_get(proposal(&world, &["ann", "bob"], "lamp")).await.expect("it is there");
    assert_eq!((again.kind, again.chat.id), (OutcomeKind::Existing, lamp.chat.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contexts_come_on_a_standalone_server() {
    contexts_come(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contexts_come_on_a_replica_set() {
    contexts_come(shared_replica_set().await).await;
}

/// Contexts go, once every server has the new configuration: chats of the same people become one.
#[tokio::test(flavor = "multi_thread")]
async fn contexts_go() {
    let (place, world) = (Place::fresh().await, World::default());
    let old = about("listing", &MongoOptions::default());
    let mut new = rekeyed(&old);
    new.mapping.fields.context = None;
    let before = place.store_with(old).await;
    for listing in ["lamp", "sofa", "shelf"] {
        before.create_or_get(proposal(&world, &["ann", "bob"], listing)).await.unwrap();
    }
    drop(before);
    let migrator = migrator(&place, &new).await;
    let rules = MergeRules {
        fields: [("listing".to_owned(), onechat_migrate::FieldRule::Survivor)].into(),
        names: FieldNames {
            participants_key: KEY.to_owned(),
            previous_key: Some(OLD.to_owned()),
            ..FieldNames::default()
        },
        ..MergeRules::default()
    };
    let lease = migrator.lease("test").await.unwrap();
    let merging = MongoMigrator::connect(&place.url, &new, rules).await.unwrap();
    let done = migrate_with(&merging, &lease, &Uncontrolled).await.unwrap();
    lease.release().await.unwrap();
    assert_eq!((done.merge.groups, done.merge.losers), (1, 2), "{done:?}");
    assert_eq!(keys(&place).await, [(Some("%in:lamp_ann_bob".to_owned()), Some("ann_bob".to_owned()))]);
    // One that came from a server of the previous configuration after all is found by its participants.
    let late = doc! { "participants": ["ann", "carol"], "listing": "lamp", OLD: "%in:lamp_ann_carol" };
    let late = place.chats().insert_one(late).await.unwrap().inserted_id;
    let store = place.store_with(new.clone()).await;
    let found = store.create_or_get(world.proposal(&["ann", "carol"])).await.unwrap();
    assert_eq!(found.chat.id.as_str(), late.as_object_id().unwrap().to_hex());
    finish(&place, &new).await.unwrap();
    assert_eq!(
        keys(&place).await,
        [(None, Some("ann_bob".to_owned())), (None, Some("ann_carol".to_owned()))]
    );
}

/// Only some of the documents are to be under the guarantee: the others lose nothing but their previous key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_filter() {
    let (place, world) = (Place::fresh().await, World::default());
    let old = MongoOptions::default();
    let mut new = rekeyed(&old);
    let only: Filter = r#"{"isGroup":{"$ne":true}}"#.parse().unwrap();
    new.mapping.only = Some(only);
    let before = place.store_with(old).await;
    for n in 0..10 {
        open(&before, &world, n).await;
    }
    let people = pair(3);
    let group = doc! { "$set": { "isGroup": true } };
    place.chats().update_one(doc! { "participants": people.to_vec() }, group).await.unwrap();
    migrate(&place, &new).await;
    let store = place.store_with(new.clone()).await;
    race(&place, &world, &[&before, &store], 10..30).await;
    // The group has the previous key of its people, by which servers of the previous configuration find it.
    let refused = store.create_or_get(world.proposal(&people.each_ref().map(String::as_str))).await;
    assert!(
        matches!(&refused, Err(ResolveError::Store(StoreError::Refused(why))) if why.contains("participantsKey")),
        "{refused:?}"
    );
    assert_eq!(open(&before, &world, 3).await.kind, OutcomeKind::Existing);
    migrate(&place, &new).await;
    let report = finish(&place, &new).await.unwrap();
    assert_eq!(report.cleared, 30, "{report:?}");
    assert_eq!(open(&store, &world, 3).await.kind, OutcomeKind::Created);
    assert_eq!(place.chats().count_documents(doc! { "isGroup": true, KEY: null }).await.unwrap(), 1);
}

/// `a_b` and `c`, and `a` and `b_c`, have one joined key: until it is gone only one of them has a chat.
#[tokio::test(flavor = "multi_thread")]
async fn two_sets_with_one_previous_key() {
    let (place, world) = (Place::fresh().await, World::default());
    let new = rekeyed(&joined());
    let before = place.store_with(joined()).await;
    let theirs = before.create_or_get(world.proposal(&["a_b", "c"])).await.unwrap().chat;
    // Without any key, as an old backend writes it.
    let unkeyed = doc! { "participants": ["x", "y_z"] };
    place.chats().insert_one(unkeyed.clone()).await.unwrap();
    before.create_or_get(world.proposal(&["x_y", "z"])).await.unwrap();
    let migrator = migrator(&place, &new).await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    let store = place.store_with(new.clone()).await;
    let refused = store.create_or_get(world.proposal(&["a", "b_c"])).await;
    assert!(matches!(&refused, Err(ResolveError::Collision(of)) if of.holder == theirs.id), "{refused:?}");
    assert_eq!(store.lookup(&chat_of(&["a", "b_c"])).await.unwrap(), None);
    let found = store.create_or_get(world.proposal(&["x", "y_z"])).await.unwrap();
    assert_eq!(found.kind, OutcomeKind::Existing, "it is there, though it cannot have both keys");
    migrate_with(&migrator, &lease, &Uncontrolled).await.unwrap();
    lease.release().await.unwrap();
    let again = store.create_or_get(world.proposal(&["x", "y_z"])).await.unwrap();
    assert_eq!((again.kind, &again.chat.id), (OutcomeKind::Existing, &found.chat.id));
    finish(&place, &new).await.unwrap();
    let ours = store.create_or_get(world.proposal(&["a", "b_c"])).await.unwrap();
    assert_eq!(ours.kind, OutcomeKind::Created);
}

/// Servers of the previous keys rely on their index, so those of both do too.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_previous_index_nothing_is_created() {
    let (place, world) = (Place::fresh().await, World::default());
    let new = rekeyed(&joined());
    let before = place.store_with(joined()).await;
    open(&before, &world, 0).await;
    migrate(&place, &new).await;
    let store = place.store_with(new).await;
    open(&store, &world, 1).await;
    place.chats().drop_index("onechat_participantsKey").await.unwrap();
    while store.ready().await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let people = pair(2);
    let refused = store.create_or_get(world.proposal(&people.each_ref().map(String::as_str))).await;
    assert!(
        matches!(&refused, Err(ResolveError::Store(StoreError::Unprotected(why))) if why.contains("participantsKey")),
        "{refused:?}"
    );
    assert_eq!(open(&store, &world, 1).await.kind, OutcomeKind::Existing, "what is there is found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_does_not_start() {
    let (place, world) = (Place::fresh().await, World::default());
    let new = rekeyed(&joined());
    let of = async |options: &MongoOptions| {
        let of_store = MongoChatStore::connect(&place.url, options.clone()).await.err();
        let of_migrator = MongoMigrator::connect(&place.url, options, MergeRules::default()).await.err();
        let of_store = of_store.expect("it does not start").to_string();
        assert_eq!(Some(&of_store), of_migrator.map(|error| error.to_string()).as_ref());
        of_store
    };
    // Nobody has keys yet.
    let why = of(&new).await;
    assert!(why.contains("no server has noted that it has keys there"), "{why}");
    place.chats().insert_one(doc! { "participants": pair(0).to_vec() }).await.unwrap();
    drop(place.store_with(joined()).await);
    let why = of(&new).await;
    assert!(why.contains("not migrated by these keys"), "{why}");
    migrate(&place, &joined()).await;
    let mut other = new.clone();
    other.mapping.previous.as_mut().unwrap().key_format = KeyFormat::Escaped;
    let why = of(&other).await;
    assert!(why.contains("in the format joined: set key_format to it"), "{why}");
    let mut other = new.clone();
    other.mapping.previous.as_mut().unwrap().context = Some("listing".to_owned());
    let why = of(&other).await;
    assert!(why.contains("without a context: leave context out"), "{why}");
    let mut other = new.clone();
    other.mapping.fields.participants_key = OLD.to_owned();
    let why = of(&other).await;
    assert!(why.contains("\"participantsKey\" is the name of two fields"), "{why}");
    let why = of(&alone(&new)).await;
    assert!(why.contains("the keys in chats are in the field participantsKey"), "{why}");

    migrate(&place, &new).await;
    // A server of these keys alone would create what those of the previous ones have.
    let why = of(&alone(&new)).await;
    assert!(why.contains("are replacing those in participantsKey"), "{why}");
    // Neither may it be turned round, or replaced before it is over.
    let mut turned = rekeyed(&alone(&new));
    turned.mapping.fields.participants_key = OLD.to_owned();
    turned.key_format = KeyFormat::Joined;
    let why = of(&turned).await;
    assert!(why.contains("are replacing others themselves"), "{why}");
    let mut rival = new.clone();
    rival.mapping.fields.participants_key = "key3".to_owned();
    let why = of(&rival).await;
    assert!(why.contains("the keys in key2 replace them already"), "{why}");
    let required = migrator(&place, &new).await;
    let lease = required.lease("test").await.unwrap();
    let refused = required.guard_on(&lease, true, &Uncontrolled).await;
    assert!(
        matches!(&refused, Err(MigrateError::Refused(why)) if why.contains("--require-key")),
        "{refused:?}"
    );
    lease.release().await.unwrap();
    // Who has the previous configuration still starts, and may still migrate.
    open(&*place.store_with(joined()).await, &world, 1).await;
    // Nor does one that was begun, and given up for another one.
    let given_up = migrator(&place, &new).await;
    let lease = given_up.lease("test").await.unwrap();
    given_up.rollback(&lease).await.unwrap();
    lease.release().await.unwrap();
    migrate(&place, &rival).await;
    finish(&place, &rival).await.unwrap();
    let why = of(&new).await;
    assert!(why.contains("the keys in key3 replace them already"), "{why}");
}

/// A merge takes the previous key from one chat to another, which no member of a replica set bears under an index that only
/// guards.
#[tokio::test(flavor = "multi_thread")]
async fn the_migration_of_the_previous_keys_has_to_be_over() {
    let place = Place::on(shared_replica_set().await).await;
    place.chats().insert_one(doc! { "participants": pair(0).to_vec(), OLD: "u0_v_0" }).await.unwrap();
    let of_old = migrator(&place, &joined()).await;
    let lease = of_old.lease("test").await.unwrap();
    of_old.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    let of_new = migrator(&place, &rekeyed(&joined())).await;
    let refused = migrate_with(&of_new, &lease, &Uncontrolled).await;
    assert!(
        matches!(&refused, Err(MigrateError::Refused(why)) if why.contains("onechat_participantsKey on the previous keys")),
        "{refused:?}"
    );
    lease.release().await.unwrap();
    migrate(&place, &joined()).await;
    migrate(&place, &rekeyed(&joined())).await;
}
