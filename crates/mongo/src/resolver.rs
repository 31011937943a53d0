//! Create-or-get, gathered: one find answers every key that waits, one unordered insert creates every chat that is
//! missing, and what the insert leaves open is looked up again.
//!
//! Each set is in one batch at a time, and those who ask for it meanwhile form the next group: however many callers
//! race for a new chat, they cost a find, an insert and a find. The unique index decides between servers. While a
//! collection has chats without their key, what the key does not find is looked for by participants before.

mod history;
mod outside;
mod previous;
mod rush;
mod settle;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mongodb::bson::Document;
use onechat_core::{Chat, ParticipantsKey, Proposal, StoreError};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    attempt::{Deadline, until},
    collections::{Collections, Found},
    error::{Written, code, code_of},
    gatherer::Gatherer,
    guard::Guard,
    historic::Wanted,
    metrics::{Index, Metrics},
};

/// How many finds, and how many inserts, are under way at most. More would make smaller batches, not faster ones.
const LOOKUPS: usize = 2;
const INSERTS: usize = 3;
/// The same on a replica set, where a majority answers later: what comes meanwhile makes the next batch larger, and cheaper.
const INSERTS_OF_SET: usize = 1;
/// The largest find. Its keys are far below the 16 MiB of a command.
const MOST_KEYS: usize = 1000;
/// The largest insert, in chats and in the bytes of their keys, which are about half of a document.
const MOST_CHATS: usize = 500;
const MOST_KEY_BYTES: usize = 4 << 20;

/// The chat under the key, if any, and whether it was missing before.
type Answer = Result<Option<(Arc<Chat>, bool)>, StoreError>;

struct Waiter {
    /// What to create; nothing for those who only look.
    proposal: Option<Proposal>,
    answer: oneshot::Sender<Answer>,
}

/// A chat that is to be created, with those who wait for it.
struct Missing {
    wanted: Wanted,
    chat: Arc<Chat>,
    document: Document,
    waiters: Vec<Waiter>,
    deadline: Deadline,
    /// Whether it was looked for before, and was not there.
    looked_for: bool,
}

type Group = (Wanted, Vec<Waiter>);

/// A set whose chat its key does not find.
struct Unfound {
    wanted: Wanted,
    waiters: Vec<Waiter>,
    /// What stands under the key and is not a chat of the set, or too damaged to tell.
    stranger: Option<Result<Arc<Chat>, StoreError>>,
}

#[derive(Default)]
struct State {
    lookups: Gatherer<Wanted, Waiter>,
    lookups_under_way: usize,
    missing: VecDeque<Missing>,
    inserts_under_way: usize,
    most_inserts: usize,
    waiting: usize,
    /// How many keys in a row had no chat.
    new_in_a_row: usize,
}

/// Answers requests for chats by key.
pub(crate) struct Resolver {
    collections: Arc<Collections>,
    guard: Arc<Guard>,
    metrics: Metrics,
    capacity: usize,
    patience: Duration,
    state: Mutex<State>,
}

impl Resolver {
    pub(crate) fn new(
        collections: Arc<Collections>,
        guard: Arc<Guard>,
        metrics: Metrics,
        capacity: usize,
        patience: Duration,
    ) -> Arc<Self> {
        let most_inserts = if collections.is_replicated { INSERTS_OF_SET } else { INSERTS };
        let state = Mutex::new(State { most_inserts, ..State::default() });
        Arc::new(Self { collections, guard, metrics, capacity, patience, state })
    }

    /// The chat under the key; created as proposed, if there is a proposal and no chat.
    pub(crate) async fn resolve(self: &Arc<Self>, wanted: Wanted, proposal: Option<Proposal>) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let begins = {
            let mut state = self.state();
            if state.waiting >= self.capacity {
                return Err(StoreError::Overloaded);
            }
            state.waiting += 1;
            state.lookups.push(wanted, Waiter { proposal, answer: sender });
            state.begins_lookup()
        };
        self.metrics.waiting.inc();
        if begins {
            tokio::spawn(Arc::clone(self).look());
        }
        // The work itself has this deadline too; time in the queue comes on top.
        match timeout_at(Instant::now() + 2 * self.patience, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("the request was dropped".to_owned())),
            Err(_) => {
                self.metrics.deadline_misses.inc();
                Err(StoreError::Unavailable("the database did not answer in time".to_owned()))
            }
        }
    }

    /// Makes finds until nothing waits.
    async fn look(self: Arc<Self>) {
        loop {
            // Whoever is ready to ask now, asks first and shares the round trip. Nobody is waited for.
            tokio::task::yield_now().await;
            let batch = {
                let mut state = self.state();
                let batch = state.lookups.begin(MOST_KEYS);
                if batch.is_empty() {
                    state.lookups_under_way -= 1;
                    return;
                }
                batch
            };
            self.look_up(batch).await;
        }
    }

    async fn look_up(self: &Arc<Self>, batch: Vec<Group>) {
        let deadline = Deadline::after(self.patience);
        let (asked, expected_new) = self.sample(batch);
        let mut missing = self.look_for(asked, deadline).await;
        let (unlooked, rest) = self.create_unlooked(expected_new, deadline);
        missing.extend(unlooked);
        if !rest.is_empty() {
            missing.extend(self.look_for(rest, deadline).await);
        }
        self.begin_inserts(missing);
    }

    /// Answers what is there, and returns what is to be inserted.
    async fn look_for(self: &Arc<Self>, batch: Vec<Group>, deadline: Deadline) -> Vec<Missing> {
        let requests: usize = batch.iter().map(|(_, group)| group.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        self.metrics.lookup_batch_size.observe(batch.len() as f64);
        self.metrics.lookups_saved.inc_by(requests.saturating_sub(1) as u64);
        let keys: Vec<_> = batch.iter().map(|(wanted, _)| &wanted.key).collect();
        let found = match self.find(&keys, deadline).await {
            Ok(found) => found,
            Err(error) => {
                self.state().new_in_a_row = 0;
                for (wanted, group) in batch {
                    self.answer(&wanted, group, &Err(error.clone()));
                }
                return Vec::new();
            }
        };
        self.state().note_lookup(batch.len(), found.is_empty());
        // Asked after the find, which may have learned of another state.
        let has_history = self.guard.has_history();
        let mut unfound = Vec::new();
        for (wanted, group) in batch {
            match found.get(&wanted.key) {
                Some(chat) if !has_history || is_of(chat, &wanted) => {
                    self.answer(&wanted, group, &chat.clone().map(|chat| Some((chat, false))));
                }
                stranger => unfound.push(Unfound { wanted, waiters: group, stranger: stranger.cloned() }),
            }
        }
        if self.guard.follows_previous() {
            unfound = self.look_by_previous(unfound, deadline).await;
        }
        if has_history {
            unfound = self.look_in_history(unfound, deadline).await;
        }
        self.open(unfound, deadline)
    }

    /// Whether nobody at all has a chat of the set, for those who were told that there is none.
    pub(crate) async fn surely(&self, wanted: &Wanted) -> Result<Option<Arc<Chat>>, StoreError> {
        if self.guard.has_history() {
            return self.collections.surely_by_participants(wanted).await;
        }
        match self.collections.surely_by_key(&wanted.key).await? {
            None if self.guard.follows_previous() => {
                let hint = self.guard.previous_hint();
                self.collections.surely_by_previous(wanted, hint.as_deref()).await
            }
            found => Ok(found),
        }
    }

    /// What somebody wants created. Tells the others that there is nothing.
    fn open(self: &Arc<Self>, unfound: Vec<Unfound>, deadline: Deadline) -> Vec<Missing> {
        let mut missing = Vec::new();
        for Unfound { wanted, waiters, stranger } in unfound {
            if let Some(stranger) = stranger {
                self.answer(&wanted, waiters, &stranger.map(|chat| Some((chat, false))));
                continue;
            }
            let (openers, lookers): (Vec<_>, Vec<_>) =
                waiters.into_iter().partition(|waiter| waiter.proposal.is_some());
            if openers.is_empty() {
                self.answer(&wanted, lookers, &Ok(None));
                continue;
            }
            self.tell(lookers, &Ok(None));
            match self.first_proposed(&wanted, &openers) {
                Ok((chat, document)) => {
                    let (chat, waiters) = (Arc::new(chat), openers);
                    missing.push(Missing { wanted, chat, document, waiters, deadline, looked_for: true });
                }
                Err(error) => self.answer(&wanted, openers, &Err(error)),
            }
        }
        missing
    }

    /// What the first of them proposes who may create: those who do not say who is what get the chat of one who does.
    fn first_proposed(&self, wanted: &Wanted, openers: &[Waiter]) -> Result<(Chat, Document), StoreError> {
        let mut refusal = None;
        for proposal in openers.iter().filter_map(|opener| opener.proposal.as_ref()) {
            match self.proposed(wanted, proposal) {
                Err(error @ StoreError::RolesRequired(_)) => refusal = Some(error),
                other => return other,
            }
        }
        Err(refusal.unwrap_or_else(|| StoreError::Unavailable("nobody proposes a chat".to_owned())))
    }

    fn proposed(&self, wanted: &Wanted, proposal: &Proposal) -> Result<(Chat, Document), StoreError> {
        self.guard.refuses_chats()?;
        let chat = proposal.to_chat(wanted.key.clone());
        let codec = self.collections.codec();
        let mut document = codec.new_chat(&chat, &proposal.roles)?;
        if let Some(previous) = codec.previous().filter(|_| self.guard.follows_previous()) {
            previous.add_to(&mut document)?;
        }
        Ok((chat, document))
    }

    fn begin_inserts(self: &Arc<Self>, missing: Vec<Missing>) {
        if missing.is_empty() {
            return;
        }
        let begins = {
            let mut state = self.state();
            state.missing.extend(missing);
            state.begins_insert()
        };
        if begins {
            tokio::spawn(Arc::clone(self).create());
        }
    }

    /// One find, tried again while there is time. The loss of the index is noticed here.
    async fn find(&self, keys: &[&ParticipantsKey], deadline: Deadline) -> Result<Found, StoreError> {
        self.guard.refuses_lookups()?;
        if self.guard.looks_by_participants_only() {
            return Ok(Found::new());
        }
        let began = Instant::now();
        let work = || async {
            let found = self.collections.by_keys(keys, self.guard.hint(), deadline).await;
            match found {
                // The index that was named is not there: is there another one?
                Err(error) if code_of(&error) == Some(code::BAD_VALUE) => {
                    let _ = self.guard.check().await;
                    if self.guard.refuses_lookups().is_err() {
                        return Err(error);
                    }
                    self.collections.by_keys(keys, self.guard.hint(), deadline).await
                }
                other => other,
            }
        };
        let found = until(deadline, &self.metrics, work).await;
        self.metrics.lookup_seconds.observe(began.elapsed().as_secs_f64());
        if found.is_err() {
            self.guard.refuses_lookups()?;
        }
        found
    }

    /// Makes inserts until nothing is missing.
    async fn create(self: Arc<Self>) {
        loop {
            tokio::task::yield_now().await;
            let batch = {
                let mut state = self.state();
                let batch = state.next_insert();
                if batch.is_empty() {
                    state.inserts_under_way -= 1;
                    return;
                }
                batch
            };
            let open = self.insert(batch).await;
            if !open.is_empty() {
                // Apart, so that those who come behind need not wait for them.
                tokio::spawn(Arc::clone(&self).settle(open));
            }
        }
    }

    /// One insert. Answers what it has settled and returns the rest, with what became of each.
    async fn insert(self: &Arc<Self>, batch: Vec<Missing>) -> Vec<(Missing, Written)> {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        self.metrics.insert_batch_size.observe(batch.len() as f64);
        let deadline = batch.iter().map(|missing| missing.deadline).max_by_key(|deadline| deadline.at());
        let Some(deadline) = deadline else { return Vec::new() };
        let batch = self.without_outsiders(batch, deadline).await;
        if batch.is_empty() {
            return Vec::new();
        }
        let documents = batch.iter().map(|missing| missing.document.clone()).collect();
        let began = Instant::now();
        let written =
            self.collections.insert(&self.collections.codec().mapping().chats, documents, deadline).await;
        self.metrics.insert_seconds.observe(began.elapsed().as_secs_f64());
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                for missing in batch {
                    self.answer(&missing.wanted, missing.waiters, &Err(error.clone()));
                }
                return Vec::new();
            }
        };
        let mut open = Vec::new();
        for (missing, written) in batch.into_iter().zip(written) {
            match written {
                Written::Stored => {
                    let answer = Ok(Some((missing.chat, true)));
                    self.answer(&missing.wanted, missing.waiters, &answer);
                }
                written => {
                    if let Written::Duplicate(fields) = &written {
                        self.state().new_in_a_row = 0;
                        self.metrics.duplicate_keys.get_or_create(&Index { index: fields.join(",") }).inc();
                    }
                    open.push((missing, written));
                }
            }
        }
        open
    }

    fn tell(&self, waiters: Vec<Waiter>, answer: &Answer) {
        let count = waiters.len();
        self.state().waiting -= count;
        self.metrics.waiting.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
        for waiter in waiters {
            // Who does not wait any more has no use for it.
            let _ = waiter.answer.send(answer.clone());
        }
    }

    /// Tells everybody, and lets the next group of the key begin.
    fn answer(self: &Arc<Self>, wanted: &Wanted, waiters: Vec<Waiter>, answer: &Answer) {
        let begins = {
            let mut state = self.state();
            state.lookups.release(wanted);
            state.begins_lookup()
        };
        if begins {
            tokio::spawn(Arc::clone(self).look());
        }
        self.tell(waiters, answer);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(chat: &Result<Arc<Chat>, StoreError>, wanted: &Wanted) -> bool {
    chat.as_ref().is_ok_and(|chat| chat.identity == *wanted.identity)
}

impl State {
    /// Whether the caller has to start another task for finds.
    fn begins_lookup(&mut self) -> bool {
        let begins = self.lookups.has_work() && self.lookups_under_way < LOOKUPS;
        self.lookups_under_way += usize::from(begins);
        begins
    }

    fn begins_insert(&mut self) -> bool {
        let begins = !self.missing.is_empty() && self.inserts_under_way < self.most_inserts;
        self.inserts_under_way += usize::from(begins);
        begins
    }

    fn next_insert(&mut self) -> Vec<Missing> {
        let mut bytes = 0;
        let fits = |missing: &&Missing| {
            bytes += missing.wanted.key.as_str().len();
            bytes <= MOST_KEY_BYTES
        };
        let count = self.missing.iter().take(MOST_CHATS).take_while(fits).count();
        let count = count.max(usize::from(!self.missing.is_empty()));
        self.missing.drain(..count).collect()
    }
}
