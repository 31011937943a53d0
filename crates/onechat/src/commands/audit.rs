//! `audit`: what is stored, checked against the invariants.

use anyhow::bail;
use onechat_core::ports::{AuditReport, Clock as _, FindingKind, Progress};
use onechat_mongo::MongoAudit;
use onechat_sqlite::SqliteAudit;
use serde_json::Value;

use super::{
    audit_report::{Judged, count},
    baseline::Baseline,
    session::Session,
};
use crate::{
    ambient::SystemClock,
    cli::{Audit, Place},
    config::{self, MigrateFlags, Settings, StoreConfig, StoreUrl},
    exit::Exit,
    logging,
    output::say,
    progress::Bar,
};

/// How many unreadable chats are named.
const EXAMPLES: usize = 3;

pub(super) async fn run(arguments: Audit) -> anyhow::Result<Exit> {
    let Audit { sources, suggest, json, only, baseline, accept, by, note, store } = arguments;
    if suggest {
        return Box::pin(suggestion(Place { sources, json, store })).await;
    }
    if let Some(kind) = only.iter().find(|kind| accept && kind.ends_the_audit()) {
        bail!("{} cannot be accepted: nothing else is examined while it is so", kind.code());
    }
    // Before the work: a baseline that cannot be read makes it useless.
    let mut baseline = baseline.map(|path| Baseline::read(&path, accept)).transpose()?;
    let config = config::load(&sources, Settings { store, ..Settings::default() })?;
    logging::start(&config.log)?;
    let report = audit(&config.store).await?;
    if let (true, Some(baseline), Some(by)) = (accept, &mut baseline, &by) {
        let judged = Judged::new(&report, &only, None);
        let chosen: Vec<_> = judged.findings().filter(|finding| !finding.kind.ends_the_audit()).collect();
        let accepted = baseline.accept(chosen.into_iter(), by, note.as_deref(), SystemClock.now())?;
        for (kind, rows) in &accepted {
            eprintln!("onechat: accepted {} of {}", count(*rows, "row", "rows"), kind.code());
        }
        if accepted.is_empty() {
            eprintln!("onechat: nothing is new, so nothing was added to the baseline");
        }
    }
    let judged = Judged::new(&report, &only, baseline.as_ref());
    if json {
        say(format_args!("{:#}", judged.to_json()))?;
    } else {
        judged.print()?;
    }
    Ok(Exit::found(!judged.is_clean()))
}

/// A configuration that fits what is there.
async fn suggestion(place: Place) -> anyhow::Result<Exit> {
    let store = place.store.clone();
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    let reading = |parts: &[&str]| match config::read_parts(parts, &store) {
        Ok(config) => Ok((config.store.mongodb.mapping, config.migrate.rules)),
        Err(error) => Err(format!("{error:#}")),
    };
    let suggestion = Box::pin(session.read(session.migrator.suggest(&reading, &session.operator))).await?;
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

/// Most chats and messages can be read. Otherwise the configuration names other fields or forms than the collection has, and a
/// migration would leave nearly everything as it is and call that done.
pub(super) fn ensure_readable(report: &AuditReport) -> anyhow::Result<()> {
    let kinds = [FindingKind::MalformedParticipants, FindingKind::MalformedContext];
    let findings = || report.findings.iter().filter(|finding| kinds.contains(&finding.kind));
    let unreadable: u64 = findings().map(|finding| finding.count).sum();
    if 2 * unreadable <= report.chats {
        return ensure_senders_are_readable(report);
    }
    let examples: Vec<&str> =
        findings().flat_map(|finding| &finding.rows).take(EXAMPLES).map(String::as_str).collect();
    bail!(
        "{unreadable} of {} chats have no participants that can be read ({}). The configuration does not fit the \
         collection: `participants` in [mongodb] and [mongodb.chat_fields] says how and where they are written, and \
         `onechat audit --suggest` prints a configuration inferred from the data; documents that are no chats of the \
         people in them can be left out by `only` in [mongodb]. Nothing was changed.",
        report.chats,
        examples.join("; ")
    )
}

/// The same for who sent the messages: afterwards no server could show them.
fn ensure_senders_are_readable(report: &AuditReport) -> anyhow::Result<()> {
    let finding = report.findings.iter().find(|finding| finding.kind == FindingKind::MalformedSender);
    let Some(finding) = finding.filter(|finding| 2 * finding.count > report.messages) else { return Ok(()) };
    bail!(
        "{} of {} messages have no sender that can be read ({}). The configuration does not fit the collection: \
         `sender` in [mongodb.message_fields] says where it is, as a path such as `user._id` if need be, and \
         `onechat audit --suggest` prints a configuration inferred from the data. Nothing was changed.",
        finding.count,
        report.messages,
        finding.rows.iter().take(EXAMPLES).map(String::as_str).collect::<Vec<_>>().join("; ")
    )
}

/// The whole report, with nothing accepted.
pub(super) fn to_json(report: &AuditReport) -> Value {
    Judged::new(report, &[], None).to_json()
}

/// The whole report, with nothing accepted.
pub(super) fn print(report: &AuditReport) -> anyhow::Result<()> {
    Judged::new(report, &[], None).print()
}
