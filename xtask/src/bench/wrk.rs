//! The load generator: `wrk`, which users know, with scripts of ours. It makes the load and takes the time; what
//! is checked here is that every answer was a good one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, bail, ensure};

use super::{pairs::FILLED, servers::Server};

pub(super) const THREADS: u32 = 1;
pub(super) const CONNECTIONS: u32 = 64;

const MISSING: &str = "wrk makes the load, and is not on the PATH: `apt-get install wrk` (Debian, Ubuntu) or \
                       `brew install wrk` (macOS) installs it";

/// Which requests are made.
#[derive(Clone)]
pub(super) enum Load {
    /// One existing chat after the other; few enough that every request can be made beforehand.
    Hits { chats: u64 },
    /// Existing chats at random among all of them.
    Spread { chats: u64 },
    /// Chats that nobody has asked for before, if no other load has this tag.
    New { tag: String, order: Order },
}

/// Which new chats are asked for.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// Of people who are new themselves, named in the order in which they come.
    Arrivals,
    /// Of people with scattered names: every key and every list lies somewhere else.
    Scattered,
}

/// What one load measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measurement {
    /// Requests answered.
    pub(super) requests: u64,
    pub(super) requests_per_s: f64,
    /// Latencies: half of all requests, 90 and 99 of 100, and all of them took at most so long.
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// `wrk`, its scripts, and the token that its requests carry.
pub(super) struct Wrk {
    folder: PathBuf,
    token: String,
}

/// The name of wrk's version; an error that says how to get it if it is missing.
pub(super) fn version() -> anyhow::Result<String> {
    // It prints its version, then its help, and ends as if that were a mistake.
    let output = run(Command::new("wrk").arg("-v"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().take_while(|word| *word != "Copyright").collect::<Vec<_>>();
    Ok(version.join(" "))
}

impl Wrk {
    /// Writes the scripts to `folder`.
    pub(super) fn prepare(folder: &Path, token: &str) -> anyhow::Result<Self> {
        let common = include_str!("lua/common.lua");
        let scripts = [
            ("hits.lua", include_str!("lua/hits.lua")),
            ("spread.lua", include_str!("lua/spread.lua")),
            ("arrivals.lua", include_str!("lua/arrivals.lua")),
            ("scattered.lua", include_str!("lua/scattered.lua")),
        ];
        for (name, own) in scripts {
            fs::write(folder.join(name), format!("{common}\n{own}")).context("a script cannot be written")?;
        }
        Ok(Self { folder: folder.to_owned(), token: token.to_owned() })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Loads `server` for so many seconds. An answer that is no success fails the whole run.
    pub(super) fn load(
        &self,
        server: &Server,
        load: &Load,
        connections: u32,
        seconds: u64,
    ) -> anyhow::Result<Measurement> {
        let (script, tag, chats) = match load {
            Load::Hits { chats } => ("hits.lua", FILLED, Some(chats)),
            Load::Spread { chats } => ("spread.lua", FILLED, Some(chats)),
            Load::New { tag, order: Order::Arrivals } => ("arrivals.lua", tag.as_str(), None),
            Load::New { tag, order: Order::Scattered } => ("scattered.lua", tag.as_str(), None),
        };
        let mut command = Command::new("wrk");
        command
            .arg(format!("-t{THREADS}"))
            .arg(format!("-c{connections}"))
            .arg(format!("-d{seconds}s"))
            .args(["--timeout", "10s", "-H", &format!("Authorization: Bearer {}", self.token), "-s"])
            .arg(self.folder.join(script))
            .args([&format!("http://{}", server.address()), "--", tag])
            .args(chats.as_ref().map(ToString::to_string));
        let output = run(&mut command)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "wrk failed ({}): {text}{errors}", output.status);
        parse(&text).with_context(|| format!("after the load {script}"))
    }
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(MISSING),
        output => output.context("wrk cannot be run"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and times of a run are far below 2^52")]
fn parse(text: &str) -> anyhow::Result<Measurement> {
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let line = line.with_context(|| format!("wrk printed no figures: {text}"))?;
    let field = |wanted: &str| -> anyhow::Result<u64> {
        let mut fields = line.split_whitespace().filter_map(|field| field.split_once('='));
        let value = fields.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse().ok());
        value.with_context(|| format!("wrk's figures have no {wanted}: {line}"))
    };
    let (requests, refused, broken) = (field("requests")?, field("refused")?, field("broken")?);
    ensure!(
        refused == 0 && broken == 0,
        "{refused} requests were refused and {broken} got no answer: {text}"
    );
    let ms = |name: &str| field(name).map(|us| us as f64 / 1e3);
    Ok(Measurement {
        requests,
        requests_per_s: requests as f64 / (field("duration_us")? as f64 / 1e6),
        p50_ms: ms("p50_us")?,
        p90_ms: ms("p90_us")?,
        p99_ms: ms("p99_us")?,
        max_ms: ms("max_us")?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    const PRINTED: &str = "Running 2s test\nfigures requests=4000 duration_us=2000000 refused=0 broken=0 \
                           p50_us=900 p90_us=1200 p99_us=3400 max_us=8000\n";

    #[test]
    fn figures_are_read_in_the_units_of_the_report() {
        let measured = parse(PRINTED).unwrap();
        assert_eq!((measured.requests, measured.requests_per_s.round()), (4000, 2000.0));
        assert_eq!((measured.p50_ms, measured.max_ms), (0.9, 8.0));
    }

    #[test]
    fn a_refused_request_is_an_error() {
        assert!(parse(&PRINTED.replace("refused=0", "refused=1")).is_err());
        assert!(parse(&PRINTED.replace("broken=0", "broken=1")).is_err());
        assert!(parse("Running 2s test\n").is_err());
    }
}
