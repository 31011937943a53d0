//! The race on a store: a store that decides in one step is cleared, one that looks before it leaps is found out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use onechat_core::{
    Chat, ChatCursor, ChatId, ChatIdentity, Context, KeyFormat, Message, MessageCursor, MessageId,
    NewMessage, Outcome, Page, PageSize, Participant, ParticipantsKey, Proposal, ResolveError, Sent,
    StoreError, Timestamp,
    ports::{ChatStore, Clock, IdSource},
};
use onechat_prove::{InvariantState, Namespace, Report, StoreRace, Verdict, store_race};

#[derive(Default)]
struct Toy {
    /// Gives the second caller of a set a chat of its own, as a store does that looks before it inserts when two
    /// callers come at once. Whether they really do is not left to the scheduler.
    racy: bool,
    chats: Mutex<Vec<Chat>>,
    by_set: Mutex<HashMap<ChatIdentity, Chat>>,
}

#[async_trait]
impl ChatStore for Toy {
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError> {
        let set = &proposal.identity;
        let mut by_set = self.by_set.lock().expect("no holder panics");
        let mut chats = self.chats.lock().expect("no holder panics");
        let seen = !self.racy || chats.iter().filter(|chat| chat.identity == *set).count() != 1;
        if let (true, Some(chat)) = (seen, by_set.get(set)) {
            return Ok(proposal.settle(chat.clone(), true)?);
        }
        let chat = proposal.to_chat(ParticipantsKey::new(set, KeyFormat::Escaped));
        by_set.insert(set.clone(), chat.clone());
        chats.push(chat.clone());
        Ok(proposal.settle(chat, true)?)
    }

    async fn lookup(&self, identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError> {
        Ok(self.by_set.lock().expect("no holder panics").get(identity).cloned())
    }

    async fn chat(&self, _id: &ChatId) -> Result<Option<Chat>, StoreError> {
        Ok(None)
    }

    async fn chat_for(&self, _id: &ChatId, _participant: &Participant) -> Result<Option<Chat>, StoreError> {
        Ok(None)
    }

    async fn chats_of(
        &self,
        participant: &Participant,
        _context: Option<&Context>,
        _size: PageSize,
        _after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        let chats = self.chats.lock().expect("no holder panics");
        let items =
            chats.iter().filter(|chat| chat.identity.participants.contains(participant)).cloned().collect();
        Ok(Page { items, next: None })
    }

    async fn send(&self, _message: NewMessage) -> Result<Option<Sent>, StoreError> {
        Ok(None)
    }

    async fn messages(
        &self,
        _chat: &ChatId,
        _size: PageSize,
        _before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Default)]
struct Ambient(AtomicU64);

impl Clock for Ambient {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(0).expect("1970 is in range")
    }
}

impl IdSource for Ambient {
    fn chat_id(&self) -> ChatId {
        ChatId::new(format!("c{}", self.0.fetch_add(1, Ordering::Relaxed))).expect("a valid id")
    }

    fn message_id(&self) -> MessageId {
        MessageId::new("m").expect("a valid id")
    }
}

async fn race(racy: bool) -> Report {
    let ambient = Arc::new(Ambient::default());
    store_race(StoreRace {
        store: Arc::new(Toy { racy, ..Toy::default() }),
        clock: ambient.clone(),
        ids: ambient,
        callers: 150,
        namespace: Namespace::new("run1-").expect("a namespace"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_decides_in_one_step_is_cleared() {
    let report = race(false).await;
    assert!(report.holds(), "{report}");
    let state = |index: usize| report.invariants[index].state;
    assert_eq!([0, 1, 2, 4].map(state), [InvariantState::Held; 4], "{report}");
    assert_eq!(state(3), InvariantState::NotExercised, "no message was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_looks_before_it_leaps_is_found_out() {
    let report = race(true).await;
    assert_eq!(report.verdict, Verdict::Violated);
    for index in 0..3 {
        assert_eq!(report.invariants[index].state, InvariantState::Violated, "{report}");
    }
}
