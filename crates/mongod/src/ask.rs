//! Questions to one member, past the driver's view of the set: each over a connection of its own to that member only.

use std::time::Duration;

use mongodb::{
    Client,
    bson::{Document, doc},
    options::{ClientOptions, ServerAddress},
};
use tokio::time::timeout;

use crate::MongodError;

/// A member that is alive answers within this, on a machine that is busy; one that is not must not hold up the rest.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a member is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It belongs to no set.
    Standalone,
    /// It takes writes, or believes so.
    Primary,
    /// It follows the primary.
    Secondary,
    /// It is on its way to one of the others.
    Other,
}

/// What a member thinks of the set.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) role: Role,
    /// The primary, as host and port.
    pub(crate) primary: Option<String>,
}

/// A line to one member.
pub(crate) struct Line {
    client: Client,
}

impl Line {
    /// Must be used within the runtime in which it was made.
    pub(crate) fn to(port: u16) -> Result<Self, MongodError> {
        let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) };
        let options = ClientOptions::builder()
            .hosts(vec![address])
            .direct_connection(true)
            .connect_timeout(PATIENCE)
            .server_selection_timeout(PATIENCE)
            .build();
        let client = Client::with_options(options);
        let client = client.map_err(|error| refused("the driver cannot be set up", &error))?;
        Ok(Self { client })
    }

    pub(crate) async fn run(
        &self,
        what: &'static str,
        command: Document,
        patience: Duration,
    ) -> Result<Document, MongodError> {
        let database = self.client.database("admin");
        match timeout(patience, database.run_command(command)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(refused(what, &error)),
            Err(_) => Err(MongodError::Command { what, reason: "no answer".to_owned() }),
        }
    }

    /// The process that answers; nothing if it tells strangers nothing.
    pub(crate) async fn pid(&self) -> Result<Option<u32>, MongodError> {
        let command = doc! { "serverStatus": 1, "metrics": 0, "wiredTiger": 0, "repl": 0 };
        let database = self.client.database("admin");
        let answer = match timeout(PATIENCE, database.run_command(command)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if is_unauthorized(&error) => return Ok(None),
            Ok(Err(error)) => return Err(refused("serverStatus failed", &error)),
            Err(_) => {
                return Err(MongodError::Command {
                    what: "serverStatus failed",
                    reason: "no answer".to_owned(),
                });
            }
        };
        let pid = answer.get_i64("pid").ok().and_then(|pid| u32::try_from(pid).ok());
        let silent = MongodError::Command { what: "serverStatus", reason: "it tells no pid".to_owned() };
        pid.map(Some).ok_or(silent)
    }

    pub(crate) async fn view(&self) -> Result<View, MongodError> {
        let answer = self.run("hello failed", doc! { "hello": 1 }, PATIENCE).await?;
        let is = |name: &str| answer.get_bool(name).unwrap_or(false);
        let role = match (answer.contains_key("setName"), is("isWritablePrimary"), is("secondary")) {
            (true, true, _) => Role::Primary,
            (true, false, true) => Role::Secondary,
            (false, true, _) => Role::Standalone,
            _ => Role::Other,
        };
        Ok(View { role, primary: answer.get_str("primary").ok().map(str::to_owned) })
    }
}

/// By the server's code.
fn is_unauthorized(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, mongodb::error::ErrorKind::Command(error) if error.code == 13)
}

fn refused(what: &'static str, error: &mongodb::error::Error) -> MongodError {
    MongodError::Command { what, reason: error.to_string() }
}
