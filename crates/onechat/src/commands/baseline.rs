//! The baseline of an audit: findings that somebody accepted, in a file that people read and keep under version
//! control. It is only ever added to: what others accepted stays as they wrote it.

use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use onechat_core::{
    Timestamp,
    ports::{Finding, FindingKind},
};
use serde::{Deserialize, Serialize};
use toml::value::Datetime;

use crate::nearest::nearest;

const HEADER: &str = "\
# Findings of `onechat audit` that were accepted, and by whom. `onechat audit --baseline` is quiet about these rows, and
# about nothing else. `--accept` adds entries; to take one back, remove it.
";

/// The file, read.
pub(super) struct Baseline {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// What one person accepted of one kind at one time.
pub(super) struct Entry {
    kind: FindingKind,
    pub(super) by: String,
    pub(super) at: Datetime,
    pub(super) note: Option<String>,
    what: What,
}

enum What {
    /// These rows, by the text that the audit has for each.
    Rows(Vec<String>),
    /// So many rows that they are not listed: exactly these, all together.
    All { count: u64, digest: u128 },
}

/// How far a finding is accepted.
pub(super) struct Verdict<'a> {
    /// How many of its rows are.
    pub(super) accepted: u64,
    /// How many are not.
    pub(super) new: u64,
    /// Those that are not, as far as the finding names them.
    pub(super) new_rows: Vec<&'a str>,
    /// The entries that had a part in it.
    pub(super) entries: Vec<&'a Entry>,
    /// An entry of very many rows, if what it was for has changed since.
    pub(super) changed: Option<(&'a Entry, u64)>,
}

/// The file as it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    accepted: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    by: String,
    at: Datetime,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<String>>,
}

impl Baseline {
    /// Reads the file. If it `may_be_missing`, an absent one is an empty one.
    pub(super) fn read(path: &Path, may_be_missing: bool) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && may_be_missing => String::new(),
            text => text.with_context(|| format!("the baseline {} cannot be read", path.display()))?,
        };
        let entries =
            parse(&text).with_context(|| format!("the baseline {} is not right", path.display()))?;
        Ok(Self { path: path.to_owned(), entries })
    }

    /// How far `finding` is accepted.
    pub(super) fn judge<'a>(&'a self, finding: &'a Finding) -> Verdict<'a> {
        let entries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.kind == finding.kind).collect();
        let same = |entry: &&&Entry| matches!(entry.what, What::All { count, digest } if (count, digest) == (finding.count, finding.digest));
        if let Some(entry) = entries.iter().find(same) {
            return Verdict {
                accepted: finding.count,
                new: 0,
                new_rows: Vec::new(),
                entries: vec![entry],
                changed: None,
            };
        }
        let mut unused: HashMap<&str, Vec<&Entry>> = HashMap::new();
        for &entry in &entries {
            if let What::Rows(rows) = &entry.what {
                for row in rows {
                    unused.entry(row).or_default().push(entry);
                }
            }
        }
        let mut taking_part: Vec<&Entry> = Vec::new();
        let mut new_rows = Vec::new();
        let mut accepted = 0;
        for row in &finding.rows {
            match unused.get_mut(row.as_str()).and_then(Vec::pop) {
                Some(entry) => {
                    accepted += 1;
                    if !taking_part.iter().any(|other| std::ptr::eq(*other, entry)) {
                        taking_part.push(entry);
                    }
                }
                None => new_rows.push(row.as_str()),
            }
        }
        // Rows that the finding does not keep were looked at by nobody.
        let new = finding.count - accepted;
        let changed = entries.iter().rev().find_map(|entry| match entry.what {
            What::All { count, .. } if new > 0 => Some((*entry, count)),
            _ => None,
        });
        Verdict { accepted, new, new_rows, entries: taking_part, changed }
    }

    /// Adds what is new of the findings to the file: the rows, or, where a finding has more than it keeps, all of
    /// them by their number and digest. Says which kinds, with how many rows.
    pub(super) fn accept<'a>(
        &mut self,
        findings: impl Iterator<Item = &'a Finding>,
        by: &str,
        note: Option<&str>,
        now: Timestamp,
    ) -> anyhow::Result<Vec<(FindingKind, u64)>> {
        let at: Datetime = now.to_string().parse().context("the time cannot be written")?;
        let (mut document, mut added) = (Document::default(), Vec::new());
        for finding in findings {
            let verdict = self.judge(finding);
            if verdict.new == 0 {
                continue;
            }
            let is_whole = finding.count == finding.rows.len() as u64;
            let mut rows: Vec<String> = verdict.new_rows.iter().map(ToString::to_string).collect();
            rows.sort_unstable();
            added.push((finding.kind, if is_whole { verdict.new } else { finding.count }));
            document.accepted.push(Written {
                kind: finding.kind.code().to_owned(),
                by: by.to_owned(),
                at,
                note: note.map(str::to_owned),
                count: (!is_whole).then_some(finding.count),
                digest: (!is_whole).then(|| format!("{:032x}", finding.digest)),
                rows: is_whole.then_some(rows),
            });
        }
        if !document.accepted.is_empty() {
            self.append(&document)
                .with_context(|| format!("the baseline {} cannot be written", self.path.display()))?;
            for written in document.accepted {
                self.entries.push(entry(written)?);
            }
        }
        Ok(added)
    }

    fn append(&self, document: &Document) -> anyhow::Result<()> {
        let mut file = fs::File::options().append(true).create(true).open(&self.path)?;
        let before = if file.metadata()?.len() == 0 { HEADER } else { "" };
        // In one write: of two people who accept at the same time neither takes the other's entries away.
        file.write_all(format!("{before}\n{}", toml::to_string_pretty(document)?).as_bytes())?;
        Ok(file.sync_all()?)
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let document: Document = toml::from_str(text)?;
    let entries = document.accepted.into_iter().enumerate();
    entries.map(|(index, written)| entry(written).with_context(|| format!("entry {}", index + 1))).collect()
}

fn entry(written: Written) -> anyhow::Result<Entry> {
    let Written { kind, by, at, note, count, digest, rows } = written;
    let kind = self::kind(&kind)?;
    ensure!(!by.trim().is_empty(), "`by` says who accepted it, and is empty");
    ensure!(
        at.date.is_some() && at.time.is_some() && at.offset.is_some(),
        "`at` is a date, a time and an offset, for example 2026-11-28T09:00:00Z"
    );
    let what = match (rows, count, digest) {
        (Some(rows), None, None) => What::Rows(rows),
        (None, Some(count), Some(digest)) => {
            let is_right = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure!(is_right, "`digest` has 32 hexadecimal digits");
            What::All { count, digest: u128::from_str_radix(&digest, 16)? }
        }
        _ => {
            bail!("it needs either `rows`, or `count` and `digest`, as `onechat audit --accept` writes them")
        }
    };
    Ok(Entry { kind, by, at, note, what })
}

fn kind(code: &str) -> anyhow::Result<FindingKind> {
    FindingKind::of_code(code).with_context(|| {
        let all = || FindingKind::ALL.iter().map(|kind| kind.code());
        let advice = nearest(code, all()).map_or_else(
            || format!("there are {}", all().collect::<Vec<_>>().join(", ")),
            |nearest| format!("did you mean {nearest:?}?"),
        );
        format!("{code:?} is no kind of finding; {advice}")
    })
}
