//! The section `[migrate]` of the file: what refers to chats, and how chats of the same people are put together.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// `[migrate]`, as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MigrateSettings {
    pub(super) survivor: Option<Survivor>,
    pub(super) max_rate: Option<u32>,
    pub(super) max_lag_ms: Option<u64>,
    pub(super) stop_file: Option<PathBuf>,
    pub(super) outside_keys: Option<OutsideKeys>,
    pub(super) chats_from_messages: Option<bool>,
    pub(super) questions: Vec<OpenQuestion>,
    pub(super) references: Vec<ReferenceSettings>,
    pub(super) renumber: Vec<RenumberSettings>,
    pub(super) embedded: Vec<EmbeddedSettings>,
    pub(super) state: Vec<StateSettings>,
    pub(super) fields: BTreeMap<String, Rule>,
}

/// What of it has flags: what an operator decides anew for each run.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Limits [migrate]")]
pub(crate) struct MigrateFlags {
    /// How many documents are written per second at most; may be changed in the file meanwhile
    #[arg(long, value_name = "N")]
    max_rate: Option<u32>,
    /// On a replica set, pauses while a secondary is further behind: a number with ms, s or m. May be changed
    /// in the file meanwhile (`max_lag_ms`)
    #[arg(long, value_name = "TIME", value_parser = parse_ms)]
    max_lag: Option<u64>,
    /// Stops cleanly when this file appears
    #[arg(long, value_name = "FILE")]
    stop_file: Option<PathBuf>,
}

impl MigrateSettings {
    /// What flags say. What there is no flag for stays empty.
    pub(crate) fn of_flags(flags: MigrateFlags, survivor: Option<Survivor>) -> Self {
        let MigrateFlags { max_rate, max_lag: max_lag_ms, stop_file } = flags;
        Self { survivor, max_rate, max_lag_ms, stop_file, ..Self::default() }
    }

    /// These settings, and where they say nothing, the file's.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            survivor: self.survivor.or(file.survivor),
            max_rate: self.max_rate.or(file.max_rate),
            max_lag_ms: self.max_lag_ms.or(file.max_lag_ms),
            stop_file: self.stop_file.or(file.stop_file),
            ..file
        }
    }
}

fn parse_ms(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let ms = units.iter().find_map(|(unit, ms)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*ms)
    });
    ms.ok_or_else(|| format!("{text:?} is not a time: give a number with ms, s or m, for example 2s"))
}

/// `[[migrate.questions]]`: what `audit --suggest` left to the operator. One that is still there is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenQuestion {
    pub(super) fields: Vec<String>,
    pub(super) question: String,
}

/// `[[migrate.references]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceSettings {
    pub(super) collection: String,
    pub(super) field: String,
    pub(super) participant: Option<String>,
    #[serde(default)]
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) read_until: Option<String>,
}

/// `[[migrate.renumber]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenumberSettings {
    pub(super) collection: String,
    pub(super) field: String,
    pub(super) time: Option<String>,
}

/// `[[migrate.embedded]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmbeddedSettings {
    pub(super) field: String,
    pub(super) id: Option<String>,
    pub(super) ids_of: Option<String>,
    pub(super) path: Option<String>,
    pub(super) time: Option<String>,
    pub(super) sender: Option<String>,
}

/// `[[migrate.state]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateSettings {
    pub(super) field: String,
    pub(super) form: Form,
    pub(super) participant: Option<String>,
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) read_until: Option<String>,
}

/// What becomes of keys on documents that `only` leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OutsideKeys {
    /// One is taken away when a chat inside needs it.
    Take,
}

/// Which chat of a group lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Survivor {
    /// The one that was created first
    #[default]
    Oldest,
    /// The one with the most messages
    MostMessages,
    /// The one with the latest message
    MostRecent,
}

/// How state per participant is laid out in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    Map,
    Array,
}

/// How several values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rule {
    Max,
    Min,
    Sum,
    Union,
    Survivor,
    Recompute,
    Newest,
    All,
}
