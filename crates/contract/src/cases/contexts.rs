//! Contexts: the same people have one chat for each, and one without.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use onechat_core::{
    Chat, ChatId, ChatIdentity, Context, KeyFormat, OutcomeKind, PageSize, ResolveError,
    ports::{AliasStore, ChatStore},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    CaseResult, Harness, Violation, World,
    harness::{context, fresh, identity, open, participant, race},
    violation::ensure,
};

/// Whatever two people talk about, each context has a chat of its own, which every call tells from the others.
pub async fn the_same_people_have_a_chat_for_each_context_and_one_without<H: Harness>(
    harness: &H,
) -> CaseResult {
    let world = World::default();
    let long = "c".repeat(256);
    for format in [KeyFormat::Escaped, KeyFormat::Joined] {
        let (_place, store) = fresh(harness, format).await?;
        let contexts = ["listing:42", "", "listing:43", "LISTING:42", "alice", "_", "%", "\u{1f600}", &long];
        let identities = contexts.map(|about| identity(about, &["alice", "bob"]));
        let mut chats = Vec::new();
        for wanted in &identities {
            ensure!(store.lookup(wanted).await?.is_none(), "{wanted:?} is there before it was asked for");
            let outcome = store.create_or_get(world.proposal(wanted.clone())).await?;
            ensure!(outcome.kind == OutcomeKind::Created, "{wanted:?} was there before it was asked for");
            ensure!(
                outcome.chat.identity == *wanted,
                "{wanted:?} got the chat of {:?}",
                outcome.chat.identity
            );
            store.send(world.message(&outcome.chat.id, "bob", "m1")).await?;
            chats.push(store.chat(&outcome.chat.id).await?);
        }
        for (wanted, chat) in identities.iter().zip(&chats) {
            let again = store.create_or_get(world.proposal(wanted.clone())).await?;
            ensure!(again.kind == OutcomeKind::Existing, "{wanted:?}: {:?} instead of existing", again.kind);
            ensure!(Some(&again.chat) == chat.as_ref(), "{wanted:?} got {:?}, not {chat:?}", again.chat);
            let found = store.lookup(wanted).await?;
            ensure!(found == *chat, "a lookup of {wanted:?} found {found:?}");
            let found = store.chat_for(&again.chat.id, &participant("bob")).await?;
            ensure!(found == *chat, "the id of {wanted:?} answers with {found:?}");
        }
        let ids: HashSet<ChatId> = chats.into_iter().flatten().map(|chat| chat.id).collect();
        ensure!(ids.len() == contexts.len(), "{} contexts have {} chats", contexts.len(), ids.len());
    }
    Ok(())
}

/// Callers of several contexts of one pair, all at once: one chat for each, created once.
pub async fn callers_of_one_context_share_one_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    for round in 0..10 {
        let (ann, listing) = (format!("ann-{round}"), format!("listing_{round}"));
        let identities = ["", &listing, "%in:", "bob"].map(|about| identity(about, &[&ann, "bob"]));
        let calls = (0..120).map(|caller| {
            let wanted = caller % identities.len();
            let (store, proposal) = (Arc::clone(&store), world.proposal(identities[wanted].clone()));
            async move { (wanted, store.create_or_get(proposal).await) }
        });
        let (mut ids, mut created) = (vec![HashSet::new(); identities.len()], 0);
        for (wanted, answer) in race(calls.collect()).await {
            let outcome = answer?;
            let (wanted_identity, chat) = (&identities[wanted], outcome.chat);
            ensure!(chat.identity == *wanted_identity, "{wanted_identity:?} got {:?}", chat.identity);
            ids[wanted].insert(chat.id);
            created += usize::from(outcome.kind == OutcomeKind::Created);
        }
        ensure!(ids.iter().all(|ids| ids.len() == 1), "identities have several chats: {ids:?}");
        let all: HashSet<ChatId> = ids.into_iter().flatten().collect();
        ensure!(all.len() == identities.len(), "{} identities have {} chats", identities.len(), all.len());
        ensure!(created == identities.len(), "{created} callers were told that they created a chat");
    }
    Ok(())
}

/// All of them have the same key when it is joined.
fn imitations() -> [ChatIdentity; 5] {
    [
        identity("x", &["a", "b"]),
        identity("x_a", &["b"]),
        identity("", &["%in:x", "a", "b"]),
        identity("", &["%in:x_a", "b"]),
        identity("", &["%in:x_a_b"]),
    ]
}

/// Under `escaped` they are as many chats.
pub async fn contexts_and_sets_that_imitate_each_other_are_different_chats_when_escaped<H: Harness>(
    harness: &H,
) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let more =
        [identity("%in:x", &["a", "b"]), identity("x", &["%in:x", "a"]), identity("%25in:x", &["a", "b"])];
    let mut ids = HashSet::new();
    for wanted in imitations().into_iter().chain(more) {
        let chat = store.create_or_get(world.proposal(wanted.clone())).await?.chat;
        ensure!(chat.identity == wanted, "{wanted:?} got the chat of {:?}", chat.identity);
        ensure!(ids.insert(chat.id), "{wanted:?} got the chat of another identity");
    }
    Ok(())
}

/// Under `joined` the first one that is asked for has the key, the others are refused, and the first is untouched.
pub async fn contexts_and_sets_that_imitate_each_other_collide_when_joined<H: Harness>(
    harness: &H,
) -> CaseResult {
    let world = World::default();
    for holder in imitations() {
        let (_place, store) = fresh(harness, KeyFormat::Joined).await?;
        let chat = store.create_or_get(world.proposal(holder.clone())).await?.chat;
        for other in imitations().iter().filter(|other| **other != holder) {
            let created = store.create_or_get(world.proposal(other.clone())).await;
            let Err(ResolveError::Collision(collision)) = created else {
                return Err(Violation(format!(
                    "{other:?} was not refused the chat of {holder:?}: {created:?}"
                )));
            };
            ensure!(collision.holder == chat.id, "the collision names {}", collision.holder);
            let found = store.lookup(other).await;
            let is_refused = matches!(found, Err(ResolveError::Collision(_)));
            ensure!(is_refused, "a lookup of {other:?} gave {found:?}");
        }
        ensure!(
            store.lookup(&holder).await? == Some(chat),
            "a refused identity changed the chat of {holder:?}"
        );
    }
    Ok(())
}

/// Of random identities that are made of what imitates keys, each has its own chat, or is refused where keys are joined.
pub async fn random_identities_never_share_a_chat<H: Harness>(harness: &H) -> CaseResult {
    const PIECES: [&str; 10] = ["a", "b", "x", "_", "%", "%in:", "in:", "%5F", "%25", "in:x_a"];
    let world = World::default();
    for format in [KeyFormat::Escaped, KeyFormat::Joined] {
        let (_place, store) = fresh(harness, format).await?;
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut text = |pieces| -> String {
            (0..random.random_range(1..=pieces))
                .map(|_| PIECES[random.random_range(0..PIECES.len())])
                .collect()
        };
        let (mut identity_of, mut id_of) = (HashMap::new(), HashMap::new());
        for n in 0..600 {
            let texts: Vec<String> = (0..=n % 3).map(|_| text(2)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let about = if n % 4 == 0 { String::new() } else { text(2) };
            let wanted = identity(&about, &texts);
            match store.create_or_get(world.proposal(wanted.clone())).await {
                Ok(outcome) => {
                    let chat = outcome.chat;
                    ensure!(chat.identity == wanted, "{wanted:?} got the chat of {:?}", chat.identity);
                    let holder = identity_of.entry(chat.id.clone()).or_insert_with(|| wanted.clone());
                    ensure!(*holder == wanted, "{holder:?} and {wanted:?} share the chat {}", chat.id);
                    let id = id_of.entry(wanted).or_insert_with(|| chat.id.clone());
                    ensure!(*id == chat.id, "{:?} has the chats {id} and {}", chat.identity, chat.id);
                }
                Err(ResolveError::Collision(collision)) => {
                    let holder = identity_of.get(&collision.holder);
                    let ambiguous = |one: &ChatIdentity| format.may_be_ambiguous(one);
                    let is_known = ambiguous(&wanted) || holder.is_some_and(ambiguous);
                    ensure!(is_known, "{wanted:?} was refused because of {holder:?}");
                }
                Err(ResolveError::Store(error)) => return Err(error.into()),
            }
        }
        ensure!(identity_of.len() > 250, "the case tried {} identities only", identity_of.len());
    }
    Ok(())
}

/// A list with a context has the chats of that context, each once, latest activity first, whatever the page size.
pub async fn a_list_of_a_context_has_its_chats_only<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let moment = world.now();
    let abouts = ["listing:42", "", "listing:4", "alice", "listing:42_"];
    let mut chats: Vec<(&str, ChatId)> = Vec::new();
    for n in 0..40 {
        let about = abouts[n % abouts.len()];
        let mut proposal = world.proposal(identity(about, &["alice", &format!("friend-{n}")]));
        if n % 3 == 0 {
            proposal.now = moment;
        }
        chats.push((about, store.create_or_get(proposal).await?.chat.id));
    }
    for n in [5, 12, 5, 21, 30] {
        store.send(world.message(&chats[n].1, "alice", &format!("hello-{n}"))).await?;
    }
    store.add_alias(&ChatId::new("old").expect("a valid id"), &chats[10].1).await?;
    for about in abouts.into_iter().filter(|about| !about.is_empty()) {
        let wanted: HashSet<&ChatId> =
            chats.iter().filter(|(other, _)| *other == about).map(|(_, id)| id).collect();
        for size in [1, 3, 8, 100] {
            let listed = every_page(&*store, "alice", &context(about), size).await?;
            let ids: HashSet<&ChatId> = listed.iter().map(|chat| &chat.id).collect();
            ensure!(ids == wanted, "pages of {size} for {about} list {ids:?}, not {wanted:?}");
            ensure!(listed.len() == ids.len(), "pages of {size} for {about} repeat a chat");
            let in_order =
                listed.is_sorted_by(|a, b| (a.last_activity_at(), &a.id) > (b.last_activity_at(), &b.id));
            ensure!(in_order, "pages of {size} for {about} are not in the order of latest activity, then id");
        }
    }
    let everything = store.chats_of(&participant("alice"), None, PageSize::default(), None).await?.items;
    ensure!(everything.len() == chats.len(), "the list without a context has {} chats", everything.len());
    for (name, about) in
        [("alice", "listing:"), ("alice", "LISTING:42"), ("friend-1", "listing:42"), ("carol", "listing:42")]
    {
        let listed = every_page(&*store, name, &context(about), 50).await?;
        ensure!(listed.is_empty(), "{name} is shown {listed:?} for {about}");
    }
    let listed = every_page(&*store, "friend-5", &context("listing:42"), 50).await?;
    ensure!(listed.len() == 1, "friend-5 is shown {listed:?} for listing:42");
    Ok(())
}

/// Contexts are kept with the chat.
pub async fn contexts_are_there_after_reopening<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    for format in [KeyFormat::Escaped, KeyFormat::Joined] {
        let (place, store) = fresh(harness, format).await?;
        let mut before = Vec::new();
        for about in ["", "listing:42", "\u{1f600}%"] {
            let wanted = identity(about, &["alice", "bob"]);
            let chat = store.create_or_get(world.proposal(wanted.clone())).await?.chat;
            before.push((wanted, chat));
        }
        drop(store);
        let store = open(harness, &place, format).await?;
        for (wanted, chat) in before {
            let outcome = store.create_or_get(world.proposal(wanted.clone())).await?;
            ensure!(outcome.kind == OutcomeKind::Existing, "{wanted:?} is gone after reopening");
            let is_same = outcome.chat == chat && chat.identity == wanted;
            ensure!(is_same, "{wanted:?} is {:?} after reopening, was {chat:?}", outcome.chat);
        }
    }
    Ok(())
}

async fn every_page(
    store: &impl ChatStore,
    name: &str,
    context: &Context,
    size: u16,
) -> Result<Vec<Chat>, Violation> {
    let size = PageSize::new(size).map_err(|error| Violation(error.to_string()))?;
    let (mut chats, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.chats_of(&participant(name), Some(context), size, cursor.as_ref()).await?;
        ensure!(page.items.len() <= size.get(), "a page has more items than asked for");
        chats.extend(page.items);
        ensure!(chats.len() <= 200, "a pass over the pages does not end");
        cursor = page.next;
        if cursor.is_none() {
            return Ok(chats);
        }
    }
}
