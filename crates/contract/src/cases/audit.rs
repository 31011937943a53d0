//! The audit agrees that a store in ordinary use is sound.

use onechat_core::{
    ChatId, KeyFormat,
    ports::{AliasStore, Audit, ChatStore, Progress},
};

use crate::{
    CaseResult, Harness, World,
    harness::{fresh, identity},
    violation::ensure,
};

struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

/// After chats, groups, messages and aliases there is nothing to report, and everything was counted.
pub async fn a_store_in_use_is_clean<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    for format in [KeyFormat::Escaped, KeyFormat::Joined] {
        let (_place, store) = fresh(harness, format).await?;
        for n in 0..10 {
            let about = if n % 2 == 0 { "listing:42" } else { "" };
            let group = identity(about, &["alice", &format!("b-{n}"), "c%d", "\u{1f600}"]);
            let chat = store.create_or_get(world.proposal(group)).await?.chat.id;
            for m in 0..n {
                store.send(world.message(&chat, "alice", &format!("m{m}"))).await?;
            }
            store.add_alias(&ChatId::new(format!("old-{n}")).expect("a valid id"), &chat).await?;
        }
        let report = store.audit(&Quiet).await?;
        ensure!(report.findings.is_empty(), "the audit found {:?}", report.findings);
        let counts = (report.chats, report.messages, report.aliases);
        ensure!(counts == (10, 45, 10), "the audit counted {counts:?}");
    }
    Ok(())
}
