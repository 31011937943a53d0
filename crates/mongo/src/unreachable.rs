//! Why no primary was found: what each server did, and what to check. The driver's own words are a dump of its
//! state, in which a reader has to look for the one line that matters.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mongodb::{
    bson::Document,
    error::{Error, ErrorKind},
    event::{EventHandler, sdam::SdamEvent},
    options::{ClientOptions, ServerAddress},
};

use crate::error::reason;

/// The last that was heard of each server, by its address. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<BTreeMap<String, Answer>>>);

enum Answer {
    Failed(Error),
    /// The name of its replica set, if it is in one.
    Replied(Option<String>),
}

impl Heard {
    /// Listens from now on to what the servers answer to the driver's heartbeats.
    pub(crate) fn listen(&self, options: &mut ClientOptions) {
        let heard = self.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event| match event {
            SdamEvent::ServerHeartbeatFailed(failed) => {
                heard.note(&failed.server_address, Answer::Failed(failed.failure));
            }
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                heard.note(&event.server_address, Answer::Replied(set_name(&event.reply)));
            }
            _ => {}
        }));
    }

    fn note(&self, server: &ServerAddress, answer: Answer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_string(), answer);
    }

    /// What `error` means for the operator: which server, what failed, what to check. Never a password.
    pub(crate) async fn explain(&self, error: &Error, options: &Named) -> String {
        match &*error.kind {
            ErrorKind::ServerSelection { .. } => self.no_primary(options).await,
            ErrorKind::Authentication { .. } => format!(
                "{} refuses to let us in: {}; check the user, the password (with @, / and : percent-encoded) and \
                 authSource, the database that knows the user",
                options.hosts.join(", "),
                reason(error)
            ),
            _ => format!("{}: {}", options.hosts.join(", "), reason(error)),
        }
    }

    async fn no_primary(&self, options: &Named) -> String {
        let mut servers = Vec::new();
        let mut checks = Vec::new();
        // Those of the connection string: the driver forgets a server that turns out to be of another set.
        for host in &options.hosts {
            let (what, check) = self.one(host, options).await;
            servers.push(format!("{host}: {what}"));
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        format!(
            "no primary was found within {:?}; {}. What to check: {}",
            options.patience,
            servers.join("; "),
            checks.join("; ")
        )
    }

    async fn one(&self, host: &str, options: &Named) -> (String, &'static str) {
        if is_unknown(host).await {
            return (
                "there is no host of this name".to_owned(),
                "the name of the host in the connection string",
            );
        }
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            None => ("no answer".to_owned(), OF_SILENCE),
            Some(Answer::Failed(error)) => of_failure(error),
            Some(Answer::Replied(set)) => of_reply(set.as_deref(), options.replica_set.as_deref()),
        }
    }
}

/// What the connection string names.
pub(crate) struct Named {
    hosts: Vec<String>,
    replica_set: Option<String>,
    patience: Duration,
}

impl Named {
    pub(crate) fn of(options: &ClientOptions, patience: Duration) -> Self {
        let hosts = options.hosts.iter().map(ToString::to_string).collect();
        let patience = options.server_selection_timeout.unwrap_or(patience);
        Self { hosts, replica_set: options.repl_set_name.clone(), patience }
    }
}

const OF_SILENCE: &str = "that the host is up, and that no firewall is in between";

fn of_failure(error: &Error) -> (String, &'static str) {
    let ErrorKind::Io(io) = &*error.kind else { return (reason(error), "the server's own log") };
    let check = match io.kind() {
        io::ErrorKind::ConnectionRefused => {
            "that mongod runs there and listens on this address (net.bindIp), and that host and port are right"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            OF_SILENCE
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "whether the server wants TLS (tls=true in the connection string), or does not"
        }
        io::ErrorKind::InvalidData => "tlsCAFile, and the names in the server's certificate",
        _ => "the server's own log",
    };
    (io.to_string(), check)
}

fn of_reply(found: Option<&str>, named: Option<&str>) -> (String, &'static str) {
    match (found, named) {
        (None, Some(named)) => (
            format!("answers, and is in no replica set, not in {named}"),
            "replicaSet in the connection string; a standalone server needs it left out",
        ),
        (Some(found), Some(named)) if found != named => (
            format!("answers, and is in the replica set {found}, not in {named}"),
            "replicaSet in the connection string",
        ),
        _ => (
            "answers, and is no primary".to_owned(),
            "rs.status(): without a majority of its members a set has no primary; an election takes some seconds",
        ),
    }
}

async fn is_unknown(host: &str) -> bool {
    // The driver looks names up by itself, and does not say that this is what failed but in words.
    tokio::net::lookup_host(host).await.is_err()
}

fn set_name(reply: &Document) -> Option<String> {
    reply.get_str("setName").ok().map(str::to_owned)
}
