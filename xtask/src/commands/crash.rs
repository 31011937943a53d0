//! `cargo xtask crash`: the tests of the suite that kill a migration, with as many kills as one likes.

use clap::{Args, ValueEnum};

use crate::shell;

#[derive(Args)]
pub(crate) struct Options {
    /// How often the migration is killed at a random moment.
    #[arg(long, default_value_t = 80)]
    kills: u32,
    /// How often the primary is killed under it.
    #[arg(long, default_value_t = 20)]
    primary_kills: u32,
    /// The same seed, the same data and the same moments.
    #[arg(long, default_value_t = 3)]
    seed: u64,
    /// On what.
    #[arg(long, value_enum, default_value_t = Kind::ReplicaSet)]
    on: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// One mongod by itself, where there are no transactions.
    Standalone,
    /// A replica set of three.
    ReplicaSet,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let test = match options.on {
        Kind::Standalone => "crash::on_a_standalone_too_where_there_are_no_transactions",
        Kind::ReplicaSet => "crash::on_a_replica_set_a_killed_migration_ends_as_an_undisturbed_one",
    };
    let command =
        ["cargo", "test", "--locked", "-p", "onechat", "--test", "it", "--", "--nocapture", "--exact", test];
    let (kills, primary) = (options.kills.to_string(), options.primary_kills.to_string());
    shell::run(
        &command,
        &[
            ("ONECHAT_CRASH_KILLS", &kills),
            ("ONECHAT_CRASH_PRIMARY_KILLS", &primary),
            ("ONECHAT_CRASH_SEED", &options.seed.to_string()),
        ],
    )
}
