//! The command line, as clap understands it. What the commands do is in `commands/`.

mod migration;

use std::{path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use onechat_core::ports::FindingKind;

pub(crate) use migration::{
    Account, Backfill, Enforce, GuardAction, GuardOff, GuardOn, MergeAction, MergeApply, MergeList,
    MergePlan, MergeShow, MergeUndo, Migrate, Place, RekeyAction, RekeyFinish, Rollback, Watch,
};

use crate::{
    config::{ChatsSettings, JwtSettings, LogSettings, ServerSettings, StoreSettings},
    exit,
};

/// A chat service that cannot create a duplicate chat
#[derive(Parser)]
#[command(name = "onechat", version, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves the chat API
    Serve(Box<Serve>),
    /// Mints a token for testing, signed with the configured secret
    Token(Token),
    /// Races a service, records every answer, and checks the guarantee (I1 to I7)
    ///
    /// Without --url it starts a server of its own on an empty store: a temporary file, or with a store on MongoDB
    /// a database of its own beside the one that is named, which it drops afterwards. Without options it runs the stress tests
    /// (150 callers on the store, the pattern of the endpoint, 150 authenticated HTTP calls) and a short mixture
    /// of everything clients do. Any of --clients, --pairs, --ops and --seed runs the mixture alone; --trace
    /// replays recorded messages instead.
    Prove(Prove),
    /// Checks every invariant of what is stored; reads only, beside a running server too
    ///
    /// Duplicates are found by their participants, whatever their keys say.
    Audit(Audit),
    /// Shows, makes or drops the unique indexes of a store on MongoDB
    Index {
        #[command(subcommand)]
        action: IndexAction,
    },
    /// Brings an existing collection on MongoDB to the guarantee, while it is in use: all steps in their order
    ///
    /// Audit, inventory, guard, backfill, merge, sweep, enforce, account. Goes on where an earlier run was cut off,
    /// and does nothing where nothing is left to do. Everything that it changes is in a journal and can be undone
    /// (`merge undo`).
    Migrate(Box<Migrate>),
    /// Keeps new duplicates out of a collection on MongoDB in which old ones still stand
    Guard {
        #[command(subcommand)]
        action: GuardAction,
    },
    /// Gives every chat on MongoDB the key of its participants
    ///
    /// A chat whose key another chat of the same people has keeps what it had: it is a duplicate, and `merge`'s business.
    Backfill(Backfill),
    /// Plans, applies, lists and undoes the merging of duplicates on MongoDB
    Merge {
        #[command(subcommand)]
        action: MergeAction,
    },
    /// Makes the index on the key unique, once no duplicates are left
    Enforce(Enforce),
    /// Takes guard, unique index and required key off again; nothing keeps duplicates out then
    Rollback(Rollback),
    /// Ends the replacement of the keys by others, while servers go on serving
    Rekey {
        #[command(subcommand)]
        action: RekeyAction,
    },
    /// Checks the account of a run again: nothing is missing, but for what the journal names
    Account(Account),
    /// Heals what old writers go on writing: chats without a key, duplicates, messages to ended chats
    ///
    /// Goes on until it is stopped, and after a failover or a restart where it was.
    Watch(Watch),
    /// Prints the OpenAPI document of the API
    Openapi,
    /// Prints a completion script for a shell
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
    /// Prints this program's help as a page of the documentation
    #[command(hide = true)]
    HelpMarkdown,
    /// Prints the codes of problem answers as a page of the documentation
    #[command(hide = true)]
    ProblemCodes,
}

/// Where the configuration comes from, and how every command logs. Flags win over the environment, that over the file, that over defaults.
#[derive(Args, Clone, Default)]
pub(crate) struct Sources {
    /// A TOML file with the settings
    #[arg(long, env = "ONECHAT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Needs no configuration: keeps the store and a secret in ./onechat-dev, and listens on loopback only
    #[arg(long)]
    pub(crate) dev: bool,
    #[command(flatten)]
    pub(crate) log: LogSettings,
}

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Prints the resulting configuration, with secrets hidden, and ends
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
    #[command(flatten)]
    pub(crate) chats: ChatsSettings,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    #[command(flatten)]
    pub(crate) jwt: JwtSettings,
}

#[derive(Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The participant that the token is for
    #[arg(long)]
    pub(crate) sub: String,
    /// What the token may do besides, separated by spaces; "chats:any" lets it act for others
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// How long it is valid: a number with s, m, h or d
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    pub(crate) ttl: Duration,
    /// Prints the token with its claims as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) jwt: JwtSettings,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Prints a configuration that fits what is there, as TOML, ready for --config: what refers to chats, how
    /// participants are kept, which key format the keys follow. On MongoDB only
    #[arg(long)]
    pub(crate) suggest: bool,
    /// Prints the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Looks at these kinds of findings alone, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = finding_kind(), conflicts_with = "suggest")]
    pub(crate) only: Vec<FindingKind>,
    /// A file with findings that were accepted: they are listed, and are no reason for exit code 1
    #[arg(long, value_name = "FILE", conflicts_with = "suggest")]
    pub(crate) baseline: Option<PathBuf>,
    /// Adds what is found of the kinds in --only to the baseline; what others accepted stays as it is
    #[arg(long, requires_all = ["baseline", "by", "only"])]
    pub(crate) accept: bool,
    /// Who accepts it
    #[arg(long, value_name = "NAME", requires = "accept", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) by: Option<String>,
    /// Why it is accepted
    #[arg(long, value_name = "TEXT", requires = "accept")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

#[derive(Subcommand)]
pub(crate) enum IndexAction {
    /// Shows every index that onechat needs, and which there are; changes nothing
    Status(IndexStatus),
    /// Makes what is missing; may take long on a large collection
    Create(IndexCreate),
    /// Drops the unique indexes on the key, without which onechat writes nothing
    Drop(IndexDrop),
}

#[derive(Args)]
pub(crate) struct IndexStatus {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Prints the indexes as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

#[derive(Args)]
pub(crate) struct IndexCreate {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

#[derive(Args)]
pub(crate) struct IndexDrop {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Does not ask; required where nobody can be asked
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

#[derive(Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// A server that already runs, by plain HTTP; given more than once, servers of one service
    #[arg(long)]
    pub(crate) url: Vec<String>,
    /// How many clients act at the same time [default: 64]
    #[arg(long)]
    pub(crate) clients: Option<usize>,
    /// How many pairs of people chat [default: 200]
    #[arg(long)]
    pub(crate) pairs: Option<usize>,
    /// How many operations there are in all [default: 5000]
    #[arg(long)]
    pub(crate) ops: Option<usize>,
    /// The same seed, the same operations [default: random, and printed]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A file with lines `from to unix-time`, plain or gzip: each opens the chat of the pair and sends a message
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pairs", "ops", "seed"])]
    pub(crate) trace: Option<PathBuf>,
    /// Prints the reports as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) chats: ChatsSettings,
    #[command(flatten)]
    pub(crate) jwt: JwtSettings,
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

/// The codes of findings; clap names the nearest one to what is none.
fn finding_kind() -> impl TypedValueParser<Value = FindingKind> {
    PossibleValuesParser::new(FindingKind::ALL.iter().map(|kind| kind.code()))
        .try_map(|code| FindingKind::of_code(&code).ok_or("it is no kind of finding"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let help = || format!("{text:?} is not a duration: give a number with s, m, h or d, for example 30m");
    let unit = text.chars().last().ok_or_else(help)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(help()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| help())?;
    number.checked_mul(seconds).filter(|total| *total > 0).map(Duration::from_secs).ok_or_else(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_hours(48)));
        for wrong in ["", "s", "10", "1w", "-1h", "0s", "1.5h", "99999999999999999999d", "5€"] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
