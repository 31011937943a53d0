//! What developers run: `cargo xtask help` lists it. One file a command; nothing here is part of the product.

mod bench;
mod census;
mod commands;
mod crate_graph;
mod generated;
mod peers;
mod shell;
mod steps;

use clap::{Parser, Subcommand};

/// Checks and generated files of onechat.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check: format, lints, documentation, crate graph, generated files, tests.
    Test(commands::test::Options),
    /// Write the committed files that are made by programs.
    Generate,
    /// Print the page of the census: what becomes of each public chat model, computed by rules.
    Census,
    /// Run a MongoDB for development, standalone or as a replica set whose members can be paused and killed.
    Mongo(commands::mongo::Options),
    /// Kill, step down and pause the primary of a replica set while the prover drives two servers on it.
    Failover(commands::failover::Options),
    /// Kill a migration, and the primary under it, again and again, and compare what comes of it.
    Crash(commands::crash::Options),
    /// Migrate a replica set under load, and check that nothing is lost.
    Live(commands::live::Options),
    /// Fill a database with old chats: without keys, many times over, with all that refers to them.
    Legacy(commands::legacy::Options),
    /// Install the packages of the programs in bench/peers, which tests and benchmarks run against.
    Peers,
    /// Measure the speed and the memory of the service against their targets. Needs wrk and a quiet machine.
    Bench(bench::Options),
}

fn main() -> anyhow::Result<()> {
    run(Arguments::parse())
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Test(options) => commands::test::run(&options),
        Command::Generate => commands::generate::run(),
        Command::Census => census::run(),
        Command::Mongo(options) => commands::mongo::run(&options),
        Command::Failover(options) => commands::failover::run(&options),
        Command::Crash(options) => commands::crash::run(&options),
        Command::Live(options) => commands::live::run(&options),
        Command::Legacy(options) => commands::legacy::run(&options),
        Command::Peers => commands::peers::run(),
        Command::Bench(options) => bench::run(&options),
    }
}
