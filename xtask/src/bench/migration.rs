//! A migration beside the same changes written by hand, and the memory that it takes.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use onechat_legacy::{Database, RawWrites, Shape, configuration, connect, generate, same_indexes};
use onechat_mongod::{Deployment, Setup};
use tokio::runtime::Runtime;

use super::{
    format::{count, row, table},
    programs::Programs,
    series::Series,
    servers::peak_memory_kib,
    target::{Target, Verdicts},
};

const SPEED: Target = Target::AtLeast(0.5);
const MEMORY_MIB: Target = Target::AtMost(150.0);
/// Chats of the databases on which the speed is measured, and of the smaller one for the memory.
const MEASURED: u64 = 100_000;
const FEW: u64 = 10_000;
/// How often the memory is looked at. What is asked for is the peak, which is lost with the process only.
const LOOK: Duration = Duration::from_millis(20);

/// The report, and how many targets were missed.
pub(super) fn run(
    programs: &Programs,
    folder: &Path,
    rounds: u32,
    chats: u64,
) -> anyhow::Result<(String, usize)> {
    let runtime = Runtime::new().context("the runtime cannot be started")?;
    let mut verdicts = Verdicts::default();
    let measured = MEASURED.min(chats);
    let mut text = format!(
        "- {} chats with a tenth as many groups of duplicates and three times as many messages; of {rounds} rounds the median (lowest–highest)\n",
        show(measured)
    );
    let mut speeds = vec![row(["documents/s", "raw bulk", "onechat", "ratio", "target", ""])];
    let mut memory = vec![row(["resident memory, MiB", "chats", "peak", "target", ""])];
    for (name, setup) in [("standalone", Setup::standalone()), ("replica set of three", Setup::replica_set())]
    {
        eprintln!("MongoDB, {name}");
        let deployment = runtime.block_on(setup.start())?;
        if name == "standalone" {
            let _ = writeln!(text, "- MongoDB {}\n", deployment.mongod().version());
        }
        let mut steps = [Pair::default(), Pair::default()];
        for round in 1..=rounds {
            eprintln!("backfill and merge of {measured} chats, round {round} of {rounds}");
            let bench = Bench { programs, folder, deployment: &deployment };
            runtime.block_on(bench.beside_raw(measured, round, &mut steps))?;
        }
        for (step, pair) in ["backfill", "merge"].iter().zip(&steps) {
            speeds.push(pair.row(&format!("{step}, {name}"), &mut verdicts));
        }
        if name == "standalone" {
            for chats in [FEW.min(chats), chats] {
                eprintln!("the memory of a migration of {chats} chats");
                let bench = Bench { programs, folder, deployment: &deployment };
                for (step, peak) in runtime.block_on(bench.memory(chats))? {
                    memory.push(row([
                        step,
                        &show(chats),
                        &format!("{peak:.1}"),
                        &MEMORY_MIB.to_string(),
                        &verdicts.judge(MEMORY_MIB, peak),
                    ]));
                }
            }
        }
    }
    let _ = writeln!(text, "{}\n{}\n{verdicts}", table(&speeds), table(&memory));
    Ok((text, verdicts.missed))
}

struct Bench<'a> {
    programs: &'a Programs,
    folder: &'a Path,
    deployment: &'a Deployment,
}

/// Documents a second, round by round.
#[derive(Default)]
struct Pair {
    raw: Vec<f64>,
    ours: Vec<f64>,
}

impl Pair {
    fn push(&mut self, documents: usize, raw: Duration, ours: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "numbers of documents are far below 2^52")]
        let documents = documents as f64;
        self.raw.push(documents / raw.as_secs_f64());
        self.ours.push(documents / ours.as_secs_f64());
    }

    fn row(&self, name: &str, verdicts: &mut Verdicts) -> Vec<String> {
        let ranged = |figures: &[f64], show: &dyn Fn(f64) -> String| {
            let series = Series::new(figures.iter().copied());
            format!("{} ({}–{})", show(series.median()), show(series.lowest()), show(series.highest()))
        };
        let ratios: Vec<f64> = self.raw.iter().zip(&self.ours).map(|(raw, ours)| ours / raw).collect();
        vec![
            name.to_owned(),
            ranged(&self.raw, &count),
            ranged(&self.ours, &count),
            ranged(&ratios, &|ratio| format!("{ratio:.2}")),
            SPEED.to_string(),
            verdicts.judge(SPEED, Series::new(ratios.iter().copied()).median()),
        ]
    }
}

impl Bench<'_> {
    /// Two databases with the same old data: one for onechat, the other gets the same changes by hand.
    async fn beside_raw(&self, chats: u64, round: u32, steps: &mut [Pair; 2]) -> anyhow::Result<()> {
        let (ours, url) = self.old(&format!("ours-{round}"), chats).await?;
        let (by_hand, _) = self.old(&format!("by-hand-{round}"), chats).await?;
        self.onechat(&url, &["guard", "on"])?;
        same_indexes(&by_hand, &ours).await?;
        for (step, pair) in [&["backfill"][..], &["merge", "apply"]].into_iter().zip(steps) {
            let (took, _) = self.onechat(&url, step)?;
            let writes = RawWrites::between(&by_hand, &ours).await?;
            let (documents, began) = (writes.documents(), Instant::now());
            writes.apply(&by_hand).await?;
            pair.push(documents, began.elapsed(), took);
        }
        for database in [ours, by_hand] {
            database.drop().await?;
        }
        Ok(())
    }

    async fn memory(&self, chats: u64) -> anyhow::Result<[(&'static str, f64); 2]> {
        let (database, url) = self.old(&format!("memory-{chats}"), chats).await?;
        let (_, audit) = self.onechat(&url, &["audit"])?;
        let (_, migrate) = self.onechat(&url, &["migrate"])?;
        database.drop().await?;
        Ok([("audit", audit), ("migrate", migrate)])
    }

    /// A database of old data, and its URL.
    async fn old(&self, name: &str, chats: u64) -> anyhow::Result<(Database, String)> {
        let url = self.deployment.uri(name);
        let database = connect(&url).await?;
        let shape = Shape { malformed: 0, dangling: 0, ..Shape::of(chats, chats / 10, 3 * chats, 1) };
        generate(&database, &shape, &self.folder.join("expected.json")).await?;
        fs::write(self.folder.join("onechat.toml"), configuration(&shape, &url))?;
        Ok((database, url))
    }

    /// How long a command took, and its peak of resident memory in MiB.
    fn onechat(&self, url: &str, arguments: &[&str]) -> anyhow::Result<(Duration, f64)> {
        let log = self.folder.join("command-log");
        let mut command = Command::new(&self.programs.onechat);
        command.env_clear().args(arguments).arg("--store").arg(url);
        command.arg("--config").arg(self.folder.join("onechat.toml"));
        if arguments != ["audit"] {
            command.arg("--yes");
        }
        command.stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let began = Instant::now();
        let mut child = command.spawn().context("onechat cannot be run")?;
        let mut peak = 0.0_f64;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            peak = peak_mib(&child).map_or(peak, |now| peak.max(now));
            std::thread::sleep(LOOK);
        };
        let took = began.elapsed();
        // 1: something is left to people, as there is in old data.
        let ended = matches!(status.code(), Some(0 | 1));
        ensure!(ended, "{arguments:?} ended with {status}: {}", fs::read_to_string(&log)?);
        Ok((took, peak))
    }
}

#[expect(clippy::cast_precision_loss, reason = "the memory of a process is far below 2^52 KiB")]
fn peak_mib(child: &Child) -> Option<f64> {
    peak_memory_kib(child).map(|kib| kib as f64 / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of chats are far below 2^52")]
fn show(number: u64) -> String {
    count(number as f64)
}
