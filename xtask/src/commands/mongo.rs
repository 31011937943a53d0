//! `cargo xtask mongo`: a MongoDB to develop against, of the same making as that of the tests. Commands on the
//! standard input do to its members what the tests do.

use std::io::{IsTerminal as _, stdin};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use onechat_mongod::{Deployment, MemberStatus};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    signal::unix::{SignalKind, signal},
};

const HELP: &str = "\
status      how the members do
pause N     stop the process of member N where it is (SIGSTOP)
resume N    let it go on (SIGCONT)
kill N      kill it (SIGKILL)
restart N   start it again on its data, after an orderly end if it runs
step-down   make the primary step down
quit        stop everything and remove its data";

/// What the printed connection string names: every command of onechat needs a database.
const DATABASE: &str = "chat";

#[derive(Args)]
pub(crate) struct Options {
    /// What to start.
    #[arg(value_enum, default_value_t = Kind::Standalone)]
    kind: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// One mongod by itself.
    Standalone,
    /// A replica set of three.
    ReplicaSet,
}

/// A line of the standard input, understood.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Status,
    Pause(usize),
    Resume(usize),
    Kill(usize),
    Restart(usize),
    StepDown,
    Help,
    Quit,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    let result = runtime.block_on(serve(options.kind));
    // A thread may be waiting for a line that never comes.
    runtime.shutdown_background();
    result
}

async fn serve(kind: Kind) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        // Whatever is under way is dropped, and with it every process and file of the deployment.
        () = stopped => Ok(()),
        result = work(kind) => result,
    }
}

async fn work(kind: Kind) -> anyhow::Result<()> {
    let deployment = match kind {
        Kind::Standalone => Deployment::standalone().await?,
        Kind::ReplicaSet => Deployment::replica_set().await?,
    };
    let mongod = deployment.mongod();
    println!("MongoDB {}, {}: {}", mongod.version(), mongod.origin(), mongod.program().display());
    println!("{}", deployment.uri(DATABASE));
    println!("data and logs: {}, removed at the end", deployment.folder().display());
    print_status(&deployment).await?;
    let ended_by = if stdin().is_terminal() { "`help` lists commands; `quit` or Ctrl-C" } else { "a signal" };
    println!("{ended_by} ends it");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.context("the standard input cannot be read")? {
        if line.trim().is_empty() {
            continue;
        }
        match understood(&line) {
            Ok(Order::Quit) => return Ok(()),
            Ok(order) => match obeyed(&deployment, order).await {
                Ok(()) => println!("ok: {}", line.trim()),
                Err(error) => println!("error: {error:#}"),
            },
            Err(error) => println!("error: {error:#}"),
        }
    }
    if stdin().is_terminal() {
        return Ok(());
    }
    // Started in the background, without anybody to type.
    std::future::pending().await
}

fn understood(line: &str) -> anyhow::Result<Order> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let member = |number: &str| {
        number.parse::<usize>().with_context(|| format!("{number} is not the index of a member"))
    };
    Ok(match words[..] {
        ["status"] => Order::Status,
        ["pause", number] => Order::Pause(member(number)?),
        ["resume", number] => Order::Resume(member(number)?),
        ["kill", number] => Order::Kill(member(number)?),
        ["restart", number] => Order::Restart(member(number)?),
        ["step-down"] => Order::StepDown,
        ["help"] => Order::Help,
        ["quit"] => Order::Quit,
        _ => bail!("`{}` is no command; `help` lists them", line.trim()),
    })
}

async fn obeyed(deployment: &Deployment, order: Order) -> anyhow::Result<()> {
    match order {
        Order::Status => print_status(deployment).await?,
        Order::Pause(member) => deployment.pause(member)?,
        Order::Resume(member) => deployment.resume(member)?,
        Order::Kill(member) => deployment.kill(member)?,
        Order::Restart(member) => deployment.restart(member).await?,
        Order::StepDown => {
            deployment.step_down().await?;
            println!("the primary is member {} now", deployment.primary().await?);
        }
        Order::Help => println!("{HELP}"),
        Order::Quit => {}
    }
    Ok(())
}

async fn print_status(deployment: &Deployment) -> anyhow::Result<()> {
    println!("member  port   pid      process  role");
    for status in deployment.status().await? {
        println!("{}", row(&status));
    }
    Ok(())
}

fn row(status: &MemberStatus) -> String {
    let pid = status.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let role = status.role.map_or_else(|| "-".to_owned(), |role| format!("{role:?}").to_lowercase());
    let life = format!("{:?}", status.life).to_lowercase();
    format!("{:<6}  {:<5}  {pid:<7}  {life:<7}  {role}", status.index, status.port)
}

#[cfg(test)]
mod tests {
    use super::{HELP, Order, understood};

    #[test]
    fn understands_what_help_lists_and_nothing_else() {
        for line in HELP.lines() {
            let (command, _) = line.split_at(12);
            understood(&command.replace('N', "2")).unwrap();
        }
        assert_eq!(understood(" restart  2 ").unwrap(), Order::Restart(2));
        assert_eq!(understood("kill").unwrap_err().to_string(), "`kill` is no command; `help` lists them");
        assert_eq!(understood("kill x").unwrap_err().to_string(), "x is not the index of a member");
    }
}
