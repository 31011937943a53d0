//! Messages: stored once however often they are sent, and read back in order.

use std::{collections::HashSet, sync::Arc};

use onechat_core::{Chat, KeyFormat, MessageText, PageSize, Timestamp, ports::ChatStore};

use crate::{
    CaseResult, Harness, Violation, World,
    harness::{fresh, race, set},
    violation::ensure,
};

/// A message that is sent again, even with another text, is the first one.
pub async fn a_repeat_answers_with_the_first_message<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    let first = sent(store.send(world.message(&chat.id, "alice", "m1")).await?)?;
    ensure!(first.created, "a new message is not called new");
    let mut again = world.message(&chat.id, "alice", "m1");
    again.text = MessageText::new("other words").map_err(|error| Violation(error.to_string()))?;
    let repeat = sent(store.send(again).await?)?;
    ensure!(!repeat.created, "a repeat is called new");
    ensure!(repeat.message == first.message, "a repeat answers with another message: {repeat:?}");
    let page = store.messages(&chat.id, PageSize::default(), None).await?;
    ensure!(page.items == [first.message], "the chat does not hold the one message: {:?}", page.items);
    Ok(())
}

/// The same, when the repeats arrive in the same moment.
pub async fn racing_repeats_store_one_message<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    for round in 0..10 {
        let calls = (0..50).map(|_| {
            let store = Arc::clone(&store);
            let message = world.message(&chat.id, "bob", &format!("m{round}"));
            async move { store.send(message).await }
        });
        let answers = race(calls.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let answers = answers.into_iter().map(sent).collect::<Result<Vec<_>, _>>()?;
        let created = answers.iter().filter(|answer| answer.created).count();
        ensure!(created == 1, "{created} of 50 racing repeats were called new");
        let ids: HashSet<_> = answers.iter().map(|answer| &answer.message.id).collect();
        ensure!(ids.len() == 1, "racing repeats answered with {} messages", ids.len());
        let stored = store.messages(&chat.id, PageSize::default(), None).await?.items.len();
        ensure!(stored == round + 1, "{stored} messages stand where {} were sent", round + 1);
    }
    Ok(())
}

/// A client's id means something only together with its sender and its chat.
pub async fn clients_ids_are_apart_by_sender_and_chat<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let one = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat.id;
    let two = store.create_or_get(world.proposal(set(&["alice", "carol"]))).await?.chat.id;
    for (chat, sender) in [(&one, "alice"), (&one, "bob"), (&two, "alice")] {
        let answer = sent(store.send(world.message(chat, sender, "same")).await?)?;
        ensure!(answer.created, "{sender}'s message in {chat} was taken for another's");
    }
    Ok(())
}

/// A chat that does not exist takes nothing and lists nothing.
pub async fn a_missing_chat_takes_no_message<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let nowhere = world.chat_id();
    let answer = store.send(world.message(&nowhere, "alice", "m1")).await?;
    ensure!(answer.is_none(), "a chat that does not exist took a message: {answer:?}");
    let page = store.messages(&nowhere, PageSize::default(), None).await?;
    ensure!(page.items.is_empty() && page.next.is_none(), "a chat that does not exist has messages");
    Ok(())
}

/// Every message is listed once, newest first, whatever the page size, also those of one millisecond.
pub async fn pages_cover_every_message_once_newest_first<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat.id;
    let other = store.create_or_get(world.proposal(set(&["alice", "carol"]))).await?.chat.id;
    let moment = world.now();
    let mut sent_ids = Vec::new();
    for n in 0..31 {
        let mut message = world.message(&chat, if n % 2 == 0 { "alice" } else { "bob" }, &format!("m{n}"));
        if n > 20 {
            message.now = moment;
        }
        sent_ids.push(sent(store.send(message).await?)?.message.id);
        store.send(world.message(&other, "alice", &format!("other-{n}"))).await?;
    }
    for size in [1, 4, 30, 31, 100] {
        let size = PageSize::new(size).map_err(|error| Violation(error.to_string()))?;
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.messages(&chat, size, cursor.as_ref()).await?;
            listed.extend(page.items);
            cursor = page.next.map(|next| next.to_string().parse().expect("a cursor reads back"));
            if cursor.is_none() {
                break;
            }
        }
        let ids: HashSet<_> = listed.iter().map(|message| &message.id).collect();
        let all = ids == sent_ids.iter().collect();
        ensure!(listed.len() == 31 && all, "pages of {size:?} list {} messages", listed.len());
        if harness.lists_messages_as_stored() {
            let in_order = listed.iter().map(|message| &message.id).eq(sent_ids.iter().rev());
            ensure!(in_order, "pages of {size:?} are not in the order in which messages were stored");
            continue;
        }
        let in_order = listed.is_sorted_by(|a, b| (a.created_at, &a.id) > (b.created_at, &b.id));
        ensure!(in_order, "pages of {size:?} are not in the order of newest, then id");
    }
    Ok(())
}

/// A message that carries an older time, from a slow caller or a clock gone back, does not move the chat back, and
/// is not lost.
pub async fn activity_moves_forward_only<H: Harness>(harness: &H) -> CaseResult {
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    let newer = world.message(&chat.id, "alice", "newer");
    store.send(newer.clone()).await?;
    let mut older = world.message(&chat.id, "alice", "older");
    older.now = Timestamp::from_unix_ms(chat.created_at.unix_ms() - 1000).expect("a valid time");
    store.send(older).await?;
    let now = existing(store.chat(&chat.id).await?)?;
    ensure!(now.last_message_at > Some(newer.now), "lastMessageAt is {:?}", now.last_message_at);
    ensure!(now.updated_at > newer.now, "updatedAt is {:?}", now.updated_at);
    let page = store.messages(&chat.id, PageSize::default(), None).await?;
    ensure!(page.items.len() == 2, "a message with an older time was lost");
    Ok(())
}

/// Each new message raises `updatedAt` and `lastMessageAt`, by a millisecond or more, whatever the clock says.
pub async fn each_new_message_raises_the_activity<H: Harness>(harness: &H) -> CaseResult {
    const HOUR_MS: i64 = 3_600_000;
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let mut before = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    let created_ms = before.created_at.unix_ms();
    for (n, clock_ms) in [0, 0, 1, -HOUR_MS, HOUR_MS, HOUR_MS, 0, -HOUR_MS].into_iter().enumerate() {
        let mut message = world.message(&before.id, "alice", &format!("m{n}"));
        message.now = Timestamp::from_unix_ms(created_ms + clock_ms).expect("a valid time");
        sent(store.send(message).await?)?;
        let after = existing(store.chat(&before.id).await?)?;
        ensure!(after.updated_at > before.updated_at, "message {n} left updatedAt at {}", after.updated_at);
        ensure!(
            after.last_message_at > before.last_message_at
                && after.last_message_at > Some(before.last_activity_at()),
            "message {n} left lastMessageAt at {:?}",
            after.last_message_at
        );
        before = after;
    }
    Ok(())
}

/// The same, when the messages arrive in the same moment: none hides behind the raise of another.
pub async fn racing_messages_raise_the_activity_each<H: Harness>(harness: &H) -> CaseResult {
    const SENDERS: i64 = 20;
    let world = World::default();
    let (_place, store) = fresh(harness, KeyFormat::Escaped).await?;
    let chat = store.create_or_get(world.proposal(set(&["alice", "bob"]))).await?.chat;
    let calls = (0..SENDERS).map(|n| {
        let store = Arc::clone(&store);
        let mut message = world.message(&chat.id, "bob", &format!("m{n}"));
        message.now = chat.created_at;
        async move { store.send(message).await }
    });
    for answer in race(calls.collect()).await {
        sent(answer?)?;
    }
    let after = existing(store.chat(&chat.id).await?)?;
    for raised in [Some(after.updated_at), after.last_message_at] {
        let ms = raised.map_or(0, |at| at.unix_ms() - chat.created_at.unix_ms());
        ensure!(ms >= SENDERS, "{SENDERS} racing messages raised the activity by {ms} ms");
    }
    Ok(())
}

fn existing(chat: Option<Chat>) -> Result<Chat, Violation> {
    chat.ok_or_else(|| Violation("the chat is gone".to_owned()))
}

fn sent(answer: Option<onechat_core::Sent>) -> Result<onechat_core::Sent, Violation> {
    answer.ok_or_else(|| Violation("an existing chat did not take a message".to_owned()))
}
