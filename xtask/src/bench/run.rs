//! A whole run, from building the programs to the report.

use std::path::Path;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::{
    answers,
    folder::Folder,
    loads::Loads,
    machine, migration, mongo, phases,
    programs::Programs,
    record,
    report::{self, Results},
    wrk::{self, Wrk},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How long one measurement takes
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many chats the large store has
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    chats: u64,
    /// What is measured: a store, a migration, or answers
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// Records what is printed in docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Store {
    /// The embedded one, beside a server without a store
    Sqlite,
    /// MongoDB, standalone and as a replica set, beside the recipe in Node.js too
    Mongo,
    /// A migration on MongoDB, beside the same changes written by hand
    Migration,
    /// What the time of an answer tells on both: whether a chat of others exists, and how long a list is
    Answers,
}

/// Measures, prints, and fails if a target was missed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { seconds, rounds, chats, store, write } = *options;
    let wrk_version = wrk::version()?;
    if write {
        record::check_page(store.part())?;
    }
    let programs = Programs::build()?;
    let folder = Folder::make(&programs.target)?;
    let machine = machine::facts(folder.path(), &wrk_version)?;
    let wrk = Wrk::prepare(folder.path(), &programs.token()?)?;
    let loads = Loads::new(&wrk, seconds);
    let (text, missed) = match store {
        Store::Sqlite => on_sqlite(&programs, folder.path(), &loads, machine, options)?,
        Store::Mongo => {
            let (text, missed) = mongo::run(&programs, folder.path(), &loads, seconds, rounds, chats)?;
            (format!("{machine}{text}"), missed)
        }
        Store::Migration => {
            let (text, missed) = migration::run(&programs, folder.path(), rounds, chats)?;
            (format!("{machine}{text}"), missed)
        }
        Store::Answers => {
            let (text, missed) = answers::run(&programs, folder.path())?;
            (format!("{machine}{text}"), missed)
        }
    };
    println!("\n{text}");
    if write {
        record::write(store.part(), &text)?;
        eprintln!("written to {}", record::PAGE);
    }
    if missed > 0 {
        bail!("{missed} of the benchmark's targets missed");
    }
    Ok(())
}

impl Store {
    /// Its part of the page.
    fn part(self) -> &'static str {
        match self {
            Self::Sqlite => "figures",
            Self::Mongo => "figures of MongoDB",
            Self::Migration => "figures of a migration",
            Self::Answers => "figures of answers",
        }
    }
}

fn on_sqlite(
    programs: &Programs,
    folder: &Path,
    loads: &Loads<'_>,
    machine: String,
    options: &Options,
) -> anyhow::Result<(String, usize)> {
    let Options { seconds, rounds, chats, .. } = *options;
    let beside_null = phases::beside_null(programs, folder, loads, rounds)?;
    let scale = phases::scale(programs, folder, loads, rounds, chats)?;
    Ok(report::write(&Results { machine, seconds, rounds, beside_null, scale }))
}
