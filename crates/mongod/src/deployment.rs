//! A standalone or a replica set that runs, and what can be done to its members.
//!
//! Everything is polled with one deadline and never slept for: a busy machine makes it slow, not wrong.

use std::path::Path;

use mongodb::{
    Client,
    bson::{Bson, Document, doc},
};
use tokio::{
    task::spawn_blocking,
    time::{Duration, Instant, sleep},
};

use crate::{
    Mongod, MongodError, Setup,
    ask::{Line, Role, View},
    folder::Folder,
    member::{DEADLINE, Life, Member, POLL},
};

const SET_NAME: &str = "onechat";
/// How often another port is tried. Each is leased, so only strangers can be in the way.
const PORTS: usize = 20;
/// The name and the password of the user who may do everything, where anybody is asked.
const ROOT: &str = "root";
/// For commands that wait for other members.
const PATIENCE: Duration = Duration::from_secs(20);

/// A MongoDB of one's own on loopback. Dropping stops it and removes its data; so does the end of the process.
pub struct Deployment {
    client: Client,
    setup: Setup,
    mongod: Mongod,
    // Before the folder: what is dropped first must not write any more.
    members: Vec<Member>,
    folder: Folder,
}

/// How a member does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its index, by which it is paused, killed and so on.
    pub index: usize,
    /// The port on 127.0.0.1 on which it listens, or listened.
    pub port: u16,
    /// Its process, if it has one.
    pub pid: Option<u32>,
    /// Whether that runs.
    pub life: Life,
    /// What it says it is, if it answers.
    pub role: Option<Role>,
}

impl Deployment {
    /// Starts one `mongod` by itself.
    pub async fn standalone() -> Result<Self, MongodError> {
        Self::start(Setup::standalone()).await
    }

    /// Starts a replica set of three, and waits until it has a primary and two secondaries.
    pub async fn replica_set() -> Result<Self, MongodError> {
        Self::start(Setup::replica_set()).await
    }

    pub(crate) async fn start(setup: Setup) -> Result<Self, MongodError> {
        if setup.members == 0 || (!setup.replicated && setup.members > 1) {
            let reason = format!("{} members make no deployment of this kind", setup.members);
            return Err(MongodError::Refused(reason));
        }
        if setup.protected && setup.replicated {
            return Err(MongodError::Refused("a replica set cannot be protected here".to_owned()));
        }
        let mongod = spawn_blocking(Mongod::find).await;
        let mongod = mongod
            .map_err(|error| MongodError::Refused(format!("the search for mongod failed: {error}")))??;
        let folder = Folder::new()?;
        let members = launch(&setup, &mongod, &folder).await?;
        let uri = uri(&setup, &members, "");
        let client = Client::with_uri_str(uri).await.map_err(|error| MongodError::Command {
            what: "the driver cannot be set up",
            reason: error.to_string(),
        })?;
        let deployment = Self { client, setup, mongod, members, folder };
        if deployment.setup.replicated {
            deployment.initiate().await?;
        }
        deployment.wait_until_healthy().await?;
        if deployment.setup.protected {
            deployment.create_root().await?;
        }
        Ok(deployment)
    }

    /// As long as there is no user, anybody on this machine may make the first one.
    async fn create_root(&self) -> Result<(), MongodError> {
        let user = doc! { "createUser": ROOT, "pwd": ROOT, "roles": ["root"] };
        Line::to(self.member(0)?.port())?.run("createUser failed", user, PATIENCE).await?;
        Ok(())
    }

    /// The connection string for the user who may do everything, on a protected deployment.
    pub fn uri_of_root(&self, database: &str) -> String {
        let uri = self.uri(database);
        format!("{}?authSource=admin", uri.replacen("://", &format!("://{ROOT}:{ROOT}@"), 1))
    }

    /// The connection string for a database; an empty name leaves the choice to the client.
    pub fn uri(&self, database: &str) -> String {
        uri(&self.setup, &self.members, database)
    }

    /// The connection string of one member, whatever it is to the others.
    pub fn uri_of(&self, member: usize) -> Result<String, MongodError> {
        Ok(format!("mongodb://{}/?directConnection=true", self.member(member)?.address()))
    }

    /// How many members there are, dead ones included.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// A client of the whole deployment. It belongs to the runtime in which the deployment was started: for a shared
    /// one, tests connect clients of their own.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client of one's own, which belongs to the runtime of the caller.
    pub async fn connect(&self) -> Result<Client, MongodError> {
        let client = Client::with_uri_str(self.uri("")).await;
        client.map_err(|error| MongodError::Command {
            what: "the driver cannot be set up",
            reason: error.to_string(),
        })
    }

    /// The program that its members run.
    pub fn mongod(&self) -> &Mongod {
        &self.mongod
    }

    /// Where its data and its logs are. Gone when it is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the process of a member where it is (SIGSTOP): to the others, it does not answer any more.
    pub fn pause(&self, member: usize) -> Result<(), MongodError> {
        self.member(member)?.pause()
    }

    /// Lets a paused member go on (SIGCONT).
    pub fn resume(&self, member: usize) -> Result<(), MongodError> {
        self.member(member)?.resume()
    }

    /// Kills a member (SIGKILL), paused or not. Returns when its process is gone. Its data stay,
    /// but for writes of the last tenth of a second that were acknowledged before they were in the journal: those of
    /// a standalone, unless it was asked to wait (`j: true`).
    pub fn kill(&self, member: usize) -> Result<(), MongodError> {
        self.member(member)?.kill()
    }

    /// Starts a member again on its port and data, after an orderly end if it runs. Returns when it answers; it may
    /// still be catching up with the others ([`Deployment::wait_until_healthy`]).
    pub async fn restart(&self, member: usize) -> Result<(), MongodError> {
        let member = self.member(member)?;
        member.shut_down().await;
        let start = Instant::now();
        loop {
            member.launch()?;
            if member.is_up().await? {
                return Ok(());
            }
            // Its port is leased, but a stranger may be on it for a moment.
            if start.elapsed() > DEADLINE {
                return Err(self.late("the port of a killed member is not free", String::new()));
            }
            sleep(POLL).await;
        }
    }

    /// The member that takes writes and that most members take for the primary; waits until there is one. Of a
    /// standalone, its only member.
    pub async fn primary(&self) -> Result<usize, MongodError> {
        let start = Instant::now();
        let lines = self.lines()?;
        loop {
            let views = self.views(&lines).await;
            if let Some(primary) = self.primary_in(&views) {
                return Ok(primary);
            }
            if start.elapsed() > DEADLINE {
                return Err(self.late("there is no primary", format!("{views:?}")));
            }
            sleep(POLL).await;
        }
    }

    /// Makes the primary step down, and keeps it from being elected for ten seconds. Returns when it takes no more
    /// writes; [`Deployment::primary`] waits for the next one.
    pub async fn step_down(&self) -> Result<(), MongodError> {
        if self.members() == 1 {
            return Err(MongodError::Refused("there is nobody to take over from the only member".to_owned()));
        }
        let start = Instant::now();
        loop {
            let primary = self.primary().await?;
            let line = Line::to(self.members[primary].port())?;
            // Fails if the others are too far behind, or if there was an election just now.
            let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 8 };
            let Err(error) = line.run("replSetStepDown failed", command, PATIENCE).await else {
                return Ok(());
            };
            // The answer may be lost with the connection: what counts is what it is now.
            if line.view().await.is_ok_and(|view| view.role != Role::Primary) {
                return Ok(());
            }
            if start.elapsed() > DEADLINE {
                return Err(self.late("the primary does not step down", error.to_string()));
            }
            sleep(POLL).await;
        }
    }

    /// Waits until every member is primary or secondary, all agree on the primary, and all have what it has written.
    /// Fails at once if a member is paused or dead: it would have to be resumed or restarted first.
    pub async fn wait_until_healthy(&self) -> Result<(), MongodError> {
        let start = Instant::now();
        let lines = self.lines()?;
        loop {
            for (index, member) in self.members.iter().enumerate() {
                if let Some((_, status)) = member.ended() {
                    return Err(MongodError::Ended { member: index, status, log: member.log() });
                }
                if member.life() != Life::Running {
                    let reason =
                        format!("member {index} is {:?}: this will not become healthy", member.life());
                    return Err(MongodError::Refused(reason));
                }
            }
            let views = self.views(&lines).await;
            let last = match self.primary_in(&views).filter(|_| agree(&views)) {
                None => format!("{views:?}"),
                Some(_) if !self.setup.replicated => return Ok(()),
                Some(primary) => match self.write_to_all(&lines[primary]).await {
                    Ok(()) => return Ok(()),
                    Err(reason) => reason,
                },
            };
            if start.elapsed() > DEADLINE {
                return Err(self.late("the deployment is not healthy", last));
            }
            sleep(POLL).await;
        }
    }

    /// Waits until there is a primary whose writes reach a majority, whatever becomes of the other members.
    pub async fn wait_until_writable(&self) -> Result<(), MongodError> {
        let start = Instant::now();
        loop {
            let primary = self.primary().await?;
            let line = Line::to(self.members[primary].port())?;
            let Err(reason) = Self::write_note(&line, Bson::from("majority"), 500).await else {
                return Ok(());
            };
            if start.elapsed() > DEADLINE {
                return Err(self.late("the primary is alone", reason));
            }
            sleep(POLL).await;
        }
    }

    /// How each member does, now.
    pub async fn status(&self) -> Result<Vec<MemberStatus>, MongodError> {
        let views = self.views(&self.lines()?).await;
        let members = self.members.iter().zip(views).enumerate();
        let status = members.map(|(index, (member, view))| MemberStatus {
            index,
            port: member.port(),
            pid: member.pid(),
            life: member.life(),
            role: view.map(|view| view.role),
        });
        Ok(status.collect())
    }

    fn member(&self, index: usize) -> Result<&Member, MongodError> {
        let last = self.members() - 1;
        let missing = || MongodError::Refused(format!("there is no member {index}, only 0 to {last}"));
        self.members.get(index).ok_or_else(missing)
    }

    async fn initiate(&self) -> Result<(), MongodError> {
        let members = self.members.iter().zip(0_i32..);
        let members: Vec<Document> =
            members.map(|(member, id)| doc! { "_id": id, "host": member.address() }).collect();
        let settings = doc! {
            "electionTimeoutMillis": 2_000,
            "heartbeatIntervalMillis": 500,
            "heartbeatTimeoutSecs": 2,
            // A new primary does not wait longer for what a member has that is paused or dead. This can lose writes
            // that no majority has, and no others.
            "catchUpTimeoutMillis": 2_000,
        };
        let config = doc! { "_id": SET_NAME, "members": members, "settings": settings };
        let line = Line::to(self.members[0].port())?;
        line.run("replSetInitiate failed", doc! { "replSetInitiate": config }, DEADLINE).await?;
        Ok(())
    }

    fn lines(&self) -> Result<Vec<Line>, MongodError> {
        self.members.iter().map(|member| Line::to(member.port())).collect()
    }

    /// What the members say that run; `None` for those that do not answer.
    async fn views(&self, lines: &[Line]) -> Vec<Option<View>> {
        let mut views = Vec::new();
        for (member, line) in self.members.iter().zip(lines) {
            let running = member.life() == Life::Running;
            views.push(if running { line.view().await.ok() } else { None });
        }
        views
    }

    /// One that was paused while others elected may believe in itself for a while. Most members know better.
    fn primary_in(&self, views: &[Option<View>]) -> Option<usize> {
        let views: Vec<(usize, &View)> =
            views.iter().enumerate().filter_map(|(index, view)| Some((index, view.as_ref()?))).collect();
        let elected = |(index, view): &&(usize, &View)| {
            let address = self.members[*index].address();
            let followers = views.iter().filter(|(_, one)| one.primary.as_ref() == Some(&address)).count();
            view.role == Role::Primary && followers > self.members() / 2
        };
        let standalone = |(_, view): &&(usize, &View)| view.role == Role::Standalone;
        let found =
            if self.setup.replicated { views.iter().find(elected) } else { views.iter().find(standalone) };
        found.map(|(index, _)| *index)
    }

    async fn write_to_all(&self, primary: &Line) -> Result<(), String> {
        let members = i32::try_from(self.members()).unwrap_or(i32::MAX);
        Self::write_note(primary, Bson::from(members), 10_000).await
    }

    /// Writes nothing that anybody sees, and waits until so many have it.
    async fn write_note(primary: &Line, members: Bson, wait_ms: i32) -> Result<(), String> {
        let command = doc! {
            "appendOplogNote": 1,
            "data": { "onechat": "healthy?" },
            "writeConcern": { "w": members, "wtimeout": wait_ms },
        };
        let answer = primary.run("appendOplogNote failed", command, PATIENCE).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.get("writeConcernError") {
            None => Ok(()),
            Some(error) => Err(format!("not enough members have caught up: {error}")),
        }
    }

    fn late(&self, what: &'static str, last: String) -> MongodError {
        let logs = self.members.iter().enumerate();
        let logs: Vec<String> =
            logs.map(|(index, member)| format!("member {index}:\n{}", member.log())).collect();
        MongodError::Late { what, after: DEADLINE, last, log: logs.join("\n") }
    }
}

/// Starts all members at once, and waits for each.
async fn launch(setup: &Setup, mongod: &Mongod, folder: &Folder) -> Result<Vec<Member>, MongodError> {
    let mut arguments = setup.arguments.clone();
    if setup.replicated {
        arguments.extend(["--replSet".to_owned(), SET_NAME.to_owned()]);
    }
    let members = (0..setup.members).map(|index| {
        let member = Member::new(mongod, index, folder.path(), &arguments)?;
        member.launch()?;
        Ok(member)
    });
    let mut members = members.collect::<Result<Vec<Member>, MongodError>>()?;
    for member in &mut members {
        let mut tries = 1;
        while !member.is_up().await? {
            if tries == PORTS {
                return Err(MongodError::Refused(format!(
                    "{tries} ports were tried; on none could mongod listen"
                )));
            }
            tries += 1;
            member.take_another_port()?;
            member.launch()?;
        }
    }
    Ok(members)
}

/// Whether every member is ready and takes the same one for the primary.
fn agree(views: &[Option<View>]) -> bool {
    let ready = |view: &View| matches!(view.role, Role::Standalone | Role::Primary | Role::Secondary);
    let first = views.first().and_then(|view| view.as_ref()?.primary.clone());
    let same = |view: &View| view.primary == first;
    views.iter().all(|view| view.as_ref().is_some_and(|view| ready(view) && same(view)))
}

fn uri(setup: &Setup, members: &[Member], database: &str) -> String {
    let addresses: Vec<String> = members.iter().map(Member::address).collect();
    let options = if setup.replicated { format!("?replicaSet={SET_NAME}") } else { String::new() };
    format!("mongodb://{}/{database}{options}", addresses.join(","))
}
