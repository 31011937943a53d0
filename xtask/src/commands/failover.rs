//! `cargo xtask failover`: the test of the suite, for as many rounds as one likes, and with the limit of the design for
//! how long the service may be away.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::shell;

/// From a fault to the first new chat, at most.
const LIMIT: Duration = Duration::from_secs(15);
const TEST: &str = "failover::what_was_acknowledged_survives_every_failover";

#[derive(Args)]
pub(crate) struct Options {
    /// How often each fault strikes.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// What is done to the primary.
    #[arg(long, value_enum, default_value_t = Fault::All)]
    fault: Fault,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    /// SIGKILL, and a new start when the service is back.
    Kill,
    /// Stepping down, as for maintenance.
    StepDown,
    /// SIGSTOP for longer than an election takes, then SIGCONT.
    Pause,
    /// Each of them in turn.
    All,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let faults = match options.fault {
        Fault::Kill => "kill",
        Fault::StepDown => "step-down",
        Fault::Pause => "pause",
        Fault::All => "kill,step-down,pause",
    };
    let command =
        ["cargo", "test", "--locked", "-p", "onechat", "--test", "it", "--", "--nocapture", "--exact", TEST];
    let (rounds, limit) = (options.rounds.to_string(), LIMIT.as_secs().to_string());
    shell::run(
        &command,
        &[
            ("ONECHAT_FAILOVER_ROUNDS", &rounds),
            ("ONECHAT_FAILOVER_FAULTS", faults),
            ("ONECHAT_FAILOVER_LIMIT_S", &limit),
        ],
    )
}
