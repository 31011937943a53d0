//! The primary is killed, stepped down and paused, again and again, while the prover drives two servers. Clients may be
//! refused for seconds; nothing that they were told may turn out to be untrue.
//!
//! `cargo xtask failover` runs this test with more rounds, and less patience, than the suite does.

use std::{
    collections::BTreeMap,
    fmt,
    process::Output,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use onechat_mongod::Deployment;
use reqwest::Method;
use serde_json::Value;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::interval,
};

use crate::{
    mongo::{on, serve},
    server::{SECRET, Server, User, onechat, text},
};

/// The other one of every pair that is opened to see whether the service is back.
const HUB: &str = "probe";
/// Enough for a run of the prover to see several faults, and few enough for it to end.
const OPERATIONS: &str = "6000";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_every_failover() {
    let plan = Plan::of_the_environment();
    let set = Deployment::replica_set().await.unwrap();
    let store = set.uri("failover");
    let servers = [(); 2].map(|()| serve(&store, &["--log", "info,onechat_mongo=debug"]));
    let over = Arc::new(AtomicBool::new(false));
    let prover = {
        let (over, urls) = (Arc::clone(&over), servers.each_ref().map(|server| server.url.clone()));
        spawn_blocking(move || prove_until(&over, &urls))
    };
    let (mut probes, mut table) = (Probes::default(), Table::default());
    for round in 0..plan.rounds {
        for fault in &plan.faults {
            let away = strike(&set, *fault, &servers, &mut probes).await;
            println!("round {}: {fault}, {away}", round + 1);
            tell_of_tries(&servers, &away, plan.limit);
            table.rows.entry(*fault).or_default().push(away);
        }
    }
    over.store(true, Ordering::Relaxed);
    let proofs = prover.await.unwrap();
    println!("{table}");
    let sum = |of: fn(&Proof) -> u64| proofs.iter().map(of).sum::<u64>();
    let longest_ms = proofs.iter().map(|proof| proof.longest_ms).fold(0.0, f64::max);
    println!(
        "the prover held {} times, with {} requests, {} of them repeated, {} never answered; the longest took {longest_ms:.0} ms",
        proofs.len(),
        sum(|proof| proof.requests),
        sum(|proof| proof.retried),
        sum(|proof| proof.unknown),
    );
    // A store that tries again by itself leaves nothing else to notice.
    let felt = sum(|proof| proof.retried) > 0 || longest_ms > 1000.0 || plan.faults == [Fault::StepDown];
    assert!(felt, "the prover did not notice anything");
    probes.are_all_there(&servers).await;
    println!("{} chats of the probes were acknowledged, all there", probes.acknowledged.len());
    let audit = on(&store, &["audit"]);
    println!("{}", text(&audit));
    assert_eq!(audit.status.code(), Some(0), "{}", text(&audit));
    let longest = table.longest();
    assert!(
        longest <= plan.limit,
        "the service was away for {longest:?}, which is more than {:?}",
        plan.limit
    );
}

/// What is done to the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// SIGKILL; started again when the service is back.
    Kill,
    StepDown,
    /// SIGSTOP until the others have elected and the service is back, then SIGCONT: it still takes itself for the primary.
    Pause,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "kill" => Ok(Self::Kill),
            "step-down" => Ok(Self::StepDown),
            "pause" => Ok(Self::Pause),
            _ => Err(format!("{name:?} is no fault")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::StepDown => "step-down",
            Self::Pause => "pause",
        })
    }
}

struct Plan {
    rounds: usize,
    faults: Vec<Fault>,
    /// How long the service may be away after a fault.
    limit: Duration,
}

impl Plan {
    /// Without being told otherwise, one of each. A machine that runs other tests besides is given more time.
    #[expect(
        clippy::disallowed_methods,
        reason = "what `cargo xtask failover` asks for is no configuration of onechat"
    )]
    fn of_the_environment() -> Self {
        let told = |name: &str| std::env::var(format!("ONECHAT_FAILOVER_{name}")).ok();
        let faults = told("FAULTS").unwrap_or_else(|| "kill,step-down,pause".to_owned());
        Self {
            rounds: told("ROUNDS").map_or(1, |rounds| rounds.parse().unwrap()),
            faults: faults.split(',').map(|fault| fault.parse().unwrap()).collect(),
            limit: Duration::from_secs(told("LIMIT_S").map_or(60, |limit| limit.parse().unwrap())),
        }
    }
}

/// How long nothing new was to be had after a fault.
struct Away {
    /// From each server.
    service: [Duration; 2],
    /// From the database, asked past the servers: until a majority has what the primary writes.
    database: Duration,
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.service.map(|away| away.as_secs_f64());
        let database = self.database.as_secs_f64();
        write!(f, "away for {one:.1} s and {other:.1} s; the database itself {database:.1} s")
    }
}

/// One fault, until it is mended.
async fn strike(set: &Deployment, fault: Fault, servers: &[Server; 2], probes: &mut Probes) -> Away {
    let primary = set.primary().await.unwrap();
    let began = Instant::now();
    match fault {
        Fault::Kill => set.kill(primary).unwrap(),
        Fault::StepDown => set.step_down().await.unwrap(),
        Fault::Pause => set.pause(primary).unwrap(),
    }
    let [one, other] = probes.next(servers);
    let database = async {
        set.wait_until_writable().await.unwrap();
        began.elapsed()
    };
    let (one, other, database) = tokio::join!(one.until_back(began), other.until_back(began), database);
    if fault != Fault::StepDown {
        assert_ne!(set.primary().await.unwrap(), primary, "nobody was elected");
    }
    match fault {
        Fault::Kill => set.restart(primary).await.unwrap(),
        Fault::StepDown => {}
        Fault::Pause => set.resume(primary).unwrap(),
    }
    set.wait_until_healthy().await.unwrap();
    probes.acknowledged.extend(one.1.into_iter().chain(other.1));
    Away { service: [one.0, other.0], database }
}

/// What a server tried while it was away for too long, for who has to find out why.
fn tell_of_tries(servers: &[Server; 2], away: &Away, limit: Duration) {
    for (server, away) in servers.iter().zip(&away.service) {
        let log = server.log_so_far();
        if *away > limit {
            let tries = log.iter().filter(|line| line.contains("onechat_mongo"));
            println!("{} meanwhile:\n{}", server.url, tries.map(String::as_str).collect::<String>());
        }
    }
}

/// New pairs that are opened to see whether the service is back, and what it said of them.
#[derive(Default)]
struct Probes {
    made: usize,
    /// The id of each pair's chat, by the friend in it.
    acknowledged: BTreeMap<String, String>,
}

struct Probe {
    hub: User,
    name: String,
}

impl Probes {
    fn next(&mut self, servers: &[Server; 2]) -> [Probe; 2] {
        servers.each_ref().map(|server| {
            self.made += 1;
            Probe { hub: server.user(HUB), name: format!("friend-{}", self.made) }
        })
    }

    /// Every server still has every chat, under the id that one of them told.
    async fn are_all_there(&self, servers: &[Server; 2]) {
        for server in servers {
            let hub = server.user(HUB);
            for (friend, id) in &self.acknowledged {
                let (status, chat) = hub.call(Method::GET, &format!("/api/chats/{id}"), None).await.unwrap();
                assert_eq!(status, 200, "the chat of {friend} was acknowledged as {id}: {chat}");
                assert_eq!(
                    (&chat["id"], &chat["participants"][0]),
                    (&Value::from(&**id), &Value::from(&**friend))
                );
                let (status, again) = hub.open(&[friend, HUB]).await.unwrap();
                assert_eq!((status.as_u16(), &again["id"]), (200, &Value::from(&**id)), "{friend}: {again}");
            }
        }
    }
}

impl Probe {
    /// Opens a new pair every tenth of a second, until one is answered. How long that took, and all that was
    /// acknowledged.
    async fn until_back(self, began: Instant) -> (Duration, Vec<(String, String)>) {
        let (mut tries, mut ticks, mut count) = (JoinSet::new(), interval(Duration::from_millis(100)), 0);
        let (mut away, mut acknowledged) = (None, Vec::new());
        while away.is_none() || !tries.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if away.is_none() => {
                    count += 1;
                    tries.spawn(open(self.hub.clone(), format!("{}-{count}", self.name)));
                }
                Some(answer) = tries.join_next() => {
                    if let Some(chat) = answer.unwrap() {
                        away.get_or_insert_with(|| began.elapsed());
                        acknowledged.push(chat);
                    }
                }
            }
        }
        (away.unwrap_or_default(), acknowledged)
    }
}

/// The friend and the id of their chat with the hub; nothing if the service cannot tell now.
async fn open(hub: User, friend: String) -> Option<(String, String)> {
    let (status, chat) = hub.open(&[&friend, HUB]).await.unwrap();
    if status == 503 {
        return None;
    }
    assert_eq!(status, 201, "a new pair: {chat}");
    Some((friend, chat["id"].as_str().unwrap().to_owned()))
}

struct Proof {
    requests: u64,
    longest_ms: f64,
    retried: u64,
    unknown: u64,
}

/// Runs the prover again and again, until a run has seen the end. Each has to hold.
fn prove_until(over: &AtomicBool, urls: &[String; 2]) -> Vec<Proof> {
    let mut proofs = Vec::new();
    loop {
        let was_over = over.load(Ordering::Relaxed);
        let seed = (proofs.len() + 1).to_string();
        let mut command = onechat();
        command.env("ONECHAT_JWT_SECRET", SECRET).args(["prove", "--json", "--seed", &seed]);
        command.args(["--url", &urls[0], "--url", &urls[1], "--ops", OPERATIONS]);
        proofs.push(held(&command.output().unwrap()));
        if was_over {
            return proofs;
        }
    }
}

fn held(output: &Output) -> Proof {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &report["reports"][0];
    for invariant in report["invariants"].as_array().unwrap() {
        assert_eq!(invariant["state"], "held", "not put to the test: {invariant}");
    }
    let count = |name: &str| report["counts"][name].as_u64().unwrap();
    let longest =
        report["latencies"].as_array().unwrap().iter().map(|latency| latency["max_ms"].as_f64().unwrap());
    Proof {
        requests: count("requests"),
        longest_ms: longest.fold(0.0, f64::max),
        retried: count("retried"),
        unknown: count("unknown"),
    }
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<Fault, Vec<Away>>,
}

impl Table {
    fn longest(&self) -> Duration {
        let all = self.rows.values().flatten().flat_map(|away| away.service);
        all.max().unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "until a new pair is answered, by the server that takes longer, and until the database can do it:"
        )?;
        writeln!(f, "{:<10} {:>6} {:>17} {:>19}", "", "", "service", "database")?;
        writeln!(
            f,
            "{:<10} {:>6} {:>8} {:>8} {:>10} {:>8}",
            "fault", "rounds", "median", "most", "median", "most"
        )?;
        for (fault, rounds) in &self.rows {
            let service = middle_and_most(rounds.iter().filter_map(|away| away.service.iter().max()));
            let database = middle_and_most(rounds.iter().map(|away| &away.database));
            writeln!(
                f,
                "{fault:<10} {:>6} {:>6.1} s {:>6.1} s {:>8.1} s {:>6.1} s",
                rounds.len(),
                service.0,
                service.1,
                database.0,
                database.1,
            )?;
        }
        Ok(())
    }
}

fn middle_and_most<'a>(times: impl Iterator<Item = &'a Duration>) -> (f64, f64) {
    let mut times: Vec<f64> = times.map(Duration::as_secs_f64).collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() - 1])
}
