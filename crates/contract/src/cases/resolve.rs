//! Aliases: the ids of chats that were merged away go on working.

use onechat_core::{
    AliasError, ChatId, KeyFormat, PageSize,
    ports::{AliasStore, ChatStore},
};

use crate::{
    CaseResult, Harness, Violation, World,
    harness::{fresh, set},
    violation::ensure,
};

/// Reading, sending and listing with an old id reaches the living chat, whose own id is in the answers.
pub async fn an_alias_is_resolved_in_every_call<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    let old = id("an old id, not an ObjectId");
    store.add_alias(&old, &chat.id).await?;
    store.add_alias(&old, &chat.id).await?;
    ensure!(store.chat(&old).await? == Some(chat.clone()), "the old id does not answer with the living chat");
    let first = store.send(world.message(&old, "alice", "m1")).await?;
    let first = first.ok_or_else(|| Violation("an alias takes no message".to_owned()))?;
    ensure!(first.message.chat == chat.id, "the message stands under {}", first.message.chat);
    let again = store.send(world.message(&chat.id, "alice", "m1")).await?;
    ensure!(again.is_some_and(|sent| !sent.created), "a repeat under the other id was stored again");
    for name in [&old, &chat.id] {
        let page = store.messages(name, PageSize::default(), None).await?;
        ensure!(page.items == [first.message.clone()], "{name} lists {:?}", page.items);
    }
    Ok(())
}

/// An alias may be added for an id that is itself an alias.
pub async fn an_alias_of_an_alias_reaches_the_living_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    store.add_alias(&id("old"), &chat.id).await?;
    store.add_alias(&id("older"), &id("old")).await?;
    ensure!(store.chat(&id("older")).await? == Some(chat), "an alias of an alias does not resolve");
    Ok(())
}

/// An alias never hides a living chat, changes its meaning, or points at nothing.
pub async fn a_wrong_alias_is_refused<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let one = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat.id;
    let two = store.create_or_get(world.proposal(set(&["alice", "carol"]))).await?.chat.id;
    store.add_alias(&id("old"), &one).await?;
    let refused = store.add_alias(&one, &two).await;
    ensure!(refused == Err(AliasError::LiveChat(one.clone())), "a living chat became an alias: {refused:?}");
    let refused = store.add_alias(&id("old"), &two).await;
    ensure!(refused == Err(AliasError::Taken(one.clone())), "an alias changed its meaning: {refused:?}");
    let refused = store.add_alias(&id("other"), &id("nowhere")).await;
    ensure!(refused == Err(AliasError::NoSuchChat(id("nowhere"))), "an alias of nothing: {refused:?}");
    ensure!(store.chat(&id("other")).await?.is_none(), "a refused alias resolves");
    Ok(())
}

fn id(text: &str) -> ChatId {
    ChatId::new(text).expect("a valid id")
}
