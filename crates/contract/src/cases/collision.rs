//! Sets whose plain joins are the same text: a key alone proves nothing.

use std::{collections::HashSet, sync::Arc};

use onechat_core::{KeyFormat, OutcomeKind, ParticipantSet, ResolveError, ports::ChatStore};

use crate::{
    CaseResult, Harness, World,
    harness::{fresh, race, set},
    violation::ensure,
};

fn ambiguous() -> [ParticipantSet; 3] {
    [set(&["a_b", "c"]), set(&["a", "b_c"]), set(&["a", "b", "c"])]
}

/// Under `escaped` they are three chats.
pub async fn ambiguous_sets_are_three_chats_when_escaped<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let mut ids = HashSet::new();
    for wanted in &ambiguous() {
        let outcome = store.create_or_get(world.proposal(wanted)).await?;
        ensure!(outcome.chat.identity.participants == *wanted, "{wanted:?} got a stranger's chat");
        ids.insert(outcome.chat.id);
    }
    ensure!(ids.len() == 3, "three sets have {} chats", ids.len());
    Ok(())
}

/// Under `joined` the first one has the key, the others are refused, and the first is untouched.
pub async fn ambiguous_sets_collide_when_joined<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Joined).await?;
    let [first, others @ ..] = ambiguous();
    let chat = store.create_or_get(world.proposal(&first)).await?.chat;
    for other in &others {
        let created = store.create_or_get(world.proposal(other)).await;
        let Err(ResolveError::Collision(collision)) = created else {
            return Err(crate::Violation(format!("{other:?} was not refused: {created:?}")));
        };
        ensure!(collision.holder == chat.id, "the collision names {}", collision.holder);
        let found = store.lookup(&other.into()).await;
        ensure!(matches!(found, Err(ResolveError::Collision(_))), "a lookup of {other:?} gave {found:?}");
    }
    ensure!(
        store.lookup(&(&first).into()).await? == Some(chat),
        "a refused set changed the chat that holds the key"
    );
    Ok(())
}

/// When they race, one set wins the key, and no caller of the others gets its chat.
pub async fn racing_ambiguous_sets_never_share_a_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Joined).await?;
    let sets = ambiguous();
    let calls = (0..90).map(|caller| {
        let (store, proposal) = (Arc::clone(&store), world.proposal(&sets[caller % sets.len()]));
        async move { (proposal.identity.participants.clone(), store.create_or_get(proposal).await) }
    });
    let (mut winners, mut created) = (HashSet::new(), 0);
    for (wanted, answer) in race(calls.collect()).await {
        match answer {
            Ok(outcome) => {
                ensure!(outcome.chat.identity.participants == wanted, "{wanted:?} got a stranger's chat");
                created += usize::from(outcome.kind == OutcomeKind::Created);
                winners.insert(wanted);
            }
            Err(ResolveError::Collision(_)) => {}
            Err(ResolveError::Store(error)) => return Err(error.into()),
        }
    }
    ensure!(
        winners.len() == 1 && created == 1,
        "{} sets won one key, created {created} times",
        winners.len()
    );
    Ok(())
}
