//! What each command does, a file each.

mod account;
mod audit;
mod audit_report;
mod backfill;
mod baseline;
mod enforce;
mod guard;
mod index;
mod merge;
mod migrate;
mod migrate_dry_run;
mod prove;
mod prove_store;
mod reference;
mod rekey;
mod reload_keys;
mod serve;
mod session;
mod token;
mod watch;
mod words;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::{
    cli::{Cli, Command},
    exit::Exit,
    output::say,
};

/// Runs one command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Serve(arguments) => block_on(serve::run(*arguments)),
        Command::Token(arguments) => token::run(arguments),
        Command::Prove(arguments) => block_on(prove::run(arguments)),
        Command::Audit(arguments) => block_on(audit::run(arguments)),
        Command::Index { action } => block_on(index::run(action)),
        Command::Migrate(arguments) => block_on(migrate::run(*arguments)),
        Command::Guard { action } => block_on(guard::run(action)),
        Command::Backfill(arguments) => block_on(backfill::run(arguments)),
        Command::Merge { action } => block_on(merge::run(action)),
        Command::Enforce(arguments) => block_on(enforce::run(arguments)),
        Command::Rollback(arguments) => block_on(enforce::rollback(arguments)),
        Command::Rekey { action } => block_on(rekey::run(action)),
        Command::Account(arguments) => block_on(account::run(arguments)),
        Command::Watch(arguments) => block_on(watch::run(arguments)),
        Command::Openapi => reference::openapi(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "onechat", &mut script);
            say(String::from_utf8_lossy(&script).trim_end()).map(|()| Exit::Success)
        }
        Command::HelpMarkdown => reference::help(),
        Command::ProblemCodes => reference::problem_codes(),
    }
}

/// Runs a command to its end, and closes its connections in order before the runtime goes.
fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the runtime cannot be started")?.block_on(onechat_mongo::closing_clients(command))
}

/// Completes when the process is asked to end.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}
