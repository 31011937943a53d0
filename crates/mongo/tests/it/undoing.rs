//! Merge and undo: nothing happened. Whatever the collections hold.

use onechat_migrate::{MergeRules, Uncontrolled};
use onechat_mongo::{RunId, RunKind, UndoReport, UndoTarget};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    old_data::{OldData, any_rules, difference, dump, dump_all, migrator_with, old_data, rules},
    support::Place,
};

async fn merge_and_undo(
    deployment: &Deployment,
    data: &OldData,
    rules: MergeRules,
) -> Result<(), TestCaseError> {
    let place = Place::on(deployment).await;
    data.store(&place.database).await;
    let before = dump(&place.database).await;
    let migrator = migrator_with(&place, rules).await;
    let lease = migrator.lease("test").await.expect("the database answers");
    let run: RunId = migrator.begin_run(&lease, RunKind::Migrate).await.expect("the database answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("the database answers");
    let first = migrator.merge(&lease, &run, &Uncontrolled).await.expect("the database answers");
    let merged = dump(&place.database).await;
    let second = migrator.merge(&lease, &run, &Uncontrolled).await.expect("the database answers");
    prop_assert_eq!(second.groups, 0, "a second merge has nothing to do");
    prop_assert_eq!(difference(&merged, &dump(&place.database).await), None, "merged twice");

    migrator.rollback(&lease).await.expect("the database answers");
    let target = UndoTarget::Run(run);
    let everything = dump_all(&place.database).await;
    let promised = migrator.undo(None, &target, true, &Uncontrolled).await.expect("the database answers");
    prop_assert_eq!(difference(&everything, &dump_all(&place.database).await), None, "a dry run only reads");
    let undone =
        migrator.undo(Some(&lease), &target, false, &Uncontrolled).await.expect("the database answers");
    prop_assert_eq!(&promised, &undone);
    prop_assert_eq!(&undone.conflicts, &Vec::<String>::new());
    prop_assert_eq!((undone.groups, undone.revived), (first.groups, first.losers));
    prop_assert_eq!(difference(&before, &dump(&place.database).await), None, "undone");
    let aliases = &dump_all(&place.database).await["onechat_aliases"];
    prop_assert!(aliases.is_empty(), "the old ids are ids of chats again");
    let again =
        migrator.undo(Some(&lease), &target, false, &Uncontrolled).await.expect("the database answers");
    prop_assert_eq!(again, UndoReport::default());
    place.database.drop().await.expect("the database answers");
    lease.release().await.expect("the database answers");
    Ok(())
}

fn for_many(cases: u32, deployment: impl AsyncFn() -> &'static Deployment) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the database answers");
    let deployment = runtime.block_on(deployment());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let result = TestRunner::new(config)
        .run(&(old_data(), prop_oneof![Just(rules()), any_rules()]), |(data, rules)| {
            runtime.block_on(merge_and_undo(deployment, &data, rules))
        });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn merge_then_undo_gives_back_every_byte_on_a_standalone() {
    for_many(24, async || shared_standalone().await);
}

#[test]
fn merge_then_undo_gives_back_every_byte_on_a_replica_set() {
    for_many(12, async || shared_replica_set().await);
}
