//! Stores, proposals, and a second connection that sees what is really there.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
};
use onechat_core::{
    ChatId, ChatIdentity, ClientMessageId, KeyFormat, MessageId, MessageText, NewMessage, ObjectIdSource,
    Participant, ParticipantSet, Proposal, Roles, Timestamp,
    ports::{Clock, IdSource},
};
use onechat_migrate::MergeRules;
use onechat_mongo::{MongoChatStore, MongoMigrator, MongoOptions};
use onechat_mongod::{Deployment, fresh_database, shared_protected, shared_standalone};

/// A database of its own on the shared server.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) database: Database,
}

impl Place {
    pub(crate) async fn fresh() -> Self {
        Self::on(shared_standalone().await).await
    }

    /// On a server that asks everybody who they are: the place as somebody who may do everything, and the URL of
    /// somebody who may only read there.
    pub(crate) async fn with_reader() -> (Self, String) {
        let url = shared_protected().await.uri_of_root(&fresh_database("it"));
        let place = Self::at(url).await;
        let role = doc! { "role": "read", "db": place.database.name() };
        let user = doc! { "createUser": "reader", "pwd": "reader", "roles": [role] };
        place.database.run_command(user).await.expect("root may make users");
        let reader = place.url.replacen("root:root", "reader:reader", 1);
        let reader = reader.replacen("authSource=admin", &format!("authSource={}", place.database.name()), 1);
        (place, reader)
    }

    pub(crate) async fn on(deployment: &Deployment) -> Self {
        Self::at(deployment.uri(&fresh_database("it"))).await
    }

    async fn at(url: String) -> Self {
        let client = Client::with_uri_str(&url).await.expect("a server that was just started");
        let database = client.default_database().expect("the URL names a database");
        Self { url, database }
    }

    pub(crate) async fn store(&self) -> Arc<MongoChatStore> {
        self.store_with(MongoOptions::default()).await
    }

    pub(crate) async fn store_with(&self, options: MongoOptions) -> Arc<MongoChatStore> {
        Arc::new(MongoChatStore::connect(&self.url, options).await.expect("the store opens"))
    }

    pub(crate) async fn migrator(&self) -> MongoMigrator {
        self.migrator_with(&MongoOptions::default()).await
    }

    pub(crate) async fn migrator_with(&self, options: &MongoOptions) -> MongoMigrator {
        let migrator = MongoMigrator::connect(&self.url, options, MergeRules::default()).await;
        migrator.expect("a server that runs")
    }

    /// What servers are told: in a test nobody else tells them.
    pub(crate) async fn tell(&self, state: &str) {
        let notes = self.database.collection::<Document>("onechat_meta");
        let noted = notes.update_one(doc! { "_id": "chats" }, doc! { "$set": { "state": state } }).await;
        assert_eq!(
            noted.expect("a server that runs").matched_count,
            1,
            "a store or a migrator has to be there"
        );
    }

    pub(crate) fn chats(&self) -> Collection<Document> {
        self.database.collection("chats")
    }
}

pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.fetch_add(1000, Ordering::Relaxed)).expect("a test is short")
    }
}

/// Ids and times of a test.
pub(crate) struct World {
    clock: Arc<Ticking>,
    ids: ObjectIdSource,
}

impl Default for World {
    fn default() -> Self {
        let clock = Arc::new(Ticking(AtomicI64::new(1_700_000_000_000)));
        Self { ids: ObjectIdSource::new(clock.clone(), [5, 4, 3, 2, 1], 0), clock }
    }
}

impl World {
    pub(crate) fn proposal(&self, names: &[&str]) -> Proposal {
        self.proposal_with_id(names, self.ids.chat_id())
    }

    pub(crate) fn proposal_with_id(&self, names: &[&str], id: ChatId) -> Proposal {
        let named = |name: &&str| Participant::new(*name).expect("a valid participant");
        let roles = Roles::new(names.iter().map(named).collect(), BTreeMap::new());
        Proposal { identity: chat_of(names), id, now: self.clock.now(), roles }
    }

    pub(crate) fn proposal_of(&self, identity: ChatIdentity) -> Proposal {
        Proposal { identity, id: self.ids.chat_id(), now: self.clock.now(), roles: Roles::default() }
    }

    pub(crate) fn message(&self, chat: &ChatId, sender: &str, client: &str) -> NewMessage {
        NewMessage {
            chat: chat.clone(),
            id: MessageId::new(self.ids.message_id().as_str()).expect("a valid id"),
            sender: Participant::new(sender).expect("a valid participant"),
            text: MessageText::new("hello").expect("a short text"),
            client_message_id: ClientMessageId::new(client).expect("a valid id"),
            now: self.clock.now(),
        }
    }
}

/// The identity of the chat of these people.
pub(crate) fn chat_of(names: &[&str]) -> ChatIdentity {
    ParticipantSet::parse(names.iter().copied()).expect("a valid set").into()
}

pub(crate) fn joined() -> MongoOptions {
    MongoOptions { key_format: KeyFormat::Joined, ..MongoOptions::default() }
}
