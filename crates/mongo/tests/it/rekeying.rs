//! Other keys for a collection that is in use: a second field beside the first, written and looked by until the first goes.

mod both;
mod finished;
mod limits;
mod undone;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, future::join_all};
use mongodb::bson::{Bson, Document, doc};
use onechat_core::{
    ChatIdentity, Context, KeyFormat, Outcome, OutcomeKind, ParticipantsKey, Proposal, ResolveError,
    StoreError, ports::ChatStore,
};
use onechat_migrate::{Control, FieldNames, MergeRules, Stopped, Uncontrolled};
use onechat_mongo::{
    BackfillReport, ChatFields, EnforceReport, Lease, Mapping, MergeReport, MigrateError, MongoChatStore,
    MongoMigrator, MongoOptions, OpenError, PreviousKeys, RekeyReport, RunId, RunKind,
};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::{Place, World, chat_of, joined};

/// The field of the new keys.
const KEY: &str = "key2";
/// That of the previous ones.
const OLD: &str = "participantsKey";

/// Keys in a second field that are to replace those of `old`.
fn rekeyed(old: &MongoOptions) -> MongoOptions {
    let previous = PreviousKeys {
        participants_key: old.mapping.fields.participants_key.clone(),
        key_format: old.key_format,
        context: old.mapping.fields.context.clone(),
    };
    let fields = ChatFields { participants_key: KEY.to_owned(), ..old.mapping.fields.clone() };
    let mapping = Mapping { fields, previous: Some(previous), ..old.mapping.clone() };
    MongoOptions { mapping, key_format: KeyFormat::Escaped, ..old.clone() }
}

/// The same once the previous keys are gone.
fn alone(new: &MongoOptions) -> MongoOptions {
    MongoOptions { mapping: Mapping { previous: None, ..new.mapping.clone() }, ..new.clone() }
}

/// With what chats are about.
fn about(field: &str, options: &MongoOptions) -> MongoOptions {
    let fields = ChatFields { context: Some(field.to_owned()), ..options.mapping.fields.clone() };
    MongoOptions { mapping: Mapping { fields, ..options.mapping.clone() }, ..options.clone() }
}

async fn migrator(place: &Place, options: &MongoOptions) -> MongoMigrator {
    let (fields, previous) = (options.mapping.fields.clone(), &options.mapping.previous);
    let names = FieldNames {
        context: fields.context,
        participants_key: fields.participants_key,
        previous_key: previous.as_ref().map(|previous| previous.participants_key.clone()),
        ..FieldNames::default()
    };
    let rules = MergeRules { names, ..MergeRules::default() };
    MongoMigrator::connect(&place.url, options, rules).await.expect("the configuration fits")
}

/// What a migration did.
#[derive(Debug)]
struct Done {
    run: RunId,
    backfill: BackfillReport,
    merge: MergeReport,
    enforce: EnforceReport,
}

/// All steps in their order.
async fn migrate_with(
    migrator: &MongoMigrator,
    lease: &Lease,
    control: &dyn Control,
) -> Result<Done, MigrateError> {
    let run = migrator.begin_run(lease, RunKind::Migrate).await?;
    migrator.guard_on(lease, false, control).await?;
    let backfill = migrator.backfill(Some(lease), Some(&run), false, control).await?;
    let merge = migrator.merge(lease, &run, control).await?;
    let enforce = migrator.enforce(Some(lease), false, control).await?;
    migrator.end_run(&run).await?;
    Ok(Done { run, backfill, merge, enforce })
}

async fn migrate(place: &Place, options: &MongoOptions) -> Done {
    let migrator = migrator(place, options).await;
    let lease = migrator.lease("test").await.expect("nobody else is at work");
    let done = migrate_with(&migrator, &lease, &Uncontrolled).await.expect("nothing is in the way");
    lease.release().await.expect("it answers");
    done
}

async fn finish(place: &Place, options: &MongoOptions) -> Result<RekeyReport, MigrateError> {
    let migrator = migrator(place, options).await;
    let lease = migrator.lease("test").await?;
    let report = migrator.finish_rekeying(&lease, &Uncontrolled).await;
    lease.release().await?;
    report
}

async fn all(place: &Place) -> Vec<Document> {
    let chats = place.chats().find(doc! {}).sort(doc! { "_id": 1 }).await.expect("it answers");
    chats.try_collect().await.expect("it answers")
}

/// Both keys of each chat that has any.
async fn keys(place: &Place) -> Vec<(Option<String>, Option<String>)> {
    let key = |chat: &Document, field: &str| chat.get_str(field).ok().map(str::to_owned);
    all(place).await.iter().map(|chat| (key(chat, OLD), key(chat, KEY))).collect()
}

fn key(names: &[&str], format: KeyFormat) -> String {
    ParticipantsKey::new(&chat_of(names), format).as_str().to_owned()
}

/// Stops when so much was written.
struct StopsAfter(AtomicU64);

impl StopsAfter {
    fn new(documents: u64) -> Self {
        Self(AtomicU64::new(documents))
    }
}

#[async_trait]
impl Control for StopsAfter {
    async fn pace(&self, documents: u64) -> Result<(), Stopped> {
        let left = self.0.load(Ordering::SeqCst);
        if documents > left {
            return Err(Stopped { reason: "enough".to_owned() });
        }
        self.0.store(left - documents, Ordering::SeqCst);
        Ok(())
    }

    fn advance(&self, _step: &str, _done: u64, _total: u64) {}

    fn note(&self, _text: &str) {}
}

/// Names with what the format `joined` cannot tell from its separator, and without.
fn pair(n: usize) -> [String; 2] {
    if n.is_multiple_of(2) { [format!("u{n}"), format!("v_{n}")] } else { [format!("u{n}"), format!("v{n}")] }
}

async fn open(store: &MongoChatStore, world: &World, n: usize) -> Outcome {
    let people = pair(n);
    let proposal = world.proposal(&people.each_ref().map(String::as_str));
    store.create_or_get(proposal).await.expect("nothing refuses it")
}

/// Everybody asks for each pair at once, each server twice. All are told of one chat, at most one that it made it, and the
/// database has no other.
async fn race(place: &Place, world: &World, stores: &[&Arc<MongoChatStore>], pairs: std::ops::Range<usize>) {
    let mut made_by = vec![0; stores.len()];
    for n in pairs {
        let these = doc! { "participants": pair(n).to_vec() };
        let before = place.chats().count_documents(these.clone()).await.expect("it answers");
        let asking = (0..2).flat_map(|_| stores).map(|store| open(store, world, n));
        let outcomes = join_all(asking).await;
        let first = &outcomes[0].chat;
        for (asker, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.chat.id, first.id, "pair {n}: {outcomes:?}");
            made_by[asker % stores.len()] += usize::from(outcome.kind == OutcomeKind::Created);
        }
        let made = outcomes.iter().filter(|outcome| outcome.kind == OutcomeKind::Created).count();
        assert_eq!(made, usize::from(before == 0), "pair {n}: {outcomes:?}");
        let chats = place.chats().count_documents(these).await;
        assert_eq!(chats.expect("it answers"), 1, "pair {n}");
    }
    println!("made by each server: {made_by:?}");
}

/// The whole way from `joined` to `escaped`: old chats, servers of both configurations on new pairs at the same time,
/// chats that a server of the previous configuration makes last, and the end.
async fn from_joined_to_escaped(deployment: &Deployment) {
    let (place, world) = (Place::on(deployment).await, World::default());
    let (old, new) = (joined(), rekeyed(&joined()));
    let olds = [place.store_with(old.clone()).await, place.store_with(old.clone()).await];
    for n in 0..20 {
        open(&olds[0], &world, n).await;
    }
    let done = migrate(&place, &new).await;
    assert_eq!((done.backfill.keyed, done.backfill.corrected, done.merge.groups), (20, 0, 0), "{done:?}");
    assert!(done.enforce.is_unique && done.enforce.without_key == 0, "{done:?}");

    let news = [place.store_with(new.clone()).await, place.store_with(new.clone()).await];
    race(&place, &world, &[&olds[0], &olds[1]], 20..25).await;
    race(&place, &world, &[&news[0], &news[1]], 25..30).await;
    race(&place, &world, &[&olds[0], &news[0], &olds[1], &news[1]], 0..300).await;
    // Those that only servers of the previous configuration were asked for.
    for n in 300..320 {
        open(&olds[0], &world, n).await;
    }
    for (n, store) in (310..315).zip(news.iter().cycle()) {
        let people = pair(n);
        let identity = chat_of(&people.each_ref().map(String::as_str));
        let found = store.lookup(&identity).await.expect("it answers");
        assert!(found.is_some(), "a lookup does not find what a server of the previous keys has made");
    }
    for n in 300..310 {
        assert_eq!(open(&news[1], &world, n).await.kind, OutcomeKind::Existing, "pair {n}");
    }
    drop(olds);
    let done = migrate(&place, &new).await;
    // Ten were adopted; a lookup changes nothing.
    assert_eq!(done.backfill.keyed, 10, "{done:?}");
    assert_eq!(done.merge.groups, 0, "{done:?}");
    let keyed = keys(&place).await;
    assert_eq!(keyed.len(), 320);
    for (chat, (before, after)) in all(&place).await.iter().zip(&keyed) {
        let people: Vec<&str> =
            chat.get_array("participants").expect("it has some").iter().filter_map(Bson::as_str).collect();
        assert_eq!(*before, Some(key(&people, KeyFormat::Joined)));
        assert_eq!(*after, Some(key(&people, KeyFormat::Escaped)));
    }

    let report = finish(&place, &new).await.expect("all have their keys");
    assert_eq!((report.cleared, report.left), (320, 0), "{report:?}");
    assert_eq!(report.dropped, ["chats.onechat_participantsKey"]);
    race(&place, &world, &[&news[0], &news[1]], 0..10).await;
    let last = place.store_with(alone(&new)).await;
    race(&place, &world, &[&news[0], &last], 320..340).await;
    assert!(keys(&place).await.iter().all(|(before, after)| before.is_none() && after.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_joined_to_escaped_on_a_standalone_server() {
    from_joined_to_escaped(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_joined_to_escaped_on_a_replica_set() {
    from_joined_to_escaped(shared_replica_set().await).await;
}
