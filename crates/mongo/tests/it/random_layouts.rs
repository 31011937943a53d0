//! Random layouts with random chats in them: after a migration each identity has one chat with all its messages, whatever the
//! layout; servers answer it and no other; an undo gives everything back.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

mod layout;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use onechat_core::{ChatIdentity, OutcomeKind, PageSize, ports::ChatStore};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{MongoChatStore, MongoMigrator, RunKind, UndoTarget};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};
use proptest::{prelude::*, test_runner::TestRunner};

use self::layout::{Layout, OldChat, chat_id, document_id};
use crate::support::{Place, World};

/// Chats by the identity that they are of, by their numbers. Written without anything of the code under test.
fn groups(layout: &Layout, chats: &[OldChat]) -> BTreeMap<(BTreeSet<usize>, Option<usize>), Vec<usize>> {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (number, chat) in chats.iter().enumerate().filter(|(_, chat)| layout.has_inside(chat)) {
        let people = BTreeSet::from([chat.one, chat.other]);
        groups.entry((people, layout.context_of(chat))).or_default().push(number);
    }
    groups
}

async fn all(place: &Place) -> BTreeMap<&'static str, Vec<Document>> {
    let mut found = BTreeMap::new();
    for collection in ["chats", "messages"] {
        let documents = place.database.collection::<Document>(collection);
        let documents = documents.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        found.insert(collection, documents.try_collect().await.unwrap());
    }
    found
}

/// What was said in a chat, in no order.
async fn said(store: &MongoChatStore, chat: &onechat_core::ChatId) -> Vec<String> {
    let page = store.messages(chat, PageSize::new(100).unwrap(), None).await.unwrap();
    let mut said: Vec<String> = page.items.iter().map(|message| message.text.as_str().to_owned()).collect();
    said.sort();
    said
}

async fn migrate(migrator: &MongoMigrator) -> onechat_mongo::RunId {
    let lease = migrator.lease("test").await.unwrap();
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.unwrap();
    let merged = migrator.merge(&lease, &run, &Uncontrolled).await.unwrap();
    assert_eq!(merged.blocked, 0, "{merged:?}");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.unwrap();
    let enforced = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert!(enforced.is_unique, "{enforced:?}");
    lease.release().await.unwrap();
    run
}

async fn holds(deployment: &Deployment, layout: &Layout, chats: &[OldChat]) -> Result<(), TestCaseError> {
    let place = Place::on(deployment).await;
    layout.fill(&place, chats).await;
    let before = all(&place).await;
    let groups = groups(layout, chats);
    let migrator = MongoMigrator::connect(&place.url, &layout.options(), layout.rules()).await.unwrap();
    let run = migrate(&migrator).await;

    let store = place.store_with(layout.options()).await;
    for ((people, context), numbers) in &groups {
        let identity = layout.identity(people, *context);
        let found = store.lookup(&identity).await.unwrap();
        let Some(found) = found else {
            return Err(TestCaseError::fail(format!("there is no chat of {identity:?}")));
        };
        prop_assert!(numbers.iter().any(|number| chat_id(*number) == found.id));
        for number in numbers {
            let of_old = store.chat(&chat_id(*number)).await.unwrap();
            prop_assert_eq!(of_old.as_ref().map(|chat| &chat.id), Some(&found.id), "chat {}", number);
        }
        let mut expected: Vec<String> =
            numbers.iter().flat_map(|number| chats[*number].said(*number)).collect();
        expected.sort();
        prop_assert_eq!(said(&store, &found.id).await, expected);
    }
    let after = all(&place).await;
    for (number, _) in chats.iter().enumerate().filter(|(_, chat)| !layout.has_inside(chat)) {
        let is_it = |document: &&Document| document["_id"] == document_id(number);
        prop_assert_eq!(after["chats"].iter().find(is_it), before["chats"].iter().find(is_it));
    }
    drop(store);

    let lease = migrator.lease("test").await.unwrap();
    migrator.rollback(&lease).await.unwrap();
    let undone = migrator.undo(Some(&lease), &UndoTarget::Run(run), false, &Uncontrolled).await.unwrap();
    prop_assert!(undone.conflicts.is_empty(), "{:?}", undone);
    lease.release().await.unwrap();
    prop_assert_eq!(all(&place).await, before);

    migrate(&migrator).await;
    creates_one_chat_for_each_identity(&place, layout, &groups.keys().cloned().collect()).await?;
    place.database.drop().await.unwrap();
    Ok(())
}

/// Two identities never share a chat, whether somebody had one before or not.
async fn creates_one_chat_for_each_identity(
    place: &Place,
    layout: &Layout,
    known: &BTreeSet<(BTreeSet<usize>, Option<usize>)>,
) -> Result<(), TestCaseError> {
    let (store, world) = (place.store_with(layout.options()).await, World::default());
    let mut ids: HashMap<String, ChatIdentity> = HashMap::new();
    for one in 0..layout::PEOPLE {
        for other in one + 1..layout::PEOPLE {
            for context in layout.contexts() {
                let people = BTreeSet::from([one, other]);
                let identity = layout.identity(&people, context);
                let proposal = world.proposal_of(identity.clone());
                let outcome = store.create_or_get(proposal).await.unwrap();
                let is_known = known.contains(&(people, context));
                prop_assert_eq!(outcome.kind == OutcomeKind::Existing, is_known, "{:?}", identity);
                prop_assert_eq!(&outcome.chat.identity, &identity);
                let earlier = ids.insert(outcome.chat.id.as_str().to_owned(), identity.clone());
                prop_assert!(earlier.is_none(), "{:?} and {:?} share a chat", identity, earlier);
                let again = store.create_or_get(world.proposal_of(identity)).await.unwrap();
                prop_assert_eq!(again.chat.id, outcome.chat.id);
            }
        }
    }
    Ok(())
}

fn for_many(cases: u32, deployment: impl AsyncFn() -> &'static Deployment) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let deployment = runtime.block_on(deployment());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let input = (layout::layouts(), prop::collection::vec(layout::chats(), 1..9));
    let result = TestRunner::new(config)
        .run(&input, |(layout, chats)| runtime.block_on(holds(deployment, &layout, &chats)));
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn whatever_the_layout_each_identity_ends_with_one_chat_on_a_standalone() {
    for_many(12, async || shared_standalone().await);
}

#[test]
fn whatever_the_layout_each_identity_ends_with_one_chat_on_a_replica_set() {
    for_many(4, async || shared_replica_set().await);
}
