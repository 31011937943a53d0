//! A migration while everybody goes on: two onechat servers, the Mongoose peer, and an old backend that knows nothing of
//! keys. In the end there is one chat for each set of people, every message that anybody was told of is in it, and every id
//! that anybody was told of leads there.
//!
//! `cargo xtask live` runs this test with as many chats as one likes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bson::doc;
use onechat_legacy::{
    Acknowledged, Expected, Keys, OldWriter, PublicIds, Recomputed, Record, Shape, Strictness, Written,
    recompute,
};
use onechat_mongod::Deployment;
use tokio::task::{JoinSet, spawn_blocking};

use crate::{
    crowd::{Crowd, Friends, Service, Told, ask_for_all},
    old_data::{OldData, Running},
    peer::Peer,
};

/// How many sets of each kind the writers meet in: old ones, and people who have no chat yet.
const OLD_FRIENDS: usize = 3_000;
const NEW_FRIENDS: usize = 3_000;
const OLD_WRITERS: u64 = 2;
const CLIENTS: u64 = 4;
/// Servers look at the state of the collection every two seconds, and this machine is busy.
const UNTIL_NOTICED: Duration = Duration::from_secs(10);
/// For `watch` to heal what was written last.
const UNTIL_HEALED: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_migration_under_load_loses_nothing_and_ends_with_one_chat_each() {
    let began = Instant::now();
    let set = Deployment::replica_set().await.unwrap();
    let old = OldData::on(&set, shape_of_the_environment()).await;
    println!("{:?} made: {:?}", began.elapsed(), old.totals);
    index_what_is_looked_up(&old).await;
    let friends = Arc::new(friends(&old));
    let servers = [old.serve(), old.serve()];
    let peer = Peer::start_without_index(&old.store, false);
    let mut crowd = Crowd::new();
    for (seed, server) in (1..).zip(&servers) {
        crowd.join(Service::Onechat, &server.url, &friends, CLIENTS, seed);
    }
    crowd.join(Service::Peer, &peer.url, &friends, CLIENTS, 3);
    let old_backend = OldBackend::start(&old, &friends);

    let (guarded, code) = migrate(&old).await;
    let ended = Instant::now();
    println!("{:?} migrated, with everybody at work", began.elapsed());
    let keyed = recompute(&old.database, &old.shape).await.unwrap();
    println!("at the end of the migration, the old writers still at work: {keyed:?}");
    let watch = Running::start(old.command(&["watch", "--yes"]));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = crowd.leave().await;
    let written = old_backend.stop().await;
    let acknowledged: Vec<Acknowledged> =
        told.messages.iter().chain(written.iter().flat_map(|one| &one.messages)).cloned().collect();
    println!("{:?} everybody has left: {}", began.elapsed(), told_in_short(&told, &written));
    let healed = until_healed(&old, &acknowledged).await;
    println!("{:?} healed: {healed:?}", began.elapsed());
    watch.interrupt();
    println!("watch: {:?}", spawn_blocking(|| watch.end()).await.unwrap());

    let last = old.succeed(&["migrate", "--yes"]);
    println!("{:?} once more: {last}", began.elapsed());
    assert_eq!(code.map(|code| code <= 1), Some(true), "the migration under load did not come to its end");
    judge_answers(&told, &friends, guarded, ended);
    judge_data(&old, &acknowledged).await;
    judge_ids(&old, &told, &friends, &servers[0].url).await;
    let differences = old.differences(Strictness::Live).await;
    assert!(differences.is_empty(), "{} differences: {differences:#?}", differences.len());
    println!("{:?} all is as it should be", began.elapsed());
}

/// Small, unless `cargo xtask live` says otherwise.
#[expect(
    clippy::disallowed_methods,
    reason = "what `cargo xtask live` asks for is no configuration of onechat"
)]
fn shape_of_the_environment() -> Shape {
    let told = |name: &str, default: u64| {
        std::env::var(format!("ONECHAT_LIVE_{name}")).map_or(default, |number| number.parse().unwrap())
    };
    let (chats, groups) = (told("CHATS", 2_000), told("GROUPS", 200));
    let shape = Shape::of(chats, groups, told("MESSAGES", 10_000), told("SEED", 5));
    // The peer names chats by a field `id`. What is malformed has no key, and is not what this is about.
    Shape { public_ids: Some(PublicIds::Text), malformed: 0, ..shape }
}

/// What an old backend of this size has besides: the keys and the public ids, by which its programs look chats up.
async fn index_what_is_looked_up(old: &OldData) {
    let index = |field: &str| doc! { "name": format!("old_{field}"), "key": { field: 1 } };
    let indexes = [index("participantsKey"), index("id")];
    old.database.run_command(doc! { "createIndexes": "chats", "indexes": indexes.to_vec() }).await.unwrap();
}

/// Some of those who have chats, with all ids that these have had, and some who have none.
fn friends(old: &OldData) -> Vec<Friends> {
    let sets = Expected::open(&old.expected).unwrap().filter_map(|record| match record.unwrap() {
        // Clients of the API are not alone, nor are there more than a few of them.
        Record::Set(set) if (2..9).contains(&set.participants.len()) => Some(*set),
        _ => None,
    });
    let step = usize::try_from(old.totals.sets).unwrap().div_ceil(OLD_FRIENDS);
    let of_old = sets.step_by(step).map(|set| {
        let ids = set.aliases.into_iter().chain([set.public_id]).collect();
        Friends { people: set.participants, is_old: true, ids }
    });
    let new = (0..NEW_FRIENDS).map(|n| Friends {
        people: vec![format!("new-{n}"), format!("stranger-{n}")],
        is_old: false,
        ids: Vec::new(),
    });
    of_old.chain(new).collect()
}

struct OldBackend {
    stop: Arc<AtomicBool>,
    writers: JoinSet<Written>,
}

impl OldBackend {
    fn start(old: &OldData, friends: &[Friends]) -> Self {
        let sets = Arc::new(friends.iter().map(|friends| friends.people.clone()).collect::<Vec<_>>());
        let stop = Arc::new(AtomicBool::new(false));
        let writers = (0..OLD_WRITERS).map(|seed| {
            let writer = OldWriter::new(&old.database, &old.shape, Arc::clone(&sets), Keys::None, 100 + seed);
            let stop = Arc::clone(&stop);
            async move { writer.run(&stop).await.unwrap() }
        });
        Self { writers: writers.collect(), stop }
    }

    async fn stop(self) -> Vec<Written> {
        self.stop.store(true, Ordering::Relaxed);
        self.writers.join_all().await
    }
}

/// Runs the migration. When it said that the guard is on, and its exit code.
async fn migrate(old: &OldData) -> (Instant, Option<i32>) {
    let mut running = Running::start(old.command(&["migrate", "--yes"]));
    let work = move || {
        let is_guarded = running.until("guard:");
        let guarded = Instant::now();
        let (code, said) = running.end();
        assert!(is_guarded, "{code:?}: {said}");
        println!("migrate ended with {code:?}:\n{said}");
        (guarded, code)
    };
    spawn_blocking(work).await.unwrap()
}

/// Waits until no set has two chats, and every message is in the chat of its people.
async fn until_healed(old: &OldData, acknowledged: &[Acknowledged]) -> Recomputed {
    let began = Instant::now();
    loop {
        let found = recompute(&old.database, &old.shape).await.unwrap();
        let astray = Acknowledged::astray(&old.database, &old.shape, acknowledged).await.unwrap();
        if found.duplicates == 0 && found.not_keyed == 0 && astray.is_empty() {
            return found;
        }
        let first: Vec<&String> = astray.iter().take(5).collect();
        assert!(
            began.elapsed() < UNTIL_HEALED,
            "not healed: {found:?}, {} messages astray, such as {first:#?}",
            astray.len()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn judge_answers(told: &Told, friends: &[Friends], guarded: Instant, ended: Instant) {
    let first: Vec<&String> = told.wrong.iter().take(20).collect();
    assert!(told.wrong.is_empty(), "{} answers were wrong: {first:#?}", told.wrong.len());
    let strangers = told.strangers.iter().filter(|at| **at > ended).count();
    assert_eq!(strangers, 0, "{strangers} chats have the key of other people after the migration");
    let late = told.unguarded.iter().filter(|at| **at > guarded + UNTIL_NOTICED).count();
    assert_eq!(late, 0, "{late} chats and messages were refused although the guard was on");
    let mut created: BTreeMap<usize, usize> = BTreeMap::new();
    for index in &told.created {
        *created.entry(*index).or_default() += 1;
    }
    for (index, times) in created {
        let Friends { people, is_old, .. } = &friends[index];
        assert!(!is_old, "{people:?} have had a chat for years, and onechat made another one");
        assert_eq!(times, 1, "the chat of {people:?} was called new {times} times");
    }
}

async fn judge_data(old: &OldData, acknowledged: &[Acknowledged]) {
    let found = recompute(&old.database, &old.shape).await.unwrap();
    assert_eq!((found.duplicates, found.not_keyed), (0, 0), "{found:?}");
    let astray = Acknowledged::astray(&old.database, &old.shape, acknowledged).await.unwrap();
    assert!(astray.is_empty(), "{} acknowledged messages are astray: {:#?}", astray.len(), &astray[..1]);
    let status = old.succeed(&["index", "status"]);
    assert!(!status.contains("MISSING"), "{status}");
}

/// Every id that anybody ever had leads to the one chat of its people.
async fn judge_ids(old: &OldData, told: &Told, friends: &[Friends], url: &str) {
    let mut ids: HashMap<String, (Vec<String>, Option<String>)> = HashMap::new();
    for record in Expected::open(&old.expected).unwrap() {
        let Record::Set(set) = record.unwrap() else { continue };
        for id in set.aliases.iter().chain([&set.public_id]) {
            ids.insert(id.clone(), (set.participants.clone(), Some(set.public_id.clone())));
        }
    }
    for (id, index) in &told.ids {
        ids.entry(id.clone()).or_insert_with(|| (friends[*index].people.clone(), None));
    }
    let ids: Vec<_> = ids.into_iter().map(|(id, (people, wanted))| (id, people, wanted)).collect();
    let (count, began) = (ids.len(), Instant::now());
    let wrong = ask_for_all(url, ids).await;
    let first: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {count} ids lead elsewhere: {first:#?}", wrong.len());
    println!("{count} ids asked for in {:?}, each leads to its chat", began.elapsed());
}

fn told_in_short(told: &Told, written: &[Written]) -> String {
    let sum = |of: fn(&Written) -> u64| written.iter().map(of).sum::<u64>();
    let messages: usize = written.iter().map(|one| one.messages.len()).sum();
    format!(
        "{} calls of clients, {} messages acknowledged, {} ids told, {} chats called new, {} refused before the guard; \
         the old backend made {} chats and {messages} messages, {} refused, {} unknown",
        told.calls,
        told.messages.len(),
        told.ids.len(),
        told.created.len(),
        told.unguarded.len(),
        sum(|one| one.chats),
        sum(|one| one.refused),
        sum(|one| one.unknown),
    )
}
