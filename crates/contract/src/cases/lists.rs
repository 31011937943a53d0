//! Lists of chats, page by page, also while they change.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use onechat_core::{Chat, ChatId, KeyFormat, PageSize, ports::ChatStore};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use crate::{
    CaseResult, Harness, Violation, World,
    harness::{fresh, participant, set},
    violation::ensure,
};

/// How many chats are created under a pass: enough to shift pages, few enough for a pass to end.
const NEWCOMERS: usize = 300;
/// No pass of a test meets more chats than this, unless it goes round in circles.
const MOST_CHATS: usize = 1000;

/// Every chat of a participant is listed once, the latest activity first, whatever the page size.
pub async fn pages_cover_every_chat_once_latest_first<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let moment = world.now();
    let mut chats = Vec::new();
    for n in 0..23 {
        let mut proposal = world.proposal(set(&["alice", &format!("friend-{n}")]));
        if n % 3 == 0 {
            proposal.now = moment;
        }
        chats.push(store.create_or_get(proposal).await?.chat.id);
    }
    for n in [4, 17, 4, 9] {
        store.send(world.message(&chats[n], "alice", &format!("hello-{n}"))).await?;
    }
    for size in [1, 2, 7, 22, 23, 100] {
        let listed = every_page(&*store, size, async || {}).await?;
        let ids: HashSet<&ChatId> = listed.iter().map(|chat| &chat.id).collect();
        ensure!(
            listed.len() == chats.len() && ids.len() == chats.len(),
            "pages of {size} list {} chats, {} of them different, where there are {}",
            listed.len(),
            ids.len(),
            chats.len()
        );
        let in_order =
            listed.is_sorted_by(|a, b| (a.last_activity_at(), &a.id) > (b.last_activity_at(), &b.id));
        ensure!(in_order, "pages of {size} are not in the order of latest activity, then id");
        ensure!(listed[0].id == chats[9], "the chat with the latest message is not the first");
    }
    Ok(())
}

/// A pass over the pages meets no chat twice, and every chat that is quiet meanwhile exactly once.
pub async fn a_pass_under_activity_repeats_nothing<H: Harness>(harness: &H) -> CaseResult {
    let world = Arc::new(World::default());
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let (mut quiet, mut busy) = (HashSet::new(), Vec::new());
    for n in 0..60 {
        let pair = set(&["alice", &format!("friend-{n}")]);
        let id = store.create_or_get(world.proposal(&pair)).await?.chat.id;
        if n % 2 == 0 {
            quiet.insert(id);
        } else {
            busy.push(id);
        }
    }
    let (activity_count, mut active) = watch::channel(0);
    let activity = {
        let (store, world) = (Arc::clone(&store), Arc::clone(&world));
        tokio::spawn(async move {
            let mut random = ChaCha8Rng::seed_from_u64(2);
            for count in 1.. {
                let chat = &busy[random.random_range(..busy.len())];
                store.send(world.message(chat, "alice", &format!("m-{count}"))).await?;
                if count <= NEWCOMERS {
                    let newcomer = set(&["alice", &format!("newcomer-{count}")]);
                    store.create_or_get(world.proposal(&newcomer)).await?;
                }
                tokio::task::yield_now().await;
                // Nobody listens any more: the passes are over.
                if activity_count.send(count).is_err() {
                    break;
                }
            }
            Ok::<(), Violation>(())
        })
    };
    let mut verdict = Ok(());
    for _ in 0..10 {
        verdict = verdict.and(pass_is_sound(&*store, &quiet, &mut active).await);
    }
    drop(active);
    activity.await.map_err(|error| Violation(error.to_string()))??;
    verdict
}

async fn pass_is_sound(
    store: &impl ChatStore,
    quiet: &HashSet<ChatId>,
    active: &mut watch::Receiver<usize>,
) -> CaseResult {
    let mut seen: HashMap<ChatId, usize> = HashMap::new();
    // Left to the scheduler, all passes could fall between two messages, and prove nothing.
    let something_happens = async || {
        active.mark_unchanged();
        // An activity that has failed tells so itself.
        let _ = active.changed().await;
    };
    for chat in every_page(store, 7, something_happens).await? {
        *seen.entry(chat.id).or_default() += 1;
    }
    let repeated: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(repeated.is_empty(), "a pass met chats more than once: {repeated:?}");
    let missed: Vec<_> = quiet.iter().filter(|id| !seen.contains_key(id)).collect();
    ensure!(missed.is_empty(), "a pass missed quiet chats: {missed:?}");
    Ok(())
}

/// A chat is in the lists of its participants, and in no other.
pub async fn only_participants_see_a_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let group = ["alice", "bob", "a_b%"];
    let chat = store.create_or_get(world.proposal(set(&group))).await?.chat;
    for name in group {
        let page = store.chats_of(&participant(name), None, PageSize::default(), None).await?;
        ensure!(page.items == [chat.clone()], "{name} does not see the one chat: {:?}", page.items);
    }
    for name in ["a", "b", "alic", "ALICE", "alice_bob", "a_b", "a_b%25"] {
        let page = store.chats_of(&participant(name), None, PageSize::default(), None).await?;
        ensure!(page.items.is_empty(), "{name} sees a chat of others");
    }
    Ok(())
}

async fn every_page(
    store: &impl ChatStore,
    size: u16,
    mut between: impl AsyncFnMut(),
) -> Result<Vec<Chat>, Violation> {
    let size = PageSize::new(size).map_err(|error| Violation(error.to_string()))?;
    let (mut chats, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.chats_of(&participant("alice"), None, size, cursor.as_ref()).await?;
        ensure!(page.items.len() <= size.get(), "a page has more items than asked for");
        chats.extend(page.items);
        ensure!(chats.len() <= MOST_CHATS, "a pass over the pages does not end");
        // A cursor travels to the client and back as text.
        cursor = page.next.map(|next| next.to_string().parse().expect("a cursor reads back"));
        if cursor.is_none() {
            return Ok(chats);
        }
        between().await;
    }
}
