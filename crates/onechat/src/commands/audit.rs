//! `audit`: what is stored, checked against the invariants.

use onechat_core::ports::{Audit as _, AuditReport};
use onechat_sqlite::SqliteAudit;
use serde_json::{Value, json};

use crate::{
    cli::Audit,
    config::{self, Settings, StoreUrl},
    exit::Exit,
    output::say,
    progress::Bar,
};

pub(super) async fn run(arguments: Audit) -> anyhow::Result<Exit> {
    let Audit { sources, json, store } = arguments;
    let config = config::load(&sources, Settings { store, ..Settings::default() })?;
    let StoreUrl::Sqlite(path) = config.store.required()?;
    let bar = Bar::new("audit");
    let report = SqliteAudit::open(path)?.audit(&bar).await;
    bar.clear();
    let report = report?;
    if json {
        say(format_args!("{:#}", to_json(&report)))?;
    } else {
        print(&report)?;
    }
    Ok(if report.is_clean() { Exit::Success } else { Exit::Found })
}

pub(super) fn to_json(report: &AuditReport) -> Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "code": finding.kind.code(),
            "severity": finding.kind.severity().name(),
            "invariant": finding.kind.invariant().to_string(),
            "count": finding.count,
            "examples": finding.examples,
            "advice": finding.kind.advice(),
        })
    });
    json!({
        "clean": report.is_clean(),
        "chats": report.chats,
        "messages": report.messages,
        "aliases": report.aliases,
        "findings": findings.collect::<Vec<_>>(),
    })
}

pub(super) fn print(report: &AuditReport) -> anyhow::Result<()> {
    say(format_args!(
        "audited {}, {}, {}: {}",
        count(report.chats, "chat", "chats"),
        count(report.messages, "message", "messages"),
        count(report.aliases, "alias", "aliases"),
        if report.is_clean() { "clean" } else { "NOT CLEAN" }
    ))?;
    for finding in &report.findings {
        let kind = finding.kind;
        let times = count(finding.count, "time", "times");
        say(format_args!("\n{} ({}, {}): {times}", kind.code(), kind.severity().name(), kind.invariant()))?;
        for example in &finding.examples {
            say(format_args!("  {example}"))?;
        }
        say(format_args!("  What to do: {}", kind.advice()))?;
    }
    Ok(())
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
