//! The report of an audit in words and as JSON: what is new first, what was accepted after it.

use onechat_core::ports::{AuditReport, Finding, FindingKind, Severity};
use serde_json::{Value, json};

use super::baseline::{Baseline, Entry, Verdict};
use crate::output::say;

/// A report, and how far its findings are accepted.
pub(super) struct Judged<'a> {
    report: &'a AuditReport,
    findings: Vec<(&'a Finding, Option<Verdict<'a>>)>,
    only: &'a [FindingKind],
}

impl<'a> Judged<'a> {
    /// Of `report` the kinds in `only`, all if there are none, as far as `baseline` does not accept them.
    pub(super) fn new(
        report: &'a AuditReport,
        only: &'a [FindingKind],
        baseline: Option<&'a Baseline>,
    ) -> Self {
        let is_chosen = |kind: FindingKind| only.is_empty() || only.contains(&kind) || kind.ends_the_audit();
        let chosen = report.findings.iter().filter(|finding| is_chosen(finding.kind));
        let judge = |finding: &'a Finding| {
            let baseline = baseline.filter(|_| !finding.kind.ends_the_audit());
            (finding, baseline.map(|baseline| baseline.judge(finding)))
        };
        Self { report, findings: chosen.map(judge).collect(), only }
    }

    /// The findings that were looked at.
    pub(super) fn findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().map(|(finding, _)| *finding)
    }

    /// Whether there is no error but those that were accepted.
    pub(super) fn is_clean(&self) -> bool {
        self.findings.iter().all(|(finding, verdict)| {
            finding.kind.severity() == Severity::Warning || new_of(finding, verdict.as_ref()) == 0
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let findings = self.findings.iter().map(|(finding, verdict)| {
            let mut json = json!({
                "code": finding.kind.code(),
                "severity": finding.kind.severity().name(),
                "invariant": finding.kind.invariant().to_string(),
                "count": finding.count,
                "examples": examples(finding, verdict.as_ref()),
                "advice": finding.kind.advice(),
            });
            if let Some(verdict) = verdict {
                let entry =
                    |entry: &&Entry| json!({"by": entry.by, "at": entry.at.to_string(), "note": entry.note});
                json["new"] = verdict.new.into();
                json["accepted"] = verdict.accepted.into();
                json["acceptedBy"] = verdict.entries.iter().map(entry).collect();
            }
            json
        });
        let mut json = json!({
            "clean": self.is_clean(),
            "chats": self.report.chats,
            "outside": self.report.outside,
            "messages": self.report.messages,
            "aliases": self.report.aliases,
            "findings": findings.collect::<Vec<_>>(),
        });
        if !self.only.is_empty() {
            json["only"] = self.only.iter().map(|kind| kind.code()).collect();
        }
        json
    }

    pub(super) fn print(&self) -> anyhow::Result<()> {
        let only: Vec<&str> = self.only.iter().map(|kind| kind.code()).collect();
        let accepted: Vec<_> = self.findings.iter().filter_map(accepted_of).collect();
        say(format_args!(
            "audited {}{}, {}, {}: {}{}",
            count(self.report.chats, "chat", "chats"),
            match self.report.outside {
                0 => String::new(),
                outside => format!(" ({} outside `only`)", count(outside, "document", "documents")),
            },
            count(self.report.messages, "message", "messages"),
            count(self.report.aliases, "alias", "aliases"),
            match (self.is_clean(), accepted.is_empty()) {
                (false, _) => "NOT CLEAN",
                (true, true) => "clean",
                (true, false) => "clean, but for what was accepted",
            },
            if only.is_empty() { String::new() } else { format!(" (only {})", only.join(", ")) }
        ))?;
        for (finding, verdict) in &self.findings {
            if new_of(finding, verdict.as_ref()) > 0 {
                print_new(finding, verdict.as_ref())?;
            }
        }
        for (finding, verdict) in accepted {
            let kind = finding.kind;
            let times = count(verdict.accepted, "time", "times");
            say(format_args!(
                "\naccepted: {} ({}, {}): {times}",
                kind.code(),
                kind.severity().name(),
                kind.invariant()
            ))?;
            for entry in &verdict.entries {
                say(format_args!("  {}", whose(entry)))?;
            }
        }
        Ok(())
    }
}

fn print_new(finding: &Finding, verdict: Option<&Verdict<'_>>) -> anyhow::Result<()> {
    let kind = finding.kind;
    let times = match verdict {
        Some(verdict) if verdict.accepted > 0 => format!("{} new", verdict.new),
        _ => count(finding.count, "time", "times"),
    };
    say(format_args!("\n{} ({}, {}): {times}", kind.code(), kind.severity().name(), kind.invariant()))?;
    for example in examples(finding, verdict) {
        say(format_args!("  {example}"))?;
    }
    if let Some((entry, count)) = verdict.and_then(|verdict| verdict.changed) {
        say(format_args!(
            "  Accepted were {count} rows, all together, and these are not the same: which of them are new cannot be \
             told ({})",
            whose(entry)
        ))?;
    }
    say(format_args!("  What to do: {}", kind.advice()))
}

fn accepted_of<'a, 'b>(
    (finding, verdict): &'b (&'a Finding, Option<Verdict<'a>>),
) -> Option<(&'a Finding, &'b Verdict<'a>)> {
    verdict.as_ref().filter(|verdict| verdict.accepted > 0).map(|verdict| (*finding, verdict))
}

fn new_of(finding: &Finding, verdict: Option<&Verdict<'_>>) -> u64 {
    verdict.map_or(finding.count, |verdict| verdict.new)
}

/// A few rows: of those that are new, if any are.
fn examples<'a>(finding: &'a Finding, verdict: Option<&Verdict<'a>>) -> Vec<&'a str> {
    match verdict {
        Some(verdict) if !verdict.new_rows.is_empty() => {
            verdict.new_rows.iter().copied().take(Finding::MAX_EXAMPLES).collect()
        }
        _ => finding.examples().iter().map(String::as_str).collect(),
    }
}

fn whose(entry: &Entry) -> String {
    let note = entry.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("by {} on {}{note}", entry.by, entry.at)
}

pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
