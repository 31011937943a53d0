//! The one binary: reads the command line and the configuration, and puts the crates together.

mod ambient;
mod cli;
mod commands;
mod config;
mod confirm;
mod control;
mod dev;
mod exit;
mod logging;
mod nearest;
mod output;
mod plan_file;
mod progress;
mod service;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

use crate::exit::Exit;

/// Each request makes dozens of small allocations on one thread and frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("onechat: {error:#}");
            Exit::of(&error).into()
        }
    }
}
