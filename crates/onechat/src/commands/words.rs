//! What the steps of a migration report, in words.

use std::fmt::Write as _;

use onechat_migrate::CollectionState;
use onechat_mongo::{
    AccountReport, BackfillReport, ChatsReport, EnforceReport, MergeReport, PlanSummary, ProtectionStatus,
    RekeyReport, SweepReport, UndoReport, WatchReport,
};

/// `1 chat`, `2 chats`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn chats(number: u64) -> String {
    count(number, "chat", "chats")
}

fn groups(number: u64) -> String {
    count(number, "group", "groups")
}

fn rows(number: u64) -> String {
    count(number, "row", "rows")
}

/// A line that is only there if there is something to say.
fn line(text: &mut String, number: u64, what: impl FnOnce() -> String) {
    if number > 0 {
        let _ = write!(text, "\n  {}", what());
    }
}

fn list(text: &mut String, examples: &[String]) {
    for example in examples {
        let _ = write!(text, "\n    {example}");
    }
}

pub(super) fn protection(status: &ProtectionStatus) -> String {
    let index = match (&status.index, status.is_unique, status.keeps_duplicates_out) {
        (None, ..) => "there is no index on the key".to_owned(),
        (Some(name), true, _) => format!("the index {name} is unique"),
        (Some(name), false, true) => format!("the index {name} keeps new duplicates out, old ones may stand"),
        (Some(name), false, false) => format!("the index {name} keeps nothing out"),
    };
    let means = match status.state {
        CollectionState::New => "it has no history; servers find every chat by its key",
        CollectionState::Unmigrated => "servers create nothing (503 not_migrated), and read",
        CollectionState::Guarded => "servers also find chats without a key, and give them theirs",
        CollectionState::Enforced => "one chat per set; servers find every chat by its key",
    };
    let key = if status.requires_key { "requires a key" } else { "does not require a key" };
    format!("state: {} ({means})\n  {index}\n  the validator {key}", status.state)
}

pub(super) fn backfill(report: &BackfillReport, dry_run: bool) -> String {
    let (set, right) = if dry_run {
        ("would get their key", "would be corrected")
    } else {
        ("got their key", "were corrected")
    };
    let mut text =
        format!("looked at {}: {} {set}, {} {right}", chats(report.examined), report.keyed, report.corrected);
    line(&mut text, report.duplicates, || {
        format!("{} of people who have another one: `onechat merge` is for them", chats(report.duplicates))
    });
    line(&mut text, report.ambiguous, || {
        format!("{} without a key, since a chat of other people has it", chats(report.ambiguous))
    });
    line(&mut text, report.malformed, || {
        format!("{} whose participants are no set: not touched", chats(report.malformed))
    });
    list(&mut text, &report.examples);
    text
}

pub(super) fn plan(summary: &PlanSummary) -> String {
    let mut text =
        format!("{} of duplicates can be merged, {} end", groups(summary.groups), chats(summary.losers));
    line(&mut text, summary.moves, || {
        format!("{} elsewhere are pointed to a surviving chat", rows(summary.moves))
    });
    line(&mut text, summary.edits, || format!("{} elsewhere are changed one by one", rows(summary.edits)));
    line(&mut text, summary.conflicts, || {
        format!("{} of values, which the journal keeps", count(summary.conflicts, "conflict", "conflicts"))
    });
    line(&mut text, summary.blocked, || {
        format!("{} CANNOT be merged, and are left alone", groups(summary.blocked))
    });
    line(&mut text, summary.unexplained.groups, || {
        format!(
            "{} cannot be merged before the configuration says how: see below",
            groups(summary.unexplained.groups)
        )
    });
    list(&mut text, &summary.examples);
    text
}

pub(super) fn merge(report: &MergeReport) -> String {
    let mut text = format!("merged {}, {} ended", groups(report.groups), chats(report.losers));
    line(&mut text, report.moved, || {
        format!("{} elsewhere were pointed to a surviving chat", rows(report.moved))
    });
    line(&mut text, report.edited, || format!("{} elsewhere were changed one by one", rows(report.edited)));
    line(&mut text, report.conflicts, || {
        format!("{} of values, which the journal keeps", count(report.conflicts, "conflict", "conflicts"))
    });
    line(&mut text, report.stale, || {
        format!("{} had changed since they were planned, and were planned anew", groups(report.stale))
    });
    line(&mut text, report.blocked, || {
        format!("{} CANNOT be merged, and are as they were", groups(report.blocked))
    });
    list(&mut text, &report.examples);
    if let Some(run) = &report.run {
        let _ = write!(text, "\n  to look at it: onechat merge list --run {run}");
    }
    text
}

fn messages(number: u64) -> String {
    count(number, "message", "messages")
}

pub(super) fn chats_of_messages(report: &ChatsReport, dry_run: bool) -> String {
    let (made, pointed) =
        if dry_run { ("would be made", "would be pointed") } else { ("were made", "were pointed") };
    let mut text = format!("{} {made}, {} {pointed} there", chats(report.made), messages(report.pointed));
    line(&mut text, report.blocked, || {
        format!("{} CANNOT be pointed to their chat, and are as they were", messages(report.blocked))
    });
    line(&mut text, report.to_oneself, || {
        format!("{} to oneself: left as they are", messages(report.to_oneself))
    });
    line(&mut text, report.without_receiver, || {
        format!("{} to nobody: left as they are", messages(report.without_receiver))
    });
    line(&mut text, report.unreadable, || {
        format!("{} of somebody who cannot be read: left as they are", messages(report.unreadable))
    });
    list(&mut text, &report.examples);
    text
}

pub(super) fn sweep(report: &SweepReport) -> String {
    let passes = count(report.passes, "pass", "passes");
    let mut text =
        format!("{} of ended chats were pointed to the surviving ones, in {passes}", rows(report.moved));
    line(&mut text, report.blocked, || {
        format!("{} of ended chats CANNOT be pointed to the surviving ones", rows(report.blocked))
    });
    line(&mut text, u64::from(report.goes_on), || {
        "somebody goes on writing to ended chats: `onechat watch` points that to the surviving ones"
            .to_owned()
    });
    text
}

pub(super) fn enforce(report: &EnforceReport, dry_run: bool) -> String {
    let mut text = match (report.is_unique, dry_run) {
        (true, false) => "the index is unique".to_owned(),
        (true, true) => "nothing is in the way of a unique index".to_owned(),
        (false, false) => "the index is NOT unique: something is in the way".to_owned(),
        (false, true) => "something is in the way of a unique index".to_owned(),
    };
    line(&mut text, report.duplicate_keys, || {
        format!("{} more than one chat has", count(report.duplicate_keys, "key that", "keys that"))
    });
    line(&mut text, report.without_key, || format!("{} without a key", chats(report.without_key)));
    line(&mut text, report.cannot_have_key, || {
        format!("{} whose key others have: found by their id only", chats(report.cannot_have_key))
    });
    list(&mut text, &report.examples);
    text
}

pub(super) fn account(report: &AccountReport) -> String {
    let mut text = if report.holds { "the account holds" } else { "THE ACCOUNT DOES NOT HOLD" }.to_owned();
    for account in &report.accounts {
        let (before, removed, after) = (account.before, account.removed, account.after);
        let _ = write!(
            text,
            "\n  {}: {} before ({:016x}) = {} removed by merges ({:016x}) + {} after ({:016x})",
            account.collection,
            before.count,
            before.checksum,
            removed.count,
            removed.checksum,
            after.count,
            after.checksum
        );
    }
    line(&mut text, report.missing_count, || {
        format!("{} NOT where they should be", rows(report.missing_count))
    });
    list(&mut text, &report.missing);
    text
}

pub(super) fn undo(report: &UndoReport, dry_run: bool) -> String {
    let begin = if dry_run { "would give back" } else { "gave back" };
    let mut text = format!("{begin} {}: {} live again", groups(report.groups), chats(report.revived));
    line(&mut text, report.moved_back, || format!("{} elsewhere are pointed back", rows(report.moved_back)));
    line(&mut text, report.keys, || format!("{} taken back", count(report.keys, "key", "keys")));
    line(&mut text, report.removed, || format!("{} that it had made are removed", chats(report.removed)));
    line(&mut text, report.kept, || format!("{} made since are kept", count(report.kept, "write", "writes")));
    let conflicts = report.conflicts.len() as u64;
    line(&mut text, conflicts, || {
        format!("{} that could not be given back as they were:", count(conflicts, "row", "rows"))
    });
    list(&mut text, &report.conflicts);
    text
}

pub(super) fn rekey(report: &RekeyReport, dry_run: bool) -> String {
    let (dropped, cleared) = if dry_run { ("would drop", "would lose") } else { ("dropped", "lost") };
    let field = &report.field;
    let mut text = match (report.counted, dry_run) {
        (true, true) => format!("the keys in {field} would not count any more"),
        (true, false) => format!("the keys in {field} do not count any more"),
        (false, _) => format!("the keys in {field} did not count any more"),
    };
    for index in &report.dropped {
        let _ = write!(text, "\n  {dropped} the index {index}");
    }
    let _ = write!(text, "\n  {} {cleared} their previous key", chats(report.cleared));
    line(&mut text, report.left, || {
        format!("{} with something else in {field}: not touched", chats(report.left))
    });
    list(&mut text, &report.examples);
    text
}

pub(super) fn watch(report: &WatchReport) -> String {
    let mut text = format!(
        "looked at {}: {} got their key, merged {}, pointed {} to the chat that lives on",
        count(report.events, "change", "changes"),
        chats(report.keyed),
        groups(report.merged),
        rows(report.moved)
    );
    line(&mut text, report.pointed, || {
        format!(
            "{} that named no chat were pointed to it, and {} made for them",
            messages(report.pointed),
            count(report.made, "chat was", "chats were")
        )
    });
    text
}
