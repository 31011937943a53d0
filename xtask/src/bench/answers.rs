//! What the time of an answer tells: to a stranger, whether a chat exists; to an owner of very many chats, how many.

use std::{collections::HashSet, fmt::Write as _, path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use onechat_mongod::Setup;
use rand::{RngExt as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::{
    fill::create,
    format::{count, ms, row, table},
    http::{self, Connection},
    programs::Programs,
    series::Series,
    servers::Server,
    target::{Target, Verdicts},
};

/// Chats of which a stranger tries some.
const CHATS: u64 = 1_000;
/// A stranger asks so often for one id, and takes the median.
const REPEATS: usize = 50;
/// So many ids of chats, and as many of nothing. Half of them teach the classifier, the others test it.
const BATCHES: usize = 400;
const CLASSIFIED: Target = Target::AtMost(0.6);
/// How many chats the owners of lists have.
const SIZES: [u64; 3] = [100, 10_000, 100_000];
const PAGES: usize = 200;
const PAGE_MS: Target = Target::AtMost(10.0);

/// The report, and how many targets were missed.
pub(super) fn run(programs: &Programs, folder: &Path) -> anyhow::Result<(String, usize)> {
    let runtime = Runtime::new().context("the runtime cannot be started")?;
    let mut verdicts = Verdicts::default();
    let mut outsiders = vec![row(["share of right guesses of a stranger", "chat", "messages", "target", ""])];
    let mut pages = vec![row(["a page of 50 chats, ms", "chats", "first", "middle", "p99", "target", ""])];
    let mut measure = |name: &str, server: &Server| -> anyhow::Result<()> {
        eprintln!("{name}: what a stranger learns");
        outsiders.push(stranger(programs, name, server, &mut verdicts)?);
        for size in SIZES {
            eprintln!("{name}: pages of a list of {size} chats");
            pages.push(lists(programs, name, server, size, &mut verdicts)?);
        }
        Ok(())
    };
    let here = folder.join("sqlite");
    measure("SQLite", &Server::onechat(programs, &here)?)?;
    let mut version = String::new();
    for (name, setup) in
        [("MongoDB, standalone", Setup::standalone()), ("MongoDB, set", Setup::replica_set())]
    {
        let deployment = runtime.block_on(setup.start())?;
        version = deployment.mongod().version().to_string();
        let log = folder.join(format!("{}-log", name.len()));
        measure(name, &Server::onechat_on(programs, &log, &deployment.uri("answers"))?)?;
    }
    let mut text = format!(
        "- MongoDB {version}; {BATCHES} ids of chats of others and {BATCHES} of none, {REPEATS} requests each; {PAGES} requests a page\n\n"
    );
    let _ = writeln!(text, "{}\n{}\n{verdicts}", table(&outsiders), table(&pages));
    Ok((text, verdicts.missed))
}

#[derive(Deserialize)]
struct Chat {
    id: String,
}

/// How well a stranger tells chats of others from nothing, by the time of the refusal.
fn stranger(
    programs: &Programs,
    name: &str,
    server: &Server,
    verdicts: &mut Verdicts,
) -> anyhow::Result<Vec<String>> {
    let token = programs.token()?;
    let requests = (0..CHATS).map(|number| {
        http::create_or_get(&token, &format!(r#"{{"participants":["a{number}","b{number}"]}}"#))
    });
    let mut ids = Vec::new();
    create(server, requests, |answer| {
        ids.push(serde_json::from_slice::<Chat>(&answer.body)?.id);
        Ok(())
    })?;
    let known: HashSet<&String> = ids.iter().collect();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    // As near as can be: the same moment and the same process, and a number that was not given out.
    let absent = ids.iter().map(|id| {
        loop {
            let near = format!("{}{:06x}", &id[..18], random.random_range(0..1_u32 << 24));
            if !known.contains(&near) {
                break near;
            }
        }
    });
    let absent: Vec<String> = absent.take(BATCHES).collect();
    let mut shares = Vec::new();
    for suffix in ["", "/messages"] {
        let of = |id: &String| format!("/api/chats/{id}{suffix}?as=mallory");
        let mut batches: Vec<(bool, String)> = ids.iter().take(BATCHES).map(|id| (true, of(id))).collect();
        batches.extend(absent.iter().map(|id| (false, of(id))));
        batches.shuffle(&mut random);
        let mut connection = Connection::open(server.address())?;
        let mut medians = Vec::with_capacity(batches.len());
        for (is_chat, path) in &batches {
            let request = http::get_as(&token, path);
            let mut times = Vec::with_capacity(REPEATS);
            for _ in 0..REPEATS {
                let start = Instant::now();
                connection.send(&request)?;
                let answer = connection.answer()?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                ensure!(answer.status == 404, "a stranger was answered {}", answer.status);
            }
            medians.push((*is_chat, Series::new(times).median()));
        }
        let (lesson, test) = medians.split_at(medians.len() / 2);
        shares.push(Classifier::learn(lesson).share_right(test));
    }
    let worst = shares.iter().copied().fold(0.0, f64::max);
    let shown: Vec<String> = shares.iter().map(|share| format!("{share:.3}")).collect();
    let verdict = verdicts.judge(CLASSIFIED, worst);
    Ok(row([name, &shown[0], &shown[1], &CLASSIFIED.to_string(), &verdict]))
}

/// Calls everything on one side of a limit a chat.
struct Classifier {
    limit_ms: f64,
    chats_are_slower: bool,
}

impl Classifier {
    /// The limit, and the side of it, with which most of the batches would be called what they are.
    fn learn(batches: &[(bool, f64)]) -> Self {
        let of = |limit_ms, chats_are_slower| Self { limit_ms, chats_are_slower };
        let all = batches.iter().flat_map(|(_, ms)| [of(*ms, true), of(*ms, false)]);
        all.max_by(|one, other| one.share_right(batches).total_cmp(&other.share_right(batches)))
            .unwrap_or_else(|| of(0.0, true))
    }

    #[expect(clippy::cast_precision_loss, reason = "some hundred batches")]
    fn share_right(&self, batches: &[(bool, f64)]) -> f64 {
        let is_right =
            |(is_chat, ms): &&(bool, f64)| ((*ms >= self.limit_ms) == self.chats_are_slower) == *is_chat;
        batches.iter().filter(is_right).count() as f64 / batches.len() as f64
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    next_cursor: Option<String>,
}

/// What a page costs somebody with so many chats, at the beginning of the list and in the middle of it.
fn lists(
    programs: &Programs,
    name: &str,
    server: &Server,
    size: u64,
    verdicts: &mut Verdicts,
) -> anyhow::Result<Vec<String>> {
    let token = programs.token()?;
    let owner = format!("owner{size}");
    let requests = (0..size).map(|number| {
        http::create_or_get(&token, &format!(r#"{{"participants":["{owner}","{number}-of-{owner}"]}}"#))
    });
    create(server, requests, |_| Ok(()))?;
    let mut connection = Connection::open(server.address())?;
    let mut ask = |cursor: &str, limit: u64| -> anyhow::Result<(Page, f64)> {
        let request = http::get_as(&token, &format!("/api/chats?as={owner}&limit={limit}{cursor}"));
        let start = Instant::now();
        connection.send(&request)?;
        let answer = connection.answer()?;
        let took = start.elapsed().as_secs_f64() * 1e3;
        ensure!(answer.status == 200, "a page was answered {}", answer.status);
        Ok((serde_json::from_slice(&answer.body)?, took))
    };
    let mut cursor = String::new();
    for _ in 0..size / 200 {
        let (page, _) = ask(&cursor, 100)?;
        let next = page.next_cursor.context("the list ends before its middle")?;
        cursor = format!("&cursor={next}");
    }
    let mut all = Vec::new();
    let mut medians = Vec::new();
    for from in ["", &cursor] {
        let times: Vec<f64> = (0..PAGES).map(|_| Ok(ask(from, 50)?.1)).collect::<anyhow::Result<_>>()?;
        medians.push(Series::new(times.iter().copied()).median());
        all.extend(times);
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
    let chats = count(size as f64);
    let worst = medians.iter().copied().fold(0.0, f64::max);
    let (first, middle, p99) = (ms(medians[0]), ms(medians[1]), ms(Series::new(all).percentile(99)));
    let verdict = verdicts.judge(PAGE_MS, worst);
    Ok(row([name, &chats, &first, &middle, &p99, &PAGE_MS.to_string(), &verdict]))
}

#[cfg(test)]
mod tests {
    use super::Classifier;

    #[test]
    fn what_differs_is_told_apart_and_what_does_not_is_guessed() {
        let differs: Vec<_> = (0..100).map(|n| (n % 2 == 0, if n % 2 == 0 { 1.0 } else { 2.0 })).collect();
        assert!(Classifier::learn(&differs).share_right(&differs) > 0.99);
        let same: Vec<_> = (0..100).map(|n| (n % 2 == 0, f64::from(n / 2))).collect();
        assert!(Classifier::learn(&same[..50]).share_right(&same[50..]) < 0.6);
    }
}
