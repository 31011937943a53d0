//! Why the order differs from the usual recipe. Fill in the keys, remove the duplicates, create the unique index: between the
//! last two a writer can make a new duplicate, and the index cannot be built. With the guard first, it cannot.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use onechat_legacy::{
    IndexOutcome, Keys, OldWriter, Recomputed, Shape, Written, backfill, clean, create_index, recompute,
};
use onechat_mongod::shared_standalone;
use tokio::task::JoinSet;

use crate::old_data::OldData;

const WRITERS: u64 = 8;
/// Who wins a race is not ours to say: it is run until somebody has lost it, and this is when to stop believing in it.
const PATIENCE: Duration = Duration::from_mins(3);

/// Pairs of people who have no chat yet, as long as there are some.
fn strangers(count: usize) -> Arc<Vec<Vec<String>>> {
    let pair = |n: usize| vec![format!("left-{n}"), format!("right-{n}")];
    Arc::new((0..count).map(pair).collect())
}

async fn old_data() -> OldData {
    let shape = Shape { malformed: 0, dangling: 0, ..Shape::of(300, 40, 600, 11) };
    OldData::on(shared_standalone().await, shape).await
}

/// Old writers that find, then insert, with the key; each pair taps twice.
struct Crowd {
    stop: Arc<AtomicBool>,
    writers: JoinSet<Written>,
}

impl Crowd {
    fn start(old: &OldData, sets: &Arc<Vec<Vec<String>>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let writers = (0..WRITERS).map(|seed| {
            let writer = OldWriter::new(&old.database, &old.shape, Arc::clone(sets), Keys::Joined, seed);
            let writer = writer.in_turns(Arc::clone(&turns));
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

/// Two requests for the same two strangers, each of which finds nothing before the other one has inserted.
async fn race_once(old: &OldData, number: usize) -> usize {
    let sets = Arc::new(vec![vec![format!("one-{number}"), format!("two-{number}")]]);
    let mut inserted = 0;
    let [one, other] =
        [1, 2].map(|seed| OldWriter::new(&old.database, &old.shape, Arc::clone(&sets), Keys::Joined, seed));
    // Both have looked before either inserts.
    for mut writer in [one, other] {
        inserted += usize::from(writer.insert_after_finding_nothing(0).await.unwrap());
    }
    inserted
}

#[tokio::test]
async fn the_usual_order_lets_a_duplicate_in_between_cleaning_and_the_index() {
    let old = old_data().await;
    backfill(&old.database).await.unwrap();
    clean(&old.database).await.unwrap();
    let cleaned = recompute(&old.database, &old.shape).await.unwrap();
    assert_eq!((cleaned.duplicates, cleaned.not_keyed), (0, 0), "the recipe itself is at fault: {cleaned:?}");
    assert_eq!(race_once(&old, 0).await, 2, "a second insert was refused: by what?");
    assert_eq!(create_index(&old.database).await.unwrap(), IndexOutcome::Duplicates, "E11000 was to come");
    let left = recompute(&old.database, &old.shape).await.unwrap();
    assert_eq!((left.duplicates, left.chats), (1, cleaned.chats + 2));
}

#[tokio::test]
async fn with_the_guard_first_the_same_two_requests_make_one_chat() {
    let old = old_data().await;
    old.succeed(&["guard", "on", "--yes"]);
    assert_eq!(race_once(&old, 0).await, 1);
    old.succeed(&["backfill", "--yes"]);
    assert_eq!(race_once(&old, 1).await, 1);
    old.succeed(&["merge", "apply", "--yes"]);
    assert_eq!(race_once(&old, 2).await, 1);
    old.succeed(&["enforce", "--yes"]);
    assert_eq!(race_once(&old, 3).await, 1);
    assert_settled(&recompute(&old.database, &old.shape).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_the_usual_order_fails_to_build_its_index() {
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let old = old_data().await;
        let crowd = Crowd::start(&old, &strangers(50_000));
        backfill(&old.database).await.unwrap();
        clean(&old.database).await.unwrap();
        let outcome = create_index(&old.database).await.unwrap();
        let written = crowd.stop().await;
        tries += 1;
        if outcome == IndexOutcome::Duplicates {
            let chats: u64 = written.iter().map(|one| one.chats).sum();
            println!("E11000 at the index in try {tries}; the old writers had made {chats} chats meanwhile");
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{tries} tries, and the index was always built");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_the_guard_first_ends_with_a_unique_index() {
    let old = old_data().await;
    let crowd = Crowd::start(&old, &strangers(50_000));
    for step in [&["guard", "on", "--yes"][..], &["backfill", "--yes"], &["merge", "apply", "--yes"]] {
        old.succeed(step);
    }
    old.succeed(&["enforce", "--yes"]);
    let written = crowd.stop().await;
    let chats: u64 = written.iter().map(|one| one.chats).sum();
    let refused: u64 = written.iter().map(|one| one.refused).sum();
    println!("the old writers made {chats} chats meanwhile, and were refused {refused} duplicates");
    assert!(chats > 0, "there was no load");
    assert_settled(&recompute(&old.database, &old.shape).await.unwrap());
    assert_eq!(create_index(&old.database).await.unwrap(), IndexOutcome::Made, "it is there already");
}

fn assert_settled(found: &Recomputed) {
    assert_eq!((found.duplicates, found.not_keyed), (0, 0), "{found:?}");
}
