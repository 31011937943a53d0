//! Looking without touching.

use onechat_core::{KeyFormat, OutcomeKind, PageSize, ports::ChatStore};

use crate::{
    CaseResult, Harness, World,
    harness::{fresh, participant, set},
    violation::ensure,
};

/// A lookup finds what was created, and leaves nothing behind when there is nothing.
pub async fn looking_creates_nothing<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let pair = set(&["alice", "bob"]);
    for _ in 0..2 {
        ensure!(store.lookup(&pair).await?.is_none(), "a lookup found a chat that nobody created");
    }
    let listed = store.chats_of(&participant("alice"), PageSize::default(), None).await?;
    ensure!(listed.items.is_empty(), "a lookup left a chat behind: {listed:?}");
    ensure!(store.chat(&world.chat_id()).await?.is_none(), "an unknown id answers with a chat");
    let outcome = store.create_or_get(world.proposal(&pair)).await?;
    ensure!(outcome.kind == OutcomeKind::Created, "a lookup created the chat: {:?}", outcome.kind);
    ensure!(store.lookup(&pair).await? == Some(outcome.chat.clone()), "the lookup does not find the chat");
    ensure!(store.chat(&outcome.chat.id).await? == Some(outcome.chat), "the chat is not found by its id");
    Ok(())
}
