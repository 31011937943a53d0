//! `audit`: what is stored, checked against the invariants.

use onechat_core::ports::{AuditReport, Progress};
use onechat_mongo::MongoAudit;
use onechat_sqlite::SqliteAudit;
use serde_json::{Value, json};

use super::session::Session;
use crate::{
    cli::{Audit, Place},
    config::{self, MigrateFlags, Settings, StoreConfig, StoreUrl},
    exit::Exit,
    output::say,
    progress::Bar,
};

pub(super) async fn run(arguments: Audit) -> anyhow::Result<Exit> {
    let Audit { sources, suggest, json, store } = arguments;
    if suggest {
        return suggestion(Place { sources, json, store }).await;
    }
    let config = config::load(&sources, Settings { store, ..Settings::default() })?;
    let report = audit(&config.store).await?;
    if json {
        say(format_args!("{:#}", to_json(&report)))?;
    } else {
        print(&report)?;
    }
    Ok(if report.is_clean() { Exit::Success } else { Exit::Found })
}

/// A configuration that fits what is there.
async fn suggestion(place: Place) -> anyhow::Result<Exit> {
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    let suggestion = session.read(session.migrator.suggest(&session.operator)).await?;
    session.print(&suggestion, suggestion.toml.trim_end())?;
    Ok(Exit::Success)
}

/// Audits the configured store, with a bar on a terminal.
pub(super) async fn audit(store: &StoreConfig) -> anyhow::Result<AuditReport> {
    let bar = Bar::new("audit");
    let report = audit_with(store, &bar).await;
    bar.clear();
    report
}

/// Audits the configured store.
pub(super) async fn audit_with(store: &StoreConfig, progress: &dyn Progress) -> anyhow::Result<AuditReport> {
    let audit: Box<dyn onechat_core::ports::Audit> = match store.required()? {
        StoreUrl::Sqlite(path) => Box::new(SqliteAudit::open(path)?),
        StoreUrl::Mongo(url) => Box::new(MongoAudit::connect(url.expose(), &store.mongo_options()).await?),
    };
    Ok(audit.audit(progress).await?)
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
