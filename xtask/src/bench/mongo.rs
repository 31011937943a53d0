//! onechat on MongoDB beside the recipe that it replaces, in its own stack: on the same `mongod`, in the same rounds.

use std::{fmt::Write as _, path::Path};

use anyhow::Context as _;
use onechat_mongod::{Deployment, Setup};
use tokio::runtime::Runtime;

use super::{
    fill::fill,
    format::{count, ms, row, table},
    loads::{Loads, WARM_UP_S},
    phases::SMALL,
    programs::Programs,
    series::{Comparison, Series},
    servers::Server,
    target::{Target, Verdicts},
    wrk::{CONNECTIONS, Load, Measurement, Order, THREADS},
};
use crate::{peers, shell};

const MANY_CONNECTIONS: u32 = 256;
/// So few that the servers have pauses: their throughput is about half of the highest.
const HALF_LOAD_CONNECTIONS: u32 = 8;
const HALF_LOAD_P99_MS: Target = Target::AtMost(10.0);
const SCALE: Target = Target::AtLeast(0.9);

/// What onechat has to reach on a deployment, as ratios.
struct Promise {
    hits_beside_null: Target,
    hits_beside_recipe: Target,
    new_beside_recipe: Target,
}

const STANDALONE: Promise = Promise {
    hits_beside_null: Target::AtLeast(0.4),
    hits_beside_recipe: Target::AtLeast(30.0),
    new_beside_recipe: Target::AtLeast(18.0),
};
const REPLICA_SET: Promise = Promise {
    hits_beside_null: Target::AtLeast(0.35),
    hits_beside_recipe: Target::AtLeast(80.0),
    new_beside_recipe: Target::AtLeast(10.0),
};

/// The servers of one deployment, and what they did, round by round.
#[derive(Default)]
struct Side {
    null: Comparison,
    recipe: Comparison,
    fairer: Comparison,
    new_recipe: Comparison,
    new_fairer: Comparison,
}

/// The report, and how many targets were missed.
pub(super) fn run(
    programs: &Programs,
    folder: &Path,
    loads: &Loads<'_>,
    seconds: u64,
    rounds: u32,
    chats: u64,
) -> anyhow::Result<(String, usize)> {
    let runtime = Runtime::new().context("the runtime cannot be started")?;
    let peer = peers::mongoose(&shell::root())?;
    let mut verdicts = Verdicts::default();
    let mut text = format!(
        "- wrk: {THREADS} thread, {seconds} s a measurement after {WARM_UP_S} s of warm-up; of {rounds} rounds the median (lowest–highest)\n"
    );
    for (name, setup, promise) in [
        ("standalone", Setup::standalone(), &STANDALONE),
        ("replica set of three", Setup::replica_set(), &REPLICA_SET),
    ] {
        eprintln!("MongoDB, {name}");
        let deployment = runtime.block_on(setup.start())?;
        if name == "standalone" {
            let _ = writeln!(
                text,
                "- MongoDB {}, Node.js peer with one process\n",
                deployment.mongod().version()
            );
        }
        let here = folder.join(name.split(' ').next().unwrap_or(name));
        std::fs::create_dir(&here).with_context(|| format!("{} cannot be made", here.display()))?;
        for connections in [CONNECTIONS, MANY_CONNECTIONS] {
            let side = beside_each_other(programs, &deployment, &peer, &here, loads, rounds, connections)?;
            text += &side.report(name, connections, promise, &mut verdicts);
        }
        if name == "standalone" {
            text += &scale(programs, &deployment, &here, loads, rounds, chats, &mut verdicts)?;
        }
    }
    let _ = writeln!(text, "\n{verdicts}");
    Ok((text, verdicts.missed))
}

fn beside_each_other(
    programs: &Programs,
    deployment: &Deployment,
    peer: &Path,
    folder: &Path,
    loads: &Loads<'_>,
    rounds: u32,
    connections: u32,
) -> anyhow::Result<Side> {
    let here = folder.join(connections.to_string());
    std::fs::create_dir(&here).with_context(|| format!("{} cannot be made", here.display()))?;
    let uri = |database: &str| deployment.uri(&format!("{database}-{connections}"));
    let null = Server::null(programs, &here)?;
    let onechat = Server::onechat_on(programs, &here.join("onechat-log"), &uri("onechat"))?;
    let recipe = Server::peer(peer, &here.join("recipe-log"), &uri("recipe"), false)?;
    let fairer = Server::peer(peer, &here.join("fairer-log"), &uri("fairer"), true)?;
    fill(&onechat, loads.token(), SMALL)?;
    let existing = |server: &Server| loads.measure_with(server, connections, || Load::Hits { chats: SMALL });
    eprintln!("the chats that have to exist, in the recipes");
    for peer in [&recipe, &fairer] {
        existing(peer)?;
    }
    let mut side = Side::default();
    for round in 1..=rounds {
        eprintln!(
            "{connections} connections, round {round} of {rounds}: null server, onechat, recipe, fairer recipe"
        );
        let fresh =
            |server: &Server| loads.measure_with(server, connections, || loads.new_chats(Order::Arrivals));
        let hits = existing(&onechat)?;
        side.null.push(existing(&null)?, hits);
        side.recipe.push(existing(&recipe)?, hits);
        side.fairer.push(existing(&fairer)?, hits);
        let new = fresh(&onechat)?;
        side.new_recipe.push(fresh(&recipe)?, new);
        side.new_fairer.push(fresh(&fairer)?, new);
    }
    Ok(side)
}

impl Side {
    fn report(&self, name: &str, connections: u32, promise: &Promise, verdicts: &mut Verdicts) -> String {
        // What was promised was promised for the load that the prototype was measured with.
        let judged = |target: Target| (connections == CONNECTIONS).then_some(target);
        let (null, recipe, new) = (
            judged(promise.hits_beside_null),
            judged(promise.hits_beside_recipe),
            judged(promise.new_beside_recipe),
        );
        let head = format!("{name}, {connections} connections, requests/s");
        let rows = [
            row([&head, "the other", "onechat", "ratio", "target", ""]),
            line("existing chats, beside the null server", &self.null, null, verdicts),
            line("existing chats, beside the recipe", &self.recipe, recipe, verdicts),
            line("existing chats, beside the fairer recipe", &self.fairer, None, verdicts),
            line("new chats, beside the recipe", &self.new_recipe, new, verdicts),
            line("new chats, beside the fairer recipe", &self.new_fairer, None, verdicts),
        ];
        let latency = |name: &str, rounds: &[Measurement]| {
            let median =
                |figure: fn(&Measurement) -> f64| ms(Series::new(rounds.iter().map(figure)).median());
            row([name, &median(|round| round.p50_ms), &median(|round| round.p99_ms)])
        };
        let latencies = [
            row(["latency under full load, ms", "p50", "p99"]),
            latency("existing chats, onechat", &self.null.subject),
            latency("existing chats, recipe", &self.recipe.reference),
            latency("new chats, onechat", &self.new_recipe.subject),
            latency("new chats, recipe", &self.new_recipe.reference),
        ];
        format!("{}\n{}\n", table(&rows), table(&latencies))
    }
}

fn scale(
    programs: &Programs,
    deployment: &Deployment,
    folder: &Path,
    loads: &Loads<'_>,
    rounds: u32,
    chats: u64,
    verdicts: &mut Verdicts,
) -> anyhow::Result<String> {
    let start =
        |name: &str| Server::onechat_on(programs, &folder.join(format!("{name}-log")), &deployment.uri(name));
    let (small, large) = (start("small")?, start("large")?);
    eprintln!("filling a collection with {chats} chats");
    fill(&small, loads.token(), SMALL)?;
    fill(&large, loads.token(), chats)?;
    let [mut same, mut spread] = <[Comparison; 2]>::default();
    let mut half = Vec::new();
    for round in 1..=rounds {
        eprintln!("{SMALL} and {chats} chats, round {round} of {rounds}");
        let hits = || Load::Hits { chats: SMALL };
        same.push(loads.measure(&small, hits)?, loads.measure(&large, hits)?);
        let all = |chats| move || Load::Spread { chats };
        spread.push(loads.measure(&small, all(SMALL))?, loads.measure(&large, all(chats))?);
        half.push(loads.measure_with(&small, HALF_LOAD_CONNECTIONS, hits)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of chats are far below 2^52")]
    let [few, many] = [SMALL, chats].map(|chats| format!("{} chats", count(chats as f64)));
    let sizes = [
        row(["requests/s of onechat, standalone", &few, &many, "ratio", "target", ""]),
        line("existing chats, the same 1,000", &same, Some(SCALE), verdicts),
        line("existing chats, any of them", &spread, None, verdicts),
    ];
    let figure = |of: fn(&Measurement) -> f64| Series::new(half.iter().map(of)).median();
    let full = Series::new(same.reference.iter().map(|round| round.requests_per_s)).median();
    let p99 = figure(|round| round.p99_ms);
    let share = figure(|round| round.requests_per_s) / full;
    let verdict = verdicts.judge(HALF_LOAD_P99_MS, p99);
    let latency = [
        row(["existing chats, standalone, ms", "share of the full load", "p50", "p99", "target", ""]),
        row([
            &format!("{HALF_LOAD_CONNECTIONS} connections"),
            &format!("{share:.2}"),
            &ms(figure(|round| round.p50_ms)),
            &ms(p99),
            &HALF_LOAD_P99_MS.to_string(),
            &verdict,
        ]),
    ];
    Ok(format!("{}\n{}\n", table(&sizes), table(&latency)))
}

fn line(name: &str, comparison: &Comparison, target: Option<Target>, verdicts: &mut Verdicts) -> Vec<String> {
    let speed = |rounds: &[Measurement]| Series::new(rounds.iter().map(|round| round.requests_per_s));
    let ranged = |series: &Series, show: &dyn Fn(f64) -> String| {
        format!("{} ({}–{})", show(series.median()), show(series.lowest()), show(series.highest()))
    };
    let ratios = comparison.ratios();
    let digits = if ratios.median() < 10.0 { 3 } else { 1 };
    vec![
        name.to_owned(),
        ranged(&speed(&comparison.reference), &count),
        ranged(&speed(&comparison.subject), &count),
        ranged(&ratios, &|ratio| format!("{ratio:.digits$}")),
        target.map_or_else(|| "none".to_owned(), |target| target.to_string()),
        target.map_or_else(String::new, |target| verdicts.judge(target, ratios.median())),
    ]
}
