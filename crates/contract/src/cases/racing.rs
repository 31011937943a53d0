//! Many callers in the same moment: what this project exists for.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use onechat_core::{ChatId, KeyFormat, Outcome, OutcomeKind, ParticipantSet, ports::ChatStore};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    CaseResult, Harness, Violation, World,
    harness::{fresh, race, set},
    violation::ensure,
};

const CALLERS: usize = 150;
const ROUNDS: usize = 20;

/// However many ask for one set at once, there is one chat, and one caller is told that it created it.
pub async fn callers_of_one_set_share_one_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    for round in 0..ROUNDS {
        let (ann, bob) = (format!("ann-{round}"), format!("bob-{round}"));
        let calls = (0..CALLERS).map(|caller| {
            let names: [&str; 2] = if caller % 2 == 0 { [&ann, &bob] } else { [&bob, &ann] };
            let (store, proposal) = (Arc::clone(&store), world.proposal(set(&names)));
            async move { store.create_or_get(proposal).await }
        });
        let outcomes = race(calls.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        one_chat(&outcomes, &set(&[&ann, &bob]))?;
    }
    Ok(())
}

/// The same, for many sets that are asked for in a mixed order.
pub async fn callers_of_many_sets_share_one_chat_each<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let sets: Vec<ParticipantSet> =
        (0..60).map(|n| set(&[&format!("u{n}"), &format!("u{}", n + 1), "\u{1f600}_%"])).collect();
    let mut order: Vec<usize> = (0..sets.len() * 10).map(|call| call % sets.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
    let calls = order.iter().map(|&index| {
        let (store, proposal) = (Arc::clone(&store), world.proposal(&sets[index]));
        async move { store.create_or_get(proposal).await.map(|outcome| (index, outcome)) }
    });
    let mut by_set: HashMap<usize, Vec<Outcome>> = HashMap::new();
    for answer in race(calls.collect()).await {
        let (index, outcome) = answer?;
        by_set.entry(index).or_default().push(outcome);
    }
    let mut ids = HashSet::new();
    for (index, outcomes) in by_set {
        let id = one_chat(&outcomes, &sets[index])?;
        ensure!(ids.insert(id), "two sets share one chat");
    }
    Ok(())
}

/// Who looks while others create sees no chat, or the one that all of them get.
pub async fn lookups_see_nothing_or_the_one_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    for round in 0..ROUNDS {
        let pair = set(&[&format!("ann-{round}"), "bob"]);
        let calls = (0..60).map(|caller| {
            let (store, pair, proposal) = (Arc::clone(&store), pair.clone(), world.proposal(&pair));
            async move {
                if caller % 2 == 0 {
                    return store.create_or_get(proposal).await.map(|outcome| Some(outcome.chat.id));
                }
                store.lookup(&pair.into()).await.map(|found| found.map(|chat| chat.id))
            }
        });
        let answers = race(calls.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let ids: HashSet<ChatId> = answers.into_iter().flatten().collect();
        ensure!(ids.len() == 1, "lookups and creators of {pair:?} saw {} chats: {ids:?}", ids.len());
    }
    Ok(())
}

fn one_chat(outcomes: &[Outcome], wanted: &ParticipantSet) -> Result<ChatId, Violation> {
    let ids: HashSet<&ChatId> = outcomes.iter().map(|outcome| &outcome.chat.id).collect();
    ensure!(ids.len() == 1, "callers of {wanted:?} got {} chats: {ids:?}", ids.len());
    let created = outcomes.iter().filter(|outcome| outcome.kind == OutcomeKind::Created).count();
    ensure!(created == 1, "{created} callers of {wanted:?} were told that they created the chat");
    let stranger = outcomes.iter().find(|outcome| outcome.chat.identity.participants != *wanted);
    ensure!(stranger.is_none(), "a caller of {wanted:?} got the chat of {stranger:?}");
    Ok(outcomes[0].chat.id.clone())
}
