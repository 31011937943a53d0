//! The names of environment variables: one that is misspelt sets nothing, and nobody would notice.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::{Command, CommandFactory as _};

use super::JWT_SECRET;
use crate::{cli::Cli, nearest::nearest};

const PREFIX: &str = "ONECHAT_";
/// What begins like this is for the tests and tools of the repository, and may be set where the binary runs too.
const OF_DEVELOPMENT: &[&str] = &["ONECHAT_MONGOD", "ONECHAT_CRASH_", "ONECHAT_FAILOVER_", "ONECHAT_LIVE_"];

/// Refuses variables that begin as ours do and are none of ours.
pub(super) fn check() -> anyhow::Result<()> {
    let variables = std::env::vars_os();
    let variables = variables
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    let known = known();
    for (name, value) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
        if known.contains(&name) || is_of_development(&name) || is_of_an_orchestrator(&name, &value) {
            continue;
        }
        match nearest(&name, known.iter().map(String::as_str)) {
            Some(nearest) => bail!("the environment variable {name} is not known; did you mean {nearest}?"),
            None => bail!(
                "the environment variable {name} is not known; those that begin with {PREFIX} are: {}",
                known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
        }
    }
    Ok(())
}

/// Every variable that a flag of some command can be set by, and the secret, which has no flag.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::from([JWT_SECRET.to_owned()]);
    collect(&Cli::command(), &mut known);
    known
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    command.get_subcommands().for_each(|command| collect(command, known));
}

fn is_of_development(name: &str) -> bool {
    OF_DEVELOPMENT.iter().any(|prefix| name.starts_with(prefix))
}

/// Kubernetes and Docker tell every container where the services beside it are, by variables that begin with the
/// service's name: one called `onechat` gives `ONECHAT_SERVICE_HOST`, `ONECHAT_PORT=tcp://10.0.0.1:80` and more.
fn is_of_an_orchestrator(name: &str, value: &str) -> bool {
    let is_url = || value.starts_with("tcp://") || value.starts_with("udp://");
    let numbered = || name.split("_PORT_").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_url())
        || numbered()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_with_a_variable_is_known_and_what_orchestrators_set_is_not_ours() {
        let known = known();
        for name in ["ONECHAT_JWT_SECRET", "ONECHAT_CONFIG", "ONECHAT_STORE", "ONECHAT_LOG_FORMAT"] {
            assert!(known.contains(name), "{name} is missing in {known:?}");
        }
        for (name, value, is_theirs) in [
            ("ONECHAT_SERVICE_HOST", "10.0.0.1", true),
            ("ONECHAT_SERVICE_PORT_HTTP", "80", true),
            ("ONECHAT_PORT", "tcp://10.0.0.1:80", true),
            ("ONECHAT_PORT", "8080", false),
            ("ONECHAT_PORT_80_TCP_ADDR", "10.0.0.1", true),
            ("ONECHAT_API_PORT_80_TCP", "tcp://10.0.0.1:80", true),
            ("ONECHAT_STROE", "sqlite:x", false),
        ] {
            assert_eq!(is_of_an_orchestrator(name, value), is_theirs, "{name}={value}");
        }
    }
}
