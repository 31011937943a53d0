//! Pages of the documentation that are made from the code, so that they cannot disagree with it.

use clap::CommandFactory as _;

use crate::{cli::Cli, exit::Exit, output::say};

/// The width that help is laid out in, whatever the terminal.
const WIDTH: usize = 100;

/// `openapi`: the document of the API.
pub(super) fn openapi() -> anyhow::Result<Exit> {
    say(serde_json::to_string_pretty(&onechat_api::openapi())?)?;
    Ok(Exit::Success)
}

/// The help of every command.
pub(super) fn help() -> anyhow::Result<Exit> {
    say("# Command line\n\nThis page is made from `onechat --help`.")?;
    let command = Cli::command().term_width(WIDTH);
    print_help(command.clone(), "onechat")?;
    print_subcommands(&command, "onechat")?;
    Ok(Exit::Success)
}

fn print_subcommands(command: &clap::Command, name: &str) -> anyhow::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("{name} {}", sub.get_name());
        print_help(sub.clone().term_width(WIDTH), &name)?;
        print_subcommands(sub, &name)?;
    }
    Ok(())
}

fn print_help(command: clap::Command, name: &str) -> anyhow::Result<()> {
    let help = command.bin_name(name.to_owned()).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    say(format_args!("\n## `{name}`\n\n```text\n{}\n```", lines.join("\n").trim_end()))
}

/// The codes of problem answers.
pub(super) fn problem_codes() -> anyhow::Result<Exit> {
    say("# Problem codes\n\n\
         Every refusal is `application/problem+json` (RFC 9457) with a `code` from this table, which is made from the\n\
         code of the service. Codes are stable; titles and details are for people and may change.\n\n\
         | code | status | Retry-After | meaning |\n| --- | --- | --- | --- |")?;
    for row in onechat_api::problem_codes() {
        let retry = row.retry_after_seconds.map_or_else(String::new, |seconds| format!("{seconds} s"));
        say(format_args!("| `{}` | {} | {retry} | {} |", row.code, row.status, row.meaning))?;
    }
    Ok(Exit::Success)
}
