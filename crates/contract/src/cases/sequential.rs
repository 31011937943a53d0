//! One caller at a time: the plain meaning of create-or-get.

use std::collections::HashSet;

use onechat_core::{KeyFormat, OutcomeKind, ParticipantSet, ports::ChatStore};

use crate::{
    CaseResult, Harness, World,
    harness::{fresh, set},
    violation::ensure,
};

/// The first call creates the chat that it proposes; later ones get it, in whatever order they name the people.
pub async fn first_call_creates_and_later_ones_get<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let proposal = world.proposal(set(&["alice", "bob"]));
    let first = store.create_or_get(proposal.clone()).await?;
    ensure!(first.kind == OutcomeKind::Created, "the first call did not create: {:?}", first.kind);
    ensure!(first.chat.id == proposal.id, "the chat has {}, not the proposed id", first.chat.id);
    ensure!(first.chat.created_at == proposal.now, "the chat does not carry the time of its proposal");
    ensure!(first.chat.last_message_at.is_none(), "a new chat claims to have a message");
    for names in [["alice", "bob"].as_slice(), &["bob", "alice"], &["bob", "alice", "bob"]] {
        let again = store.create_or_get(world.proposal(set(names))).await?;
        ensure!(again.kind == OutcomeKind::Existing, "{names:?}: {:?} instead of existing", again.kind);
        ensure!(again.chat == first.chat, "{names:?} got another chat than the first caller");
    }
    Ok(())
}

/// Getting a chat leaves it as it was.
pub async fn a_get_writes_nothing<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let pair = set(&["alice", "bob"]);
    let chat = store.create_or_get(world.proposal(&pair)).await?.chat;
    for _ in 0..3 {
        store.create_or_get(world.proposal(&pair)).await?;
        store.lookup(&(&pair).into()).await?;
    }
    let now = store.chat(&chat.id).await?;
    ensure!(now.as_ref() == Some(&chat), "a get changed the chat from {chat:?} to {now:?}");
    Ok(())
}

/// Sets that resemble each other, and sets that contain each other, are different chats.
pub async fn different_sets_have_different_chats<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let long = "x".repeat(256);
    let mut sets: Vec<ParticipantSet> = [
        ["a", "b"].as_slice(),
        &["a"],
        &["a", "b", "c"],
        &["a_b"],
        &["a_b", "c"],
        &["a", "b_c"],
        &["a%5Fb", "c"],
        &["a%", "5Fb"],
        &["A", "b"],
        &["\u{e9}", "b"],
        &["e\u{301}", "b"],
        &["\u{1f600}", "\u{fffd}"],
        &["%sha256:", "b"],
        &[&long, "a", "b"],
        &[&long, "a", "c"],
    ]
    .into_iter()
    .map(set)
    .collect();
    for size in [200, 255, 256] {
        let members = (0..size).map(|n| format!("member-{n}_%"));
        sets.push(ParticipantSet::parse(members).map_err(|error| crate::Violation(error.to_string()))?);
    }
    let mut ids = HashSet::new();
    for wanted in &sets {
        let outcome = store.create_or_get(world.proposal(wanted)).await?;
        ensure!(outcome.kind == OutcomeKind::Created, "{wanted:?} was there before it was asked for");
        ensure!(
            outcome.chat.identity.participants == *wanted,
            "{wanted:?} got a chat of {:?}",
            outcome.chat.identity.participants
        );
        ensure!(ids.insert(outcome.chat.id), "{wanted:?} got the chat of another set");
    }
    Ok(())
}
