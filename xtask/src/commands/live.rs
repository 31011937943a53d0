//! `cargo xtask live`: the test of the suite, with as much data as one likes, in a release build.

use clap::Args;

use crate::shell;

const TEST: &str = "live::a_migration_under_load_loses_nothing_and_ends_with_one_chat_each";

#[derive(Args)]
pub(crate) struct Options {
    /// Documents in the collection of chats.
    #[arg(long, default_value_t = 200_000)]
    chats: u64,
    /// Sets of people that have 2 to 50 of them.
    #[arg(long, default_value_t = 20_000)]
    groups: u64,
    /// Documents in the collection of messages.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// The same seed, the same data.
    #[arg(long, default_value_t = 5)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let numbers = [options.chats, options.groups, options.messages, options.seed].map(|one| one.to_string());
    let names = ["ONECHAT_LIVE_CHATS", "ONECHAT_LIVE_GROUPS", "ONECHAT_LIVE_MESSAGES", "ONECHAT_LIVE_SEED"];
    let environment: Vec<(&str, &str)> = names.into_iter().zip(numbers.iter().map(String::as_str)).collect();
    let command = [
        "cargo",
        "test",
        "--release",
        "--locked",
        "-p",
        "onechat",
        "--test",
        "it",
        "--",
        "--nocapture",
        "--exact",
        TEST,
    ];
    shell::run(&command, &environment)
}
