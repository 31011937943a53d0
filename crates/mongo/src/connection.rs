//! The connection: what the connection string says, and what no connection string may weaken.

use std::time::Duration;

use mongodb::{
    Client, Database,
    bson::doc,
    error::ErrorKind,
    event::{EventHandler, cmap::CmapEvent},
    options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};

use onechat_core::StoreError;

use crate::{
    OpenError,
    clients::close_at_the_end,
    error::reason,
    metrics::Pool,
    unreachable::{Heard, Named},
};

/// How long a connection may take to be made. The driver's own ten seconds are longer than a request has.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a member may take to say that nothing has changed. The driver's own: ten seconds.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// One that a server was reached over.
pub(crate) struct Connection {
    pub(crate) database: Database,
    /// Whether there can be a second primary that does not know yet that it is none.
    pub(crate) is_replicated: bool,
}

impl Connection {
    /// Connects, and sees that a primary answers.
    pub(crate) async fn open(url: &str, deadline: Duration, pool: Pool) -> Result<Self, OpenError> {
        let mut options =
            ClientOptions::parse(url).await.map_err(|error| match &*error.kind {
                ErrorKind::DnsResolve { message, .. } => OpenError::Unavailable(format!(
                    "the SRV record of the connection string cannot be looked up: {message}; check the name and the DNS"
                )),
                _ => OpenError::ConnectionString(reason(&error)),
            })?;
        let name = options
            .default_database
            .clone()
            .ok_or_else(|| OpenError::NoDatabase { write: with_database(url) })?;
        strengthen(&mut options);
        options.app_name.get_or_insert_with(|| "onechat".to_owned());
        options.server_selection_timeout.get_or_insert(deadline);
        // The driver gives up on a member that hangs after the sum of these, and meanwhile may go on asking it.
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        options.cmap_event_handler = Some(EventHandler::callback(move |event| count(&pool, &event)));
        let (heard, named) = (Heard::default(), Named::of(&options, deadline));
        heard.listen(&mut options);
        let client =
            Client::with_options(options).map_err(|error| OpenError::ConnectionString(reason(&error)))?;
        close_at_the_end(&client);
        let database = client.database(&name);
        let hello = database.run_command(doc! { "hello": 1 }).selection_criteria(primary()).await;
        let hello = match hello {
            Ok(hello) => hello,
            Err(error) => return Err(OpenError::Unavailable(heard.explain(&error, &named).await)),
        };
        let is_replicated =
            hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        Ok(Self { database, is_replicated })
    }
}

/// Options whose values are no secrets, and may be shown.
const SHOWN_OPTIONS: &[&str] = &["replicaset", "directconnection", "authsource", "tls", "ssl"];

/// What to write instead of a connection string that names no database; without its user and its secrets.
fn with_database(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("mongodb", url));
    let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, hosts) =
        address.rsplit_once('@').map_or(("", address), |(_, hosts)| ("USER:PASSWORD@", hosts));
    let hosts = hosts.trim_end_matches('/');
    let options: Vec<String> =
        options.split('&').filter(|option| !option.is_empty()).map(shown_option).collect();
    let question = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{hosts}/chat{question}{}", options.join("&"))
}

fn shown_option(option: &str) -> String {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = if SHOWN_OPTIONS.contains(&name.to_ascii_lowercase().as_str()) { value } else { "…" };
    format!("{name}={value}")
}

/// Drops the database that the connection string names, with everything in it: one that was made for a trial.
pub async fn drop_database(url: &str) -> Result<(), StoreError> {
    let unavailable = |error: &dyn ToString| StoreError::Unavailable(error.to_string());
    let connection = Connection::open(url, TRIAL_DEADLINE, Pool::default()).await;
    let database = connection.map_err(|error| unavailable(&error))?.database;
    database.drop().await.map_err(|error| unavailable(&reason(&error)))
}

/// How long a server is looked for that has just been there.
const TRIAL_DEADLINE: Duration = Duration::from_secs(8);

/// Weaker concerns would hand out chats that a failover takes back (I7).
fn strengthen(options: &mut ClientOptions) {
    if options.read_concern.as_ref().is_some_and(|concern| *concern != ReadConcern::majority())
        || options.write_concern.as_ref().is_some_and(|concern| concern.w != Some(Acknowledgment::Majority))
        || options.selection_criteria.as_ref().is_some_and(|criteria| *criteria != primary())
    {
        tracing::warn!(
            event = "concerns_ignored",
            "the read concern, write concern or read preference of the connection string is not used: \
             it is always majority, on the primary"
        );
    }
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(majority());
    options.selection_criteria = Some(primary());
}

fn majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

fn count(pool: &Pool, event: &CmapEvent) {
    match event {
        CmapEvent::ConnectionCreated(_) => {
            pool.open.inc();
        }
        CmapEvent::ConnectionClosed(_) => {
            pool.open.dec();
        }
        CmapEvent::ConnectionCheckedOut(_) => {
            pool.in_use.inc();
        }
        CmapEvent::ConnectionCheckedIn(_) => {
            pool.in_use.dec();
        }
        CmapEvent::PoolCleared(_) => {
            pool.cleared.inc();
        }
        CmapEvent::ConnectionCheckoutFailed(_) => {
            pool.checkout_failures.inc();
        }
        _ => {}
    }
}
