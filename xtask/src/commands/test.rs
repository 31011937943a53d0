//! `cargo xtask test`: everything that has to hold before a change goes in, the cheap checks first.

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Parser as _};
use onechat_mongod::Mongod;

use crate::{
    crate_graph::{self, Workspace},
    generated::{FILES, State},
    shell,
    steps::Step,
};

const OLDEST_NODE: u32 = 18;

const STEPS: &[Step] = &[
    Step { name: "Node.js", run: node },
    Step { name: "MongoDB", run: mongodb },
    Step { name: "peers", run: super::peers::run },
    Step { name: "format", run: || shell::run(&["cargo", "fmt", "--all", "--check"], &[]) },
    Step { name: "lints", run: lints },
    Step { name: "documentation", run: documentation },
    Step { name: "crate graph", run: graph },
    Step { name: "generated files", run: generated },
    Step { name: "tests", run: tests },
];

/// What the tests do in a short form, at length: hundreds of kills and failovers, and a large migration under load.
/// The commands are those that a developer runs by hand, with their defaults.
const LONG_STEPS: &[Step] = &[
    Step { name: "kills", run: kills },
    Step { name: "failovers", run: || by_hand(&["failover"]) },
    Step { name: "crashes, set", run: || by_hand(&["crash"]) },
    Step { name: "crashes, alone", run: || by_hand(&["crash", "--on", "standalone"]) },
    Step { name: "live migration", run: || by_hand(&["live"]) },
];

#[derive(Args)]
pub(crate) struct Options {
    /// Run the long tests as well: a hundred kills of the server and of migrations, sixty failovers, and the migration of a
    /// million messages under load. Takes over an hour.
    #[arg(long)]
    full: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut steps = STEPS.to_vec();
    if options.full {
        steps.extend_from_slice(LONG_STEPS);
    }
    crate::steps::run(&steps)
}

fn by_hand(words: &[&str]) -> anyhow::Result<()> {
    crate::run(crate::Arguments::try_parse_from(["cargo xtask"].iter().chain(words))?)
}

fn kills() -> anyhow::Result<()> {
    let command =
        ["cargo", "test", "--locked", "-p", "onechat", "--test", "it", "--", "--nocapture", "killed::"];
    shell::run(&command, &[("ONECHAT_KILLED_KILLS", "100")])
}

/// First, because the tests need it at their very end, and one who lacks it should not wait for that.
fn node() -> anyhow::Result<()> {
    let help =
        format!("install Node.js {OLDEST_NODE} or later, with `node` on the PATH: some tests ask JavaScript");
    let version = shell::output(&["node", "--version"]).with_context(|| help.clone())?;
    let version = version.trim();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(major >= Some(OLDEST_NODE), "Node.js {version} is too old: {help}");
    println!("Node.js {version}");
    Ok(())
}

/// Early for the same reason, and because it may have to be fetched. The tests find it in the same way.
fn mongodb() -> anyhow::Result<()> {
    let mongod = Mongod::find()?;
    println!("MongoDB {}, {}: {}", mongod.version(), mongod.origin(), mongod.program().display());
    Ok(())
}

fn lints() -> anyhow::Result<()> {
    let command = ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    shell::run(&command, &[])
}

/// Most of their time tests wait: for elections, for processes to end, for a disk. So more of them run at once than
/// there are processors.
fn tests() -> anyhow::Result<()> {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from) * 2;
    shell::run(&["cargo", "test", "--workspace", "--locked"], &[("RUST_TEST_THREADS", &at_once.to_string())])
}

fn documentation() -> anyhow::Result<()> {
    let command = ["cargo", "doc", "--workspace", "--no-deps", "--locked"];
    shell::run(&command, &[("RUSTDOCFLAGS", "-D warnings")])
}

fn graph() -> anyhow::Result<()> {
    let workspace = Workspace::load()?;
    let violations = crate_graph::violations(&workspace);
    if violations.is_empty() {
        println!("{} crates depend on each other as they should", workspace.crates.len());
        return Ok(());
    }
    bail!("the crate graph is not as intended:\n  {}", violations.join("\n  "))
}

fn generated() -> anyhow::Result<()> {
    let mut outdated = Vec::new();
    for file in FILES {
        let state = file.compare(&file.make()?)?;
        println!("{}: {state}", file.path);
        if state != State::Current {
            outdated.push(file.path);
        }
    }
    ensure!(
        outdated.is_empty(),
        "run `cargo xtask generate` and commit the changes of {}",
        outdated.join(", ")
    );
    Ok(())
}
