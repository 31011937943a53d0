//! The end of a rekeying: which servers stop, which continue, and what is refused too early.

use super::*;

async fn prepared(deployment: &Deployment, chats: usize) -> (Place, World, MongoOptions) {
    let (place, world) = (Place::on(deployment).await, World::default());
    let store = place.store_with(joined()).await;
    for n in 0..chats {
        open(&store, &world, n).await;
    }
    (place, world, rekeyed(&joined()))
}

/// A server of the previous configuration that nobody has ended: it is told to create nothing, and what it made last is not
/// lost.
async fn a_server_that_was_forgotten(deployment: &Deployment) {
    let (place, world, new) = prepared(deployment, 10).await;
    let forgotten = place.store_with(joined()).await;
    migrate(&place, &new).await;
    let store = place.store_with(new.clone()).await;
    // It makes one that nobody has asked the others for.
    open(&forgotten, &world, 10).await;
    let refused = finish(&place, &new).await.expect_err("a chat is without its key");
    let MigrateError::Refused(why) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("1 chats are without their new key") && why.contains("onechat migrate"), "{why}");
    open(&forgotten, &world, 11).await;
    migrate(&place, &new).await;
    finish(&place, &new).await.expect("all have their keys");

    let people = pair(12);
    let people = people.each_ref().map(String::as_str);
    let refused = forgotten.create_or_get(world.proposal(&people)).await;
    assert!(
        matches!(&refused, Err(ResolveError::Store(StoreError::NotMigrated(_)))),
        "a server of the previous keys creates chats that nobody else finds: {refused:?}"
    );
    for n in 0..12 {
        let made = open(&store, &world, n).await;
        assert_eq!(made.kind, OutcomeKind::Existing, "pair {n}");
        let people = pair(n);
        let found = forgotten.lookup(&chat_of(&people.each_ref().map(String::as_str))).await;
        assert_eq!(found.expect("it reads").expect("it is there").id, made.chat.id, "pair {n}");
    }
    // And whatever it is told, it does not count again.
    let starting = MongoChatStore::connect(&place.url, joined()).await.err();
    assert!(
        matches!(&starting, Some(OpenError::Retired { successor, .. }) if successor == KEY),
        "{starting:?}"
    );
    let indexes =
        onechat_mongo::MongoIndexes::connect(&place.url, &joined()).await.expect("it looks at no note");
    indexes.create().await.expect("there are no duplicates");
    // Longer than a server takes to notice an index: this one has to stay stopped.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let refused = forgotten.create_or_get(world.proposal(&people)).await;
    assert!(matches!(&refused, Err(ResolveError::Store(StoreError::NotMigrated(_)))), "{refused:?}");
    assert_eq!(all(&place).await.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_forgotten_on_a_standalone_server() {
    a_server_that_was_forgotten(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_forgotten_on_a_replica_set() {
    a_server_that_was_forgotten(shared_replica_set().await).await;
}

/// Both configurations ask for new pairs all the time while the end comes: the one is refused from some moment on, and there
/// is never a second chat.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_gets_a_second_chat_while_the_end_comes() {
    let (place, world, new) = prepared(shared_replica_set().await, 10).await;
    migrate(&place, &new).await;
    let (before, after) = (place.store_with(joined()).await, place.store_with(new.clone()).await);
    let asking = async {
        let mut refused = 0;
        for n in 10.. {
            let people = pair(n);
            let people = people.each_ref().map(String::as_str);
            let (one, other) = tokio::join!(
                before.create_or_get(world.proposal(&people)),
                after.create_or_get(world.proposal(&people))
            );
            let other = other.expect("a server of these keys is not stopped");
            match one {
                Ok(one) => assert_eq!(one.chat.id, other.chat.id, "pair {n}"),
                Err(ResolveError::Store(StoreError::NotMigrated(_))) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
            if refused > 300 {
                return n;
            }
        }
        unreachable!("it goes on until it is refused")
    };
    // What a server of the previous keys has made in the last moment is asked for at once by the other one here.
    let ending = async {
        loop {
            match finish(&place, &new).await {
                Ok(report) => return report,
                Err(MigrateError::Refused(_)) => migrate(&place, &new).await,
                Err(error) => panic!("{error:?}"),
            };
        }
    };
    let (last, report) = tokio::join!(asking, ending);
    assert_eq!(report.left, 0, "{report:?}");
    assert_eq!(all(&place).await.len(), last + 1);
    assert!(keys(&place).await.iter().all(|(before, after)| before.is_none() && after.is_some()));
}

#[tokio::test]
async fn it_may_be_cut_off_anywhere_and_repeated() {
    let (place, world, new) = prepared(shared_standalone().await, 0).await;
    let chats = (0..3000).map(|n| {
        let people = pair(n);
        let key = key(&people.each_ref().map(String::as_str), KeyFormat::Joined);
        doc! { "participants": people.to_vec(), OLD: key }
    });
    place.chats().insert_many(chats).await.unwrap();
    let theirs = doc! { "participants": ["x", "y"], OLD: 7 };
    place.chats().insert_one(theirs).await.unwrap();
    migrate(&place, &new).await;
    let store = place.store_with(new.clone()).await;
    let migrator = migrator(&place, &new).await;
    let lease = migrator.lease("test").await.unwrap();
    let foreseen = migrator.foresee_end_of_rekeying(&Uncontrolled).await.unwrap();
    assert_eq!((foreseen.cleared, foreseen.left, foreseen.counted), (3000, 1, true), "{foreseen:?}");
    for batches in 0..2 {
        let stopped = migrator.finish_rekeying(&lease, &StopsAfter::new(batches * 1000)).await;
        assert!(matches!(&stopped, Err(MigrateError::Stopped(_))), "{stopped:?}");
        let left = place.chats().count_documents(doc! { OLD: { "$type": "string" } }).await.unwrap();
        assert_eq!(left, 3000 - batches * 1000);
        assert_eq!(open(&store, &world, 1).await.kind, OutcomeKind::Existing);
    }
    let report = migrator.finish_rekeying(&lease, &Uncontrolled).await.unwrap();
    assert_eq!((report.cleared, report.left, report.counted), (2000, 1, false), "{report:?}");
    assert_eq!(report.examples.len(), 1, "{report:?}");
    assert_eq!(place.chats().count_documents(doc! { OLD: 7 }).await.unwrap(), 1);
    let again = migrator.finish_rekeying(&lease, &Uncontrolled).await.unwrap();
    assert_eq!((again.cleared, again.left), (0, 1), "{again:?}");
    assert!(again.dropped.is_empty());
}

#[tokio::test]
async fn before_its_time_it_is_refused_and_changes_nothing() {
    let (place, world, new) = prepared(shared_standalone().await, 3).await;
    let before = (all(&place).await, place.chats().list_index_names().await.unwrap());
    let of = async |options: &MongoOptions| match finish(&place, options).await {
        Err(MigrateError::Refused(why)) => why,
        other => panic!("it was not refused: {other:?}"),
    };
    let why = of(&joined()).await;
    assert!(why.contains("names no previous keys"), "{why}");
    let why = of(&new).await;
    assert!(why.contains("nothing has begun to replace the keys in participantsKey"), "{why}");
    assert_eq!((all(&place).await, place.chats().list_index_names().await.unwrap()), before);
    let migrator = migrator(&place, &new).await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    lease.release().await.unwrap();
    let why = of(&new).await;
    assert!(why.contains("the collection is guarded, 3 chats"), "{why}");
    assert_eq!(all(&place).await, before.0);
    // Those who know the previous keys alone are not stopped.
    open(&*place.store_with(joined()).await, &world, 9).await;
}

/// Keys that have replaced others are replaced in their turn.
#[tokio::test(flavor = "multi_thread")]
async fn after_one_there_may_be_another() {
    let (place, world, new) = prepared(shared_standalone().await, 5).await;
    migrate(&place, &new).await;
    finish(&place, &new).await.unwrap();
    let mut third = rekeyed(&alone(&new));
    third.mapping.fields.participants_key = "key3".to_owned();
    third.key_format = KeyFormat::Joined;
    migrate(&place, &third).await;
    // Whoever has not taken the first keys out of the configuration yet is none the worse.
    let stores = [&alone(&new), &new, &third].map(|options| place.store_with(options.clone()));
    let stores = join_all(stores).await;
    race(&place, &world, &[&stores[0], &stores[1], &stores[2]], 0..20).await;
    migrate(&place, &third).await;
    finish(&place, &third).await.unwrap();
    for retired in [joined(), alone(&new), new] {
        let refused = MongoChatStore::connect(&place.url, retired).await.err();
        assert!(
            matches!(&refused, Some(OpenError::Retired { successor, .. }) if successor == "key3"),
            "{refused:?}"
        );
    }
    let chats = all(&place).await;
    assert_eq!(chats.len(), 20);
    assert!(chats.iter().all(|chat| !chat.contains_key(OLD) && !chat.contains_key(KEY)));
}

/// The collection requires the previous key, which those of the new ones write until nobody needs it.
#[tokio::test(flavor = "multi_thread")]
async fn a_required_previous_key_is_required_no_more() {
    let (place, world) = (Place::fresh().await, World::default());
    let mut old = joined();
    old.mapping.only = Some(r#"{"isGroup":{"$ne":true}}"#.parse().unwrap());
    let new = rekeyed(&old);
    let theirs = doc! { "$jsonSchema": { "properties": { "title": { "bsonType": "string" } } } };
    let create = doc! { "create": "chats", "validator": theirs.clone() };
    place.database.run_command(create).await.unwrap();
    let of_old = migrator(&place, &old).await;
    let lease = of_old.lease("test").await.unwrap();
    of_old.guard_on(&lease, true, &Uncontrolled).await.unwrap();
    of_old.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    lease.release().await.unwrap();
    let before = place.store_with(old).await;
    open(&before, &world, 0).await;
    migrate(&place, &new).await;
    let store = place.store_with(new.clone()).await;
    race(&place, &world, &[&before, &store], 1..6).await;
    drop(before);
    migrate(&place, &new).await;
    finish(&place, &new).await.unwrap();
    open(&store, &world, 6).await;
    let list = place.database.list_collections().filter(doc! { "name": "chats" }).await.unwrap();
    let listed: Vec<_> = list.try_collect().await.unwrap();
    assert_eq!(listed[0].options.validator, Some(theirs), "it is not as it was");
}

/// Lets a server of the previous keys create a chat between the look whether all have their new key and the moment in which
/// such servers are told to stop.
struct LastMoment {
    server: Arc<MongoChatStore>,
    world: World,
    is_over: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Control for LastMoment {
    async fn pace(&self, _documents: u64) -> Result<(), Stopped> {
        if !self.is_over.swap(true, Ordering::SeqCst) {
            open(&self.server, &self.world, 50).await;
        }
        Ok(())
    }

    fn advance(&self, _step: &str, _done: u64, _total: u64) {}

    fn note(&self, _text: &str) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_in_the_last_moment_is_not_lost() {
    let (place, world, new) = prepared(shared_standalone().await, 3).await;
    migrate(&place, &new).await;
    let (server, store) = (place.store_with(joined()).await, place.store_with(new.clone()).await);
    let ending = migrator(&place, &new).await;
    let lease = ending.lease("test").await.unwrap();
    let last = LastMoment { server, world, is_over: false.into() };
    let refused = ending.finish_rekeying(&lease, &last).await;
    let Err(MigrateError::Refused(why)) = &refused else { panic!("{refused:?}") };
    let told = "Servers of the previous configuration create nothing any more, those of this one go on";
    assert!(why.contains("1 chats are without their new key") && why.contains(told), "{why}");
    lease.release().await.unwrap();
    // Servers of the new keys find it, whether they started before or after.
    for store in [&store, &place.store_with(new.clone()).await] {
        let people = pair(50);
        let found = store.lookup(&chat_of(&people.each_ref().map(String::as_str))).await.unwrap();
        assert!(found.is_some(), "a chat that was made is not found");
    }
    migrate(&place, &new).await;
    finish(&place, &new).await.unwrap();
    assert_eq!(open(&store, &last.world, 50).await.kind, OutcomeKind::Existing);
    assert_eq!(all(&place).await.len(), 4);
}
