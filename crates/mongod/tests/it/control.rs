//! Members are paused, killed, restarted and stepped down, and the set does what a set does.

use std::time::{Duration, Instant};

use mongodb::{
    Client, Collection,
    bson::{Document, doc},
    options::WriteConcern,
};
use onechat_mongod::{Deployment, Life, MongodError, Role, Setup};

const PATIENCE: Duration = Duration::from_mins(1);

fn notes(client: &Client) -> Collection<Document> {
    client.database("test").collection("notes")
}

/// A busy machine may hold elections that nobody asked for: what counts is that the member was a secondary once.
async fn wait_until_secondary(deployment: &Deployment, member: usize) {
    let start = Instant::now();
    while deployment.status().await.unwrap()[member].role != Some(Role::Secondary) {
        assert!(start.elapsed() < PATIENCE, "member {member} does not become a secondary");
    }
}

#[tokio::test]
async fn a_standalone_answers_and_keeps_what_it_has_through_a_kill_and_a_restart() {
    let start = Instant::now();
    let standalone = Deployment::standalone().await.unwrap();
    println!("standalone started in {:?}", start.elapsed());
    assert_eq!((standalone.members(), standalone.primary().await.unwrap()), (1, 0));
    let before = standalone.status().await.unwrap().remove(0);
    // A standalone acknowledges before the journal is on the disk, unless it is asked to wait.
    let journaled = WriteConcern::builder().journal(true).build();
    let insert = notes(standalone.client()).insert_one(doc! { "_id": 1 }).write_concern(journaled).await;
    insert.unwrap();

    standalone.kill(0).unwrap();
    assert_eq!(standalone.status().await.unwrap()[0].life, Life::Dead);
    let start = Instant::now();
    standalone.restart(0).await.unwrap();
    println!("restarted after a kill in {:?}", start.elapsed());
    assert_eq!(notes(standalone.client()).count_documents(doc! {}).await.unwrap(), 1);

    // And once more, with an orderly end.
    standalone.restart(0).await.unwrap();
    standalone.wait_until_healthy().await.unwrap();
    let client = Client::with_uri_str(standalone.uri("test")).await.unwrap();
    assert_eq!(client.default_database().unwrap().name(), "test");
    assert_eq!(notes(&client).count_documents(doc! {}).await.unwrap(), 1);
    let after = standalone.status().await.unwrap().remove(0);
    assert_eq!((after.port, after.life, after.role), (before.port, Life::Running, Some(Role::Standalone)));
    assert_ne!(after.pid, before.pid);
}

#[tokio::test]
async fn a_set_elects_another_primary_when_its_primary_is_killed() {
    let start = Instant::now();
    let set = Deployment::replica_set().await.unwrap();
    println!("replica set started in {:?}", start.elapsed());
    let first = set.primary().await.unwrap();
    notes(set.client()).insert_one(doc! { "_id": 1 }).await.unwrap();

    let start = Instant::now();
    set.kill(first).unwrap();
    let second = set.primary().await.unwrap();
    println!("failover after a kill in {:?}", start.elapsed());
    assert_ne!(second, first);
    notes(set.client()).insert_one(doc! { "_id": 2 }).await.unwrap();

    set.restart(first).await.unwrap();
    set.wait_until_healthy().await.unwrap();
    let again = Client::with_uri_str(set.uri_of(first).unwrap()).await.unwrap();
    assert_eq!(notes(&again).count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn a_set_elects_another_primary_when_its_primary_steps_down() {
    let set = Deployment::replica_set().await.unwrap();
    let first = set.primary().await.unwrap();
    let start = Instant::now();
    set.step_down().await.unwrap();
    assert_ne!(set.primary().await.unwrap(), first);
    println!("failover after a step-down in {:?}", start.elapsed());
    wait_until_secondary(&set, first).await;
    set.wait_until_healthy().await.unwrap();
}

#[tokio::test]
async fn a_set_elects_another_primary_when_its_primary_pauses_and_takes_it_back_as_a_secondary() {
    let set = Deployment::replica_set().await.unwrap();
    let first = set.primary().await.unwrap();
    let start = Instant::now();
    set.pause(first).unwrap();
    let second = set.primary().await.unwrap();
    println!("failover after a pause in {:?}", start.elapsed());
    assert_ne!(second, first);
    assert_eq!(set.status().await.unwrap()[first].life, Life::Paused);

    set.resume(first).unwrap();
    wait_until_secondary(&set, first).await;
    set.wait_until_healthy().await.unwrap();
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_says_why() {
    let standalone = Deployment::standalone().await.unwrap();
    let refusal = |result: Result<(), MongodError>| result.unwrap_err().to_string();
    assert_eq!(refusal(standalone.pause(7)), "there is no member 7, only 0 to 0");
    assert_eq!(refusal(standalone.resume(0)), "member 0 is running: it cannot resume");
    standalone.pause(0).unwrap();
    assert_eq!(refusal(standalone.pause(0)), "member 0 is paused: it cannot pause");
    assert_eq!(
        refusal(standalone.wait_until_healthy().await),
        "member 0 is Paused: this will not become healthy"
    );
    standalone.kill(0).unwrap();
    assert_eq!(refusal(standalone.kill(0)), "member 0 is dead already");
    assert_eq!(refusal(standalone.step_down().await), "there is nobody to take over from the only member");
}

#[tokio::test]
async fn parameters_reach_the_members_and_a_wrong_one_shows_the_log() {
    let setup = Setup::standalone().parameter("enableTestCommands", "1");
    let standalone = setup.start().await.unwrap();
    let command = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    standalone.client().database("admin").run_command(command).await.unwrap();

    let error = Setup::standalone().parameter("noSuchParameter", "1").start().await.err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, MongodError::Ended { member: 0, .. }), "{text}");
    assert!(text.contains("noSuchParameter"), "{text}");
}
