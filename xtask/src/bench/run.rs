//! A whole run, from building the programs to the report.

use anyhow::bail;
use clap::Args;

use super::{
    folder::Folder,
    loads::Loads,
    machine, phases,
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
    /// Records what is printed in docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
}

/// Measures, prints, and fails if a target was missed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { seconds, rounds, chats, write } = *options;
    let wrk_version = wrk::version()?;
    if write {
        record::check_page()?;
    }
    let programs = Programs::build()?;
    let folder = Folder::make(&programs.target)?;
    let machine = machine::facts(folder.path(), &wrk_version)?;
    let wrk = Wrk::prepare(folder.path(), &programs.token()?)?;
    let loads = Loads::new(&wrk, seconds);
    let beside_null = phases::beside_null(&programs, folder.path(), &loads, rounds)?;
    let scale = phases::scale(&programs, folder.path(), &loads, rounds, chats)?;
    let (text, missed) = report::write(&Results { machine, seconds, rounds, beside_null, scale });
    println!("\n{text}");
    if write {
        record::write(&text)?;
        eprintln!("written to {}", record::PAGE);
    }
    if missed > 0 {
        bail!("{missed} of the benchmark's targets missed");
    }
    Ok(())
}
