//! Why everything is read and written by majority (I7): the obvious variant acknowledges chats that a failover takes
//! back. Both go through the same night, and only one of them lies.

use std::time::Duration;

use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc, oid::ObjectId},
    options::{Acknowledgment, ReadConcern, ReturnDocument, WriteConcern},
};
use onechat_core::{Chat, ChatId, Proposal, ResolveError, StoreError, ports::ChatStore};
use onechat_mongo::{MongoChatStore, MongoOptions};
use onechat_mongod::{Deployment, fresh_database};
use tokio::time::{Instant, sleep};

use crate::support::{World, chat_of};

const PATIENCE: Duration = Duration::from_mins(2);

/// What one writes who reads about upserts and not about concerns: on the same documents, and just as atomic.
struct Weak {
    chats: Collection<Document>,
}

impl Weak {
    fn new(database: &Database) -> Self {
        Self { chats: database.collection("chats") }
    }

    async fn create_or_get(&self, names: [&str; 2]) -> ChatId {
        let key = names.join("_");
        let now = mongodb::bson::DateTime::from_millis(1_700_000_000_000);
        let new = doc! {
            "_id": ObjectId::new(), "participants": names.to_vec(), "createdAt": now, "updatedAt": now, "__v": 0,
        };
        let upsert = self
            .chats
            .find_one_and_update(doc! { "participantsKey": key }, doc! { "$setOnInsert": new })
            .upsert(true)
            .return_document(ReturnDocument::After)
            .write_concern(WriteConcern::builder().w(Acknowledgment::Nodes(1)).build());
        let chat = upsert.await.expect("the primary takes writes").expect("an upsert leaves a document");
        id_of(&chat)
    }

    async fn lookup(&self, names: [&str; 2]) -> Option<ChatId> {
        let find = self.chats.find_one(doc! { "participantsKey": names.join("_") });
        let chat = find.read_concern(ReadConcern::local()).await.expect("the primary answers reads");
        chat.as_ref().map(id_of)
    }
}

fn id_of(chat: &Document) -> ChatId {
    ChatId::new(chat.get_object_id("_id").expect("an ObjectId").to_hex()).expect("a valid id")
}

/// The primary loses both secondaries, acknowledges, and dies. The others come back, elect one of themselves, and the
/// old primary has to take back what only it knew.
///
/// The secondaries are killed, not paused: into the socket of a paused one the primary would still write what is to be
/// lost. And the primary must not notice that it is alone before it has acknowledged, however slow the machine is: so
/// nobody calls an election but this test.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_weak_variant_acknowledged_is_gone_and_what_the_store_acknowledged_is_not() {
    let deployment = Deployment::replica_set().await.unwrap();
    elections_only_when_told(&deployment).await;
    let name = fresh_database("ghost");
    let url = deployment.uri(&name);
    let patient = store(&url, PATIENCE).await;
    // For questions that have no answer while the primary is alone.
    let impatient = store(&url, Duration::from_secs(4)).await;
    let client = Client::with_uri_str(&url).await.unwrap();
    let weak = Weak::new(&client.database(&name));
    let world = World::default();
    let before = patient.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    let weak_before = weak.create_or_get(["ann", "carol"]).await;
    // Everybody has both, and all connections are open.
    deployment.wait_until_healthy().await.unwrap();

    let past = deployment.primary().await.unwrap();
    let others: Vec<usize> = (0..deployment.members()).filter(|member| *member != past).collect();
    for other in &others {
        deployment.kill(*other).unwrap();
    }
    let ghost = weak.create_or_get(["ann", "dora"]).await;
    assert_eq!(weak.lookup(["ann", "dora"]).await, Some(ghost.clone()), "a local read shows it");
    // What it was told by the driver, it now tells its caller. The store is asked the same, of the same primary.
    let own = world.proposal(&["ann", "erik"]);
    let ghosts = chat_of(&["ann", "dora"]);
    let (by_set, by_id, joined, new) = tokio::join!(
        impatient.lookup(&ghosts),
        impatient.chat(&ghost),
        opened(&impatient, world.proposal(&["ann", "dora"])),
        opened(&impatient, own.clone()),
    );
    let answers = [
        ("a lookup of the ghost", by_set),
        ("the ghost by its id", by_id.map_err(ResolveError::from)),
        ("a create-or-get of the ghost", joined),
        ("a chat of the store's own", new),
    ];
    for (what, answer) in answers {
        // Unavailable, or no chat: never one that may yet be taken back.
        let silent = matches!(answer, Ok(None) | Err(ResolveError::Store(StoreError::Unavailable(_))));
        assert!(silent, "{what} was answered before a majority had it: {answer:?}");
    }
    let safe = patient.lookup(&before.identity).await.unwrap();
    assert_eq!(safe, Some(before.clone()), "what a majority has can be read");

    deployment.kill(past).unwrap();
    for other in &others {
        deployment.restart(*other).await.unwrap();
    }
    elect(&deployment, others[0]).await;
    let after = store(&url, PATIENCE).await;
    assert_eq!(after.chat(&before.id).await.unwrap(), Some(before.clone()));
    assert_eq!(after.chat(&weak_before).await.unwrap().map(|chat| chat.id), Some(weak_before));
    assert_eq!(after.lookup(&ghosts).await.unwrap(), None, "somebody had heard of the ghost");
    // The pair goes on, in another chat than the one that was acknowledged.
    let successor = after.create_or_get(world.proposal(&["ann", "dora"])).await.unwrap().chat;
    assert_ne!(successor.id, ghost);

    // The old primary takes it back: nobody will ever find the id again that one caller has.
    deployment.restart(past).await.unwrap();
    deployment.wait_until_healthy().await.unwrap();
    let direct = Client::with_uri_str(deployment.uri_of(past).unwrap()).await.unwrap();
    let there = Weak::new(&direct.database(&name));
    assert_eq!(there.lookup(["ann", "dora"]).await, Some(successor.id.clone()));
    assert_eq!(after.chat(&ghost).await.unwrap(), None, "the ghost is back");
    // And the store's own proposal, which was never acknowledged, can simply be made again.
    let again = after.create_or_get(own).await.unwrap().chat;
    assert_eq!(after.chat(&again.id).await.unwrap(), Some(again));
}

async fn opened(store: &MongoChatStore, proposal: Proposal) -> Result<Option<Chat>, ResolveError> {
    store.create_or_get(proposal).await.map(|outcome| Some(outcome.chat))
}

async fn store(url: &str, deadline: Duration) -> MongoChatStore {
    let options = MongoOptions { deadline, ..MongoOptions::default() };
    MongoChatStore::connect(url, options).await.expect("the store opens")
}

async fn elections_only_when_told(deployment: &Deployment) {
    let admin = deployment.client().database("admin");
    let answer = admin.run_command(doc! { "replSetGetConfig": 1 }).await.expect("a primary answers");
    let mut config = answer.get_document("config").expect("its configuration").clone();
    let version = config.get_i32("version").expect("a version") + 1;
    config.insert("version", version);
    let settings = config.get_document_mut("settings").expect("settings");
    settings.insert("electionTimeoutMillis", 3_600_000);
    admin.run_command(doc! { "replSetReconfig": config }).await.expect("a valid configuration");
    deployment.wait_until_healthy().await.expect("a healthy set");
}

/// Makes a member the primary. It may have to catch up with its own journal first.
async fn elect(deployment: &Deployment, member: usize) {
    let uri = deployment.uri_of(member).expect("a member");
    let direct = Client::with_uri_str(uri).await.expect("a member that was just started");
    let began = Instant::now();
    while let Err(error) = direct.database("admin").run_command(doc! { "replSetStepUp": 1 }).await {
        assert!(began.elapsed() < PATIENCE, "member {member} is not elected: {error}");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(deployment.primary().await.expect("a primary"), member);
}
