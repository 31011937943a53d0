//! Looking without touching.

use onechat_core::{
    ChatId, KeyFormat, OutcomeKind, PageSize,
    ports::{AliasStore, ChatStore},
};

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
        ensure!(store.lookup(&(&pair).into()).await?.is_none(), "a lookup found a chat that nobody created");
    }
    let listed = store.chats_of(&participant("alice"), None, PageSize::default(), None).await?;
    ensure!(listed.items.is_empty(), "a lookup left a chat behind: {listed:?}");
    ensure!(store.chat(&world.chat_id()).await?.is_none(), "an unknown id answers with a chat");
    let outcome = store.create_or_get(world.proposal(&pair)).await?;
    ensure!(outcome.kind == OutcomeKind::Created, "a lookup created the chat: {:?}", outcome.kind);
    ensure!(
        store.lookup(&(&pair).into()).await? == Some(outcome.chat.clone()),
        "the lookup does not find the chat"
    );
    ensure!(store.chat(&outcome.chat.id).await? == Some(outcome.chat), "the chat is not found by its id");
    Ok(())
}

/// A participant finds the chat by its id and by an alias; for anybody else it does not exist (I6).
pub async fn a_chat_by_id_is_for_its_participants_only<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob", "a_b%"]))).await?.chat;
    let other = store.create_or_get(world.proposal(set(&["carol", "dave"]))).await?.chat;
    let alias = ChatId::new("old").expect("a valid id");
    store.add_alias(&alias, &chat.id).await?;
    // Activity moves what lists are read from; it must not move the chat out of reach.
    store.send(world.message(&chat.id, "alice", "m1")).await?;
    let chat = store.chat(&chat.id).await?;
    for id in [chat.as_ref().map_or(&alias, |chat| &chat.id), &alias] {
        for name in ["alice", "bob", "a_b%"] {
            let found = store.chat_for(id, &participant(name)).await?;
            ensure!(found == chat, "{name} finds {found:?} under {id}");
        }
        for name in ["carol", "nobody", "alic", "ALICE", "a", "a_b", "alice_bob"] {
            let found = store.chat_for(id, &participant(name)).await?;
            ensure!(found.is_none(), "{name} finds a chat of others under {id}");
        }
    }
    let found = store.chat_for(&other.id, &participant("alice")).await?;
    ensure!(found.is_none(), "alice finds the chat of carol and dave");
    let found = store.chat_for(&world.chat_id(), &participant("alice")).await?;
    ensure!(found.is_none(), "an unknown id answers with a chat");
    Ok(())
}
