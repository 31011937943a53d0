//! Closing and opening again.

use onechat_core::{
    ChatId, KeyFormat, OutcomeKind, PageSize,
    ports::{AliasStore, ChatStore},
};

use crate::{
    CaseResult, Harness, World,
    harness::{fresh, open, participant, set},
    violation::ensure,
};

/// Chats, messages and aliases are what they were.
pub async fn everything_acknowledged_is_there_after_reopening<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let old = ChatId::new("old").expect("a valid id");
    let mut before = Vec::new();
    for n in 0..20 {
        let pair = set(&["alice", &format!("friend_{n}\u{1f600}")]);
        let chat = store.create_or_get(world.proposal(&pair)).await?.chat;
        store.send(world.message(&chat.id, "alice", "hello")).await?;
        before.push((pair, store.chat(&chat.id).await?));
    }
    let first = before[0].1.clone().expect("it was created above");
    store.add_alias(&old, &first.id).await?;
    let messages = store.messages(&first.id, PageSize::default(), None).await?;
    let inbox = store.chats_of(&participant("alice"), None, PageSize::default(), None).await?;
    drop(store);

    let store = open(harness, &place, KeyFormat::Escaped).await?;
    for (pair, chat) in &before {
        let outcome = store.create_or_get(world.proposal(pair)).await?;
        ensure!(outcome.kind == OutcomeKind::Existing, "{pair:?} is gone after reopening");
        ensure!(Some(&outcome.chat) == chat.as_ref(), "{pair:?} changed by reopening");
    }
    ensure!(store.chat(&old).await?.as_ref() == Some(&first), "an alias is gone after reopening");
    let now = store.messages(&first.id, PageSize::default(), None).await?;
    ensure!(now == messages, "messages changed by reopening");
    let now = store.chats_of(&participant("alice"), None, PageSize::default(), None).await?;
    ensure!(now == inbox, "a list changed by reopening");
    Ok(())
}

/// Keys of two formats in one store would be two chats for one set.
pub async fn another_key_format_is_refused<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (place, store) = fresh(harness, KeyFormat::Joined).await?;
    let pair = set(&["a_b", "c"]);
    let chat = store.create_or_get(world.proposal(&pair)).await?.chat;
    drop(store);
    match harness.open(&place, KeyFormat::Escaped).await {
        Ok(_) => Err(crate::Violation("a store of joined keys opened for escaped ones".to_owned())),
        Err(error) => {
            let clear = error.contains("joined") && error.contains("escaped");
            ensure!(clear, "the refusal does not name both formats: {error}");
            let store = open(harness, &place, KeyFormat::Joined).await?;
            ensure!(store.lookup(&(&pair).into()).await? == Some(chat), "a refused opening changed the data");
            Ok(())
        }
    }
}
