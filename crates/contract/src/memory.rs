//! A store in memory that can be broken on purpose. It exists to test the suite and the prover, never to serve.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use onechat_core::{
    AliasError, Chat, ChatCursor, ChatId, ChatIdentity, Context, KeyFormat, Message, MessageCursor,
    NewMessage, Outcome, Page, PageSize, Participant, ParticipantsKey, Proposal, ResolveError, Sent,
    StoreError,
    ports::{AliasStore, Audit, AuditReport, ChatStore, Progress},
};

/// How long a racy store lets others run: far longer than a busy machine holds back the rest of a crowd that set
/// out together.
const RACE_WINDOW: Duration = Duration::from_millis(20);

/// By how much a new message raises a chat's activity at least.
const TICK: Duration = Duration::from_millis(1);

/// What a [`MemoryStore`] does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Looks, lets others run, and inserts without looking again: the defect that this project exists for.
    Racy,
    /// Trusts the key: hands out whatever chat stands under it.
    WrongHit,
    /// Stores a repeated message again.
    ForgetsRepeats,
    /// Pages by number of rows, so that activity shifts what is listed.
    OffsetPages,
    /// Takes the clock at its word: messages of one millisecond raise a chat's activity once.
    TrustsTheClock,
    /// Shows a chat by its id to whoever asks.
    ShowsToStrangers,
    /// Has never heard of contexts: the same people have one chat, whatever it is about.
    IgnoresContext,
    /// Lists all chats of a participant, whatever the context that was asked for.
    ListsEveryContext,
}

/// Chats and messages in maps behind one lock.
pub struct MemoryStore {
    format: KeyFormat,
    fault: Fault,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chats: BTreeMap<ChatId, Chat>,
    by_key: HashMap<ParticipantsKey, ChatId>,
    aliases: HashMap<ChatId, ChatId>,
    messages: Vec<Message>,
}

impl State {
    fn resolve(&self, id: &ChatId) -> Option<&Chat> {
        self.chats.get(self.aliases.get(id).unwrap_or(id))
    }

    fn under_key(&self, key: &ParticipantsKey) -> Option<Chat> {
        self.by_key.get(key).and_then(|id| self.chats.get(id)).cloned()
    }

    fn insert(&mut self, chat: Chat) {
        self.by_key.insert(chat.participants_key.clone(), chat.id.clone());
        self.chats.insert(chat.id.clone(), chat);
    }
}

impl MemoryStore {
    /// An empty store with a fault.
    pub fn new(format: KeyFormat, fault: Fault) -> Self {
        Self { format, fault, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The identity as this store sees it.
    fn seen(&self, identity: &ChatIdentity) -> ChatIdentity {
        match self.fault {
            Fault::IgnoresContext => (&identity.participants).into(),
            _ => identity.clone(),
        }
    }

    fn settle(&self, proposal: &Proposal, stored: Chat, wrote: bool) -> Result<Outcome, ResolveError> {
        if self.fault == Fault::WrongHit {
            let trusting = Proposal { identity: stored.identity.clone(), ..proposal.clone() };
            return Ok(trusting.settle(stored, wrote)?);
        }
        Ok(proposal.settle(stored, wrote)?)
    }
}

#[async_trait]
impl ChatStore for MemoryStore {
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError> {
        proposal.roles.ensure_none()?;
        let proposal = Proposal { identity: self.seen(&proposal.identity), ..proposal };
        let key = ParticipantsKey::new(&proposal.identity, self.format);
        if self.fault == Fault::Racy {
            let found = self.state().under_key(&key);
            if let Some(chat) = found {
                return self.settle(&proposal, chat, false);
            }
            tokio::time::sleep(RACE_WINDOW).await;
            let chat = proposal.to_chat(key);
            self.state().insert(chat.clone());
            return self.settle(&proposal, chat, true);
        }
        let mut state = self.state();
        if let Some(chat) = state.under_key(&key) {
            return self.settle(&proposal, chat, false);
        }
        let chat = proposal.to_chat(key);
        state.insert(chat.clone());
        self.settle(&proposal, chat, true)
    }

    async fn lookup(&self, identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError> {
        let identity = self.seen(identity);
        let found = self.state().under_key(&ParticipantsKey::new(&identity, self.format));
        if self.fault == Fault::WrongHit {
            return Ok(found);
        }
        Ok(found.map(|chat| chat.checked_for(&identity)).transpose()?)
    }

    async fn chat(&self, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        Ok(self.state().resolve(id).cloned())
    }

    async fn chat_for(&self, id: &ChatId, participant: &Participant) -> Result<Option<Chat>, StoreError> {
        let strangers = self.fault == Fault::ShowsToStrangers;
        Ok(self.chat(id).await?.filter(|chat| strangers || chat.identity.participants.contains(participant)))
    }

    async fn chats_of(
        &self,
        participant: &Participant,
        context: Option<&Context>,
        size: PageSize,
        after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        let state = self.state();
        let context = context.filter(|_| self.fault != Fault::ListsEveryContext);
        let mut rows: Vec<Chat> = state
            .chats
            .values()
            .filter(|chat| chat.identity.participants.contains(participant))
            .filter(|chat| context.is_none() || chat.identity.context.as_ref() == context)
            .cloned()
            .collect();
        rows.sort_by_cached_key(|chat| std::cmp::Reverse((chat.last_activity_at(), chat.id.clone())));
        if let Some(ChatCursor { at, id }) = after {
            if self.fault == Fault::OffsetPages {
                let position = usize::try_from(at.unix_ms()).unwrap_or(0);
                rows.drain(..position.min(rows.len()));
            } else {
                rows.retain(|chat| (chat.last_activity_at(), &chat.id) < (*at, id));
            }
        }
        rows.truncate(size.get() + 1);
        let mut page = Page::from_one_more(rows, size, ChatCursor::after);
        if let (Fault::OffsetPages, Some(next)) = (self.fault, &mut page.next) {
            let seen = after.map_or(0, |cursor| cursor.at.unix_ms()) + i64::try_from(size.get()).unwrap_or(0);
            next.at = onechat_core::Timestamp::from_unix_ms(seen).unwrap_or(next.at);
        }
        Ok(page)
    }

    async fn send(&self, message: NewMessage) -> Result<Option<Sent>, StoreError> {
        let mut state = self.state();
        let Some(chat) = state.resolve(&message.chat).map(|chat| chat.id.clone()) else {
            return Ok(None);
        };
        let first = state.messages.iter().find(|first| {
            first.chat == chat
                && first.sender == message.sender
                && first.client_message_id == message.client_message_id
        });
        if let Some(first) = first.filter(|_| self.fault != Fault::ForgetsRepeats) {
            return Ok(Some(Sent { message: first.clone(), created: false }));
        }
        if let Some(chat) = state.chats.get_mut(&chat) {
            let before = chat.updated_at.max(chat.last_activity_at());
            let step = if self.fault == Fault::TrustsTheClock { Duration::ZERO } else { TICK };
            let at = message.now.max(before.plus(step));
            chat.last_message_at = Some(at);
            chat.updated_at = at;
        }
        let message = Message {
            id: message.id,
            chat,
            sender: message.sender,
            text: message.text,
            client_message_id: message.client_message_id,
            created_at: message.now,
        };
        state.messages.push(message.clone());
        Ok(Some(Sent { message, created: true }))
    }

    async fn messages(
        &self,
        chat: &ChatId,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let state = self.state();
        let chat = state.resolve(chat).map(|chat| &chat.id);
        let mut rows: Vec<Message> = state
            .messages
            .iter()
            .filter(|message| Some(&message.chat) == chat)
            .filter(|message| before.is_none_or(|b| (message.created_at, &message.id) < (b.at, &b.id)))
            .cloned()
            .collect();
        rows.sort_by_cached_key(|message| std::cmp::Reverse((message.created_at, message.id.clone())));
        rows.truncate(size.get() + 1);
        Ok(Page::from_one_more(rows, size, MessageCursor::after))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl AliasStore for MemoryStore {
    async fn add_alias(&self, alias: &ChatId, chat: &ChatId) -> Result<(), AliasError> {
        let mut state = self.state();
        if state.chats.contains_key(alias) {
            return Err(AliasError::LiveChat(alias.clone()));
        }
        let target = state.resolve(chat).map(|chat| chat.id.clone());
        let target = target.ok_or_else(|| AliasError::NoSuchChat(chat.clone()))?;
        match state.aliases.get(alias) {
            Some(other) if *other != target => Err(AliasError::Taken(other.clone())),
            _ => {
                state.aliases.insert(alias.clone(), target);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Audit for MemoryStore {
    /// Counts only: there is nothing at rest to check in memory.
    async fn audit(&self, _progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        let state = self.state();
        let count = |n: usize| n as u64;
        Ok(AuditReport {
            chats: count(state.chats.len()),
            outside: 0,
            messages: count(state.messages.len()),
            aliases: count(state.aliases.len()),
            findings: Vec::new(),
        })
    }
}
