//! Two stores, one answer: random scripts are played on the embedded store and on MongoDB, with the same ids and times,
//! and every answer is compared. What fails is shortened to the steps that matter.
//!
//! Messages come at times that grow: with a clock that stands still or goes back, SQLite orders messages by their
//! commits and MongoDB by the clock, and what holds for both is in the conformance suite.

use std::sync::Arc;

use onechat_core::{
    AliasError, ChatCursor, ChatId, ClientMessageId, KeyFormat, MessageCursor, MessageId, MessageText,
    NewMessage, PageSize, Participant, ParticipantSet, Proposal, ResolveError, Roles, StoreError, Timestamp,
    ports::{AliasStore, ChatStore},
};
use onechat_mongo::{MongoChatStore, MongoOptions};
use onechat_mongod::{fresh_database, shared_standalone};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

const SCRIPTS: u32 = 60;
const LONGEST: usize = 60;
const NOON_MS: i64 = 1_700_000_000_000;

#[test]
fn both_stores_answer_every_script_alike_with_escaped_keys() {
    play_scripts(KeyFormat::Escaped, 1);
}

#[test]
fn both_stores_answer_every_script_alike_with_joined_keys() {
    play_scripts(KeyFormat::Joined, 2);
}

/// The same seed, the same scripts.
fn play_scripts(format: KeyFormat, seed: u8) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases: SCRIPTS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let result = runner.run(&vec(step(), 1..LONGEST), |script| {
        runtime.block_on(play(format, &script)).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, script)) => {
            let steps: Vec<String> = script.iter().map(|step| format!("  {step:?}")).collect();
            panic!(
                "the stores differ: {reason}\nafter this script, with {format} keys:\n{}",
                steps.join("\n")
            );
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// One call of the ports. Numbers stand for things of the [`Stage`], so that a shortened script makes sense too.
#[derive(Debug, Clone)]
enum Step {
    Open {
        set: usize,
        at: i64,
    },
    /// An earlier proposal once more, id and all.
    OpenAgain {
        which: usize,
    },
    Lookup {
        set: usize,
    },
    Chat {
        id: Id,
    },
    ChatFor {
        id: Id,
        who: usize,
    },
    ChatsOf {
        who: usize,
        size: u16,
        after: Option<(i64, Id)>,
    },
    /// Page by page to the end.
    EveryChatOf {
        who: usize,
        size: u16,
    },
    Send {
        chat: Id,
        who: usize,
        client: usize,
        text: usize,
        at: i64,
    },
    /// An earlier message once more, id and all.
    SendAgain {
        which: usize,
    },
    Messages {
        chat: Id,
        size: u16,
        before: Option<(i64, usize)>,
    },
    EveryMessage {
        chat: Id,
        size: u16,
    },
    Alias {
        alias: Id,
        chat: Id,
    },
    Ready,
}

/// An id that was proposed by an earlier step, or one that only an alias can have.
#[derive(Debug, Clone, Copy)]
enum Id {
    Proposed(usize),
    Old(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (set, who, at) = (|| 0..SETS.len(), || 0..PEOPLE.len(), time);
    let size = || select(vec![1_u16, 2, 3, 100]);
    let which = || 0..20_usize;
    prop_oneof![
        6 => (set(), at()).prop_map(|(set, at)| Step::Open { set, at }),
        1 => which().prop_map(|which| Step::OpenAgain { which }),
        2 => set().prop_map(|set| Step::Lookup { set }),
        2 => id().prop_map(|id| Step::Chat { id }),
        2 => (id(), who()).prop_map(|(id, who)| Step::ChatFor { id, who }),
        2 => (who(), size(), proptest::option::of((at(), id())))
            .prop_map(|(who, size, after)| Step::ChatsOf { who, size, after }),
        2 => (who(), size()).prop_map(|(who, size)| Step::EveryChatOf { who, size }),
        8 => (id(), who(), 0..3_usize, 0..TEXTS.len(), at())
            .prop_map(|(chat, who, client, text, at)| Step::Send { chat, who, client, text, at }),
        1 => which().prop_map(|which| Step::SendAgain { which }),
        2 => (id(), size(), proptest::option::of((at(), which())))
            .prop_map(|(chat, size, before)| Step::Messages { chat, size, before }),
        2 => (id(), size()).prop_map(|(chat, size)| Step::EveryMessage { chat, size }),
        3 => (id(), id()).prop_map(|(alias, chat)| Step::Alias { alias, chat }),
        1 => Just(Step::Ready),
    ]
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![4 => (0..20_usize).prop_map(Id::Proposed), 1 => (0..3_usize).prop_map(Id::Old)]
}

/// Close together, so that they are often the same and often go back; now and then far away, with room for a script.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![12 => NOON_MS..NOON_MS + 5, 1 => select(vec![-1, 0, 1, 253_402_207_000_000])]
}

const PEOPLE: &[&str] =
    &["a", "b", "c", "a_b", "b_c", "%5F", "\u{1F600}", "\u{FFFD}", "Zoë", "64f000000000000000000001"];
/// Under `joined`, some of them share a key.
const SETS: &[&[&str]] = &[
    &["a", "b"],
    &["a", "c"],
    &["b", "c"],
    &["a", "b", "c"],
    &["a_b", "c"],
    &["a", "b_c"],
    &["a"],
    &["%5F", "a"],
    &["\u{1F600}", "\u{FFFD}", "a"],
    &["Zoë", "64f000000000000000000001"],
    &["a", LONG, "b"],
    &["a", LONG, "c"],
];
/// Three of them make a key that is hashed; one makes a long one, with what the key has to escape.
const LONG: &str = concat!(
    "________________________________________________________________________________________________________________",
    "________________________________________________________________________________________________________________",
);
const TEXTS: &[&str] = &["hello", "\u{1F600}", " ", "$set"];

/// What the steps so far have used, the same for both stores.
#[derive(Default)]
struct Stage {
    proposals: Vec<Proposal>,
    messages: Vec<NewMessage>,
    /// The latest time of all of them.
    latest_ms: i64,
}

impl Stage {
    fn id(&self, id: Id) -> ChatId {
        match id {
            Id::Proposed(n) if !self.proposals.is_empty() => {
                self.proposals[n % self.proposals.len()].id.clone()
            }
            Id::Proposed(n) | Id::Old(n) => ChatId::new(hex(0, n)).unwrap(),
        }
    }

    fn open(&mut self, set: usize, at: i64) -> Proposal {
        let id = ChatId::new(hex(1, self.proposals.len())).unwrap();
        let proposal =
            Proposal { identity: the_set(set).into(), id, now: moment(at), roles: Roles::default() };
        self.proposals.push(proposal.clone());
        self.latest_ms = self.latest_ms.max(at);
        proposal
    }

    /// The message with its time moved forward, if it must be, past all times so far.
    fn send(&mut self, mut message: NewMessage) -> NewMessage {
        self.latest_ms = message.now.unix_ms().max(self.latest_ms + 1);
        message.now = moment(self.latest_ms);
        self.messages.push(message.clone());
        message
    }
}

fn message_id(n: usize) -> MessageId {
    MessageId::new(hex(2, n)).unwrap()
}

/// In the form of an ObjectId, and in no order: what is sorted by id must not be sorted by age by accident.
fn hex(kind: usize, n: usize) -> String {
    format!("{:08x}{kind:08x}{n:08x}", n * 2_654_435_761 % (1 << 32))
}

fn the_set(n: usize) -> ParticipantSet {
    ParticipantSet::parse(SETS[n].iter().copied()).unwrap()
}

fn person(n: usize) -> Participant {
    Participant::new(PEOPLE[n]).unwrap()
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms).unwrap()
}

/// Plays a script on two new stores; the first difference.
async fn play(format: KeyFormat, script: &[Step]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { key_format: format, ..SqliteOptions::default() };
    let sqlite = Arc::new(SqliteChatStore::open(folder.path().join("chats.db"), &options).unwrap());
    let options = MongoOptions { key_format: format, ..MongoOptions::default() };
    let url = shared_standalone().await.uri(&fresh_database("alike"));
    let mongo = Arc::new(MongoChatStore::connect(&url, options).await.unwrap());
    let mut stage = Stage::default();
    let mut difference = Ok(());
    // A repeat raises `updated_at` on MongoDB, where nothing proves that the first try got so far.
    let mut is_repeated = false;
    for (index, step) in script.iter().enumerate() {
        let Some(call) = call_of(step, &mut stage) else { continue };
        let (mut one, mut other) = tokio::join!(answer(&*sqlite, &call), answer(&*mongo, &call));
        is_repeated |= matches!(call, Call::Send(_)) && one.contains("created: false");
        if is_repeated {
            (one, other) = (without_updated_at(&one), without_updated_at(&other));
        }
        if one != other {
            difference = Err(format!("step {index}, {call:?}:\n  SQLite:  {one}\n  MongoDB: {other}"));
            break;
        }
    }
    onechat_mongo::drop_database(&url).await.unwrap();
    difference
}

/// A step with everything that it stands for.
#[derive(Debug)]
enum Call {
    Open(Proposal),
    Lookup(ParticipantSet),
    Chat(ChatId),
    ChatFor(ChatId, Participant),
    ChatsOf(Participant, PageSize, Option<ChatCursor>),
    EveryChatOf(Participant, PageSize),
    Send(NewMessage),
    Messages(ChatId, PageSize, Option<MessageCursor>),
    EveryMessage(ChatId, PageSize),
    Alias(ChatId, ChatId),
    Ready,
}

/// Nothing for a repeat where there is nothing to repeat.
fn call_of(step: &Step, stage: &mut Stage) -> Option<Call> {
    let page = |size| PageSize::new(size).unwrap();
    Some(match step {
        Step::Open { set, at } => Call::Open(stage.open(*set, *at)),
        Step::OpenAgain { which } => {
            Call::Open(stage.proposals.get(which % stage.proposals.len().max(1))?.clone())
        }
        Step::Lookup { set } => Call::Lookup(the_set(*set)),
        Step::Chat { id } => Call::Chat(stage.id(*id)),
        Step::ChatFor { id, who } => Call::ChatFor(stage.id(*id), person(*who)),
        Step::ChatsOf { who, size, after } => {
            let after = after.map(|(at, id)| ChatCursor { at: moment(at), id: stage.id(id) });
            Call::ChatsOf(person(*who), page(*size), after)
        }
        Step::EveryChatOf { who, size } => Call::EveryChatOf(person(*who), page(*size)),
        Step::Send { chat, who, client, text, at } => Call::Send(stage.send(NewMessage {
            chat: stage.id(*chat),
            id: message_id(stage.messages.len()),
            sender: person(*who),
            text: MessageText::new(TEXTS[*text]).unwrap(),
            client_message_id: ClientMessageId::new(format!("m{client}")).unwrap(),
            now: moment(*at),
        })),
        Step::SendAgain { which } => {
            let again = stage.messages.get(which % stage.messages.len().max(1))?.clone();
            Call::Send(stage.send(again))
        }
        Step::Messages { chat, size, before } => {
            let before = before.map(|(at, n)| MessageCursor { at: moment(at), id: message_id(n) });
            Call::Messages(stage.id(*chat), page(*size), before)
        }
        Step::EveryMessage { chat, size } => Call::EveryMessage(stage.id(*chat), page(*size)),
        Step::Alias { alias, chat } => Call::Alias(stage.id(*alias), stage.id(*chat)),
        Step::Ready => Call::Ready,
    })
}

/// The whole answer as text. Errors of the store by their kind: each has words of its own for what is wrong with it.
async fn answer<S: ChatStore + AliasStore>(store: &S, call: &Call) -> String {
    match call {
        Call::Open(proposal) => said(&store.create_or_get(proposal.clone()).await.map_err(resolving)),
        Call::Lookup(set) => said(&store.lookup(&set.into()).await.map_err(resolving)),
        Call::Chat(id) => said(&store.chat(id).await.map_err(|error| kind(&error))),
        Call::ChatFor(id, who) => said(&store.chat_for(id, who).await.map_err(|error| kind(&error))),
        Call::ChatsOf(who, size, after) => {
            said(&store.chats_of(who, None, *size, after.as_ref()).await.map_err(|error| kind(&error)))
        }
        Call::Send(message) => said(&store.send(message.clone()).await.map_err(|error| kind(&error))),
        Call::Messages(chat, size, before) => {
            said(&store.messages(chat, *size, before.as_ref()).await.map_err(|error| kind(&error)))
        }
        Call::Alias(alias, chat) => said(&store.add_alias(alias, chat).await.map_err(aliasing)),
        Call::Ready => said(&store.ready().await.map_err(|error| kind(&error))),
        Call::EveryChatOf(who, size) => {
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let page =
                    store.chats_of(who, None, *size, after.as_ref()).await.map_err(|error| kind(&error));
                after = page.as_ref().ok().and_then(|page| page.next.clone());
                pages.push(page);
                if after.is_none() {
                    return format!("{pages:?}");
                }
            }
        }
        Call::EveryMessage(chat, size) => {
            let (mut pages, mut before) = (Vec::new(), None);
            loop {
                let page = store.messages(chat, *size, before.as_ref()).await.map_err(|error| kind(&error));
                before = page.as_ref().ok().and_then(|page| page.next.clone());
                pages.push(page);
                if before.is_none() {
                    return format!("{pages:?}");
                }
            }
        }
    }
}

fn without_updated_at(answer: &str) -> String {
    let mut parts = answer.split(", updated_at: ");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, after) = part.split_once(", last_message_at: ").expect("the field that comes next");
        rest = format!("{rest}, last_message_at: {after}");
    }
    rest
}

fn said<T: std::fmt::Debug>(answer: &Result<T, String>) -> String {
    format!("{answer:?}")
}

fn resolving(error: ResolveError) -> String {
    match error {
        ResolveError::Store(error) => kind(&error),
        collision @ ResolveError::Collision(_) => format!("{collision:?}"),
    }
}

fn aliasing(error: AliasError) -> String {
    match error {
        AliasError::Store(error) => kind(&error),
        refusal => format!("{refusal:?}"),
    }
}

fn kind(error: &StoreError) -> String {
    let kind = match error {
        StoreError::Overloaded => "overloaded",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Unprotected(_) => "unprotected",
        StoreError::NotMigrated(_) => "not migrated",
        StoreError::Refused(_) => "refused",
        StoreError::RolesRequired(_) => "roles required",
        StoreError::RolesUnknown(_) => "roles unknown",
        StoreError::OutsideFilter(_) => "outside the filter",
        StoreError::Corrupt(_) => "corrupt",
    };
    kind.to_owned()
}
