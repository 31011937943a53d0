//! `kill -9` of a migration after every step and at random moments, and of the database under it. What is resumed ends in the
//! same state as a run that nobody disturbed: every document of every collection, to the byte.
//!
//! `cargo xtask crash` runs this with more kills than the suite does.

use std::time::{Duration, Instant};

use onechat_legacy::{Shape, Strictness, differences};
use onechat_mongod::{Deployment, Setup};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::task::spawn_blocking;

use crate::old_data::{OldData, Running, STEPS};

/// A run that fails again and again is not interrupted, but broken.
const MOST_TRIES: usize = 12;
const KILLS_OF_A_ROUND: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_replica_set_a_killed_migration_ends_as_an_undisturbed_one() {
    kill_and_compare(Setup::replica_set()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_standalone_too_where_there_are_no_transactions() {
    kill_and_compare(Setup::standalone()).await;
}

struct Plan {
    /// How many kills of the migration at random moments.
    kills: usize,
    /// How many kills of the primary.
    of_the_primary: usize,
    shape: Shape,
}

impl Plan {
    #[expect(
        clippy::disallowed_methods,
        reason = "what `cargo xtask crash` asks for is no configuration of onechat"
    )]
    fn of_the_environment() -> Self {
        let told = |name: &str, default: usize| {
            std::env::var(format!("ONECHAT_CRASH_{name}")).map_or(default, |number| number.parse().unwrap())
        };
        let seed = u64::try_from(told("SEED", 3)).unwrap();
        Self {
            kills: told("KILLS", KILLS_OF_A_ROUND),
            of_the_primary: told("PRIMARY_KILLS", 1),
            shape: Shape { malformed: 0, ..Shape::of(400, 60, 1_500, seed) },
        }
    }
}

struct Reference {
    old: OldData,
    code: Option<i32>,
    took: Duration,
}

async fn kill_and_compare(setup: Setup) {
    let plan = Plan::of_the_environment();
    let deployment = setup.start().await.unwrap();
    let calm = undisturbed(&deployment, &plan.shape).await;
    println!("undisturbed, it took {:?} and ended with {:?}", calm.took, calm.code);
    let mut random = ChaCha8Rng::seed_from_u64(plan.shape.seed);

    let old = OldData::on(&deployment, plan.shape.clone()).await;
    for step in STEPS {
        let is_killed = kill_after(&old, step).await;
        println!("after {step} {}", if is_killed { "killed" } else { "it was over already" });
    }
    compare(&calm, &old, "after every step").await;

    let mut kills = 0;
    while kills < plan.kills {
        let old = OldData::on(&deployment, plan.shape.clone()).await;
        let mut moments = Vec::new();
        for _ in 0..KILLS_OF_A_ROUND.min(plan.kills - kills) {
            let after = calm.took.mul_f64(random.random_range(0.0..1.0));
            let running = Running::start(old.command(&["migrate", "--yes"]));
            tokio::time::sleep(after).await;
            moments.push((after, running.kill()));
            kills += 1;
        }
        compare(&calm, &old, &format!("kills after {moments:?}")).await;
    }
    for _ in 0..plan.of_the_primary {
        let old = OldData::on(&deployment, plan.shape.clone()).await;
        let running = Running::start(old.command(&["migrate", "--yes"]));
        let after = calm.took.mul_f64(random.random_range(0.0..1.0));
        tokio::time::sleep(after).await;
        let primary = deployment.primary().await.unwrap();
        deployment.kill(primary).unwrap();
        let ended = spawn_blocking(move || running.end());
        deployment.restart(primary).await.unwrap();
        deployment.wait_until_healthy().await.unwrap();
        let (code, said) = ended.await.unwrap();
        println!("the primary was killed after {after:?}; the migration ended with {code:?}");
        assert!(matches!(code, Some(0..=2)), "{code:?}: {said}");
        compare(&calm, &old, &format!("the primary killed after {after:?}")).await;
    }
}

async fn undisturbed(deployment: &Deployment, shape: &Shape) -> Reference {
    let old = OldData::on(deployment, shape.clone()).await;
    let began = Instant::now();
    let (code, said) = to_the_end(&old).await;
    let took = began.elapsed();
    assert_eq!(code, Some(0), "{said}");
    let wrong = old.differences(Strictness::Exact).await;
    assert!(wrong.is_empty(), "undisturbed, and {} differences: {wrong:#?}", wrong.len());
    Reference { old, code, took }
}

async fn to_the_end(old: &OldData) -> (Option<i32>, String) {
    let running = Running::start(old.command(&["migrate", "--yes"]));
    spawn_blocking(|| running.end()).await.unwrap()
}

/// Whether the migration was still at work when it was killed.
async fn kill_after(old: &OldData, step: &'static str) -> bool {
    let mut running = Running::start(old.command(&["migrate", "--yes"]));
    spawn_blocking(move || running.until(step) && running.kill()).await.unwrap()
}

/// Resumes until it comes to its end, and looks at what it made.
async fn compare(calm: &Reference, old: &OldData, what: &str) {
    let mut tries = Vec::new();
    let code = loop {
        let (code, said) = to_the_end(old).await;
        if matches!(code, Some(0 | 1)) {
            println!("{what}: resumed, {code:?}");
            if code != calm.code {
                println!("{said}");
            }
            break code;
        }
        tries.push(said);
        assert!(tries.len() < MOST_TRIES, "{what}: it does not come to its end: {tries:#?}");
    };
    let wrong = old.differences(Strictness::Exact).await;
    assert!(wrong.is_empty(), "{what}: {} differences from what is expected: {wrong:#?}", wrong.len());
    let apart = differences(&calm.old.database, &old.database).await.unwrap();
    assert!(apart.is_empty(), "{what}: {} differences from the undisturbed run: {apart:#?}", apart.len());
    assert_eq!(code, calm.code, "{what}");
    old.database.drop().await.unwrap();
}
