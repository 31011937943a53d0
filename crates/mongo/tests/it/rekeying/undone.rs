//! A rekeying that is interrupted, resumed, and undone.

use mongodb::bson::oid::ObjectId;
use onechat_mongo::UndoTarget;

use super::*;

async fn cut_off_gone_on_with_and_taken_back(deployment: &Deployment) {
    let (place, world) = (Place::on(deployment).await, World::default());
    let (old, new) = (joined(), rekeyed(&joined()));
    let chats = (0..2500).map(|n| {
        let people = pair(n);
        let key = key(&people.each_ref().map(String::as_str), KeyFormat::Joined);
        doc! { "_id": ObjectId::from_parts(u32::try_from(n).expect("it is small"), [7; 5], [0; 3]), "participants": people.to_vec(), OLD: key }
    });
    place.chats().insert_many(chats).await.expect("it answers");
    // The migration of the previous keys was itself cut off once, behind all of these chats.
    let of_old = migrator(&place, &old).await;
    let lease = of_old.lease("test").await.expect("nobody else is at work");
    let first_run = of_old.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
    of_old.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    of_old.backfill(Some(&lease), Some(&first_run), false, &Uncontrolled).await.expect("it answers");
    of_old.enforce(Some(&lease), false, &Uncontrolled).await.expect("it answers");
    lease.release().await.expect("it answers");
    let before = all(&place).await;

    let of_new = migrator(&place, &new).await;
    let lease = of_new.lease("test").await.expect("nobody else is at work");
    let stops = StopsAfter::new(1500);
    let stopped = migrate_with(&of_new, &lease, &stops).await;
    assert!(matches!(&stopped, Err(MigrateError::Stopped(_))), "{stopped:?}");
    let keyed = keys(&place).await.iter().filter(|(_, key)| key.is_some()).count();
    assert!((1..2500).contains(&keyed), "{keyed}");
    // Servers of both configurations, half-way.
    let stores = [place.store_with(old.clone()).await, place.store_with(new.clone()).await];
    for n in [1, 2, 2401, 2402] {
        for store in &stores {
            assert_eq!(open(store, &world, n).await.kind, OutcomeKind::Existing, "pair {n}");
        }
    }
    let done = migrate_with(&of_new, &lease, &Uncontrolled).await.expect("nothing is in the way");
    assert_ne!(done.run, first_run, "a run that gave other keys was resumed");
    assert_eq!(done.backfill.examined, 2500, "{done:?}");
    assert!(keys(&place).await.iter().all(|(before, after)| before.is_some() && after.is_some()));

    // A run is undone with the configuration that it was made with.
    of_new.rollback(&lease).await.expect("it answers");
    for (migrator, run) in [(&of_new, &first_run), (&of_old, &done.run)] {
        let dry = migrator.undo(None, &UndoTarget::Run(run.clone()), true, &Uncontrolled).await;
        assert!(matches!(&dry, Err(MigrateError::Refused(why)) if why.contains("gave keys in")), "{dry:?}");
    }
    let target = UndoTarget::Run(done.run);
    let undone = of_new.undo(Some(&lease), &target, false, &Uncontrolled).await.expect("it answers");
    assert!(undone.conflicts.is_empty(), "{undone:?}");
    let mut after = all(&place).await;
    // What servers gave when they were asked is in no journal, and is in nobody's way.
    let adopted = after.iter_mut().filter_map(|chat| chat.remove(KEY)).count();
    assert!(adopted <= 2, "{adopted}");
    assert_eq!(after, before);
    let server = place.store_with(old).await;
    race(&place, &world, &[&stores[0], &server], 2500..2510).await;
    assert_eq!(open(&server, &world, 7).await.kind, OutcomeKind::Existing);
    // And begun anew.
    let done = migrate_with(&of_new, &lease, &Uncontrolled).await.expect("nothing is in the way");
    assert!(done.enforce.is_unique && done.enforce.without_key == 0, "{done:?}");
    assert!(keys(&place).await.iter().all(|(before, after)| before.is_some() && after.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_gone_on_with_and_taken_back_on_a_standalone_server() {
    cut_off_gone_on_with_and_taken_back(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_gone_on_with_and_taken_back_on_a_replica_set() {
    cut_off_gone_on_with_and_taken_back(shared_replica_set().await).await;
}
