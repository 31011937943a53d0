//! What to start.

use crate::{Deployment, MongodError};

/// A deployment that is not started yet. Most tests want [`Deployment::standalone`] or [`Deployment::replica_set`].
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) members: usize,
    pub(crate) replicated: bool,
    pub(crate) protected: bool,
    pub(crate) arguments: Vec<String>,
}

impl Setup {
    /// One `mongod` by itself.
    pub fn standalone() -> Self {
        Self { members: 1, replicated: false, protected: false, arguments: Vec::new() }
    }

    /// A replica set of three.
    pub fn replica_set() -> Self {
        Self { members: 3, replicated: true, protected: false, arguments: Vec::new() }
    }

    /// Another number of members. A replica set can have one; a standalone has no more.
    #[must_use]
    pub fn members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    /// Asks everybody for a name and a password: see [`Deployment::uri_of_root`]. A standalone only, since the members
    /// of a set would need a key to know each other by.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.protected = true;
        self.argument("--auth")
    }

    /// Sets a server parameter at the start of each member, as `--setParameter name=value` does.
    #[must_use]
    pub fn parameter(self, name: &str, value: &str) -> Self {
        self.argument("--setParameter").argument(&format!("{name}={value}"))
    }

    /// Passes an argument to each `mongod`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it; returns when it is healthy.
    pub async fn start(self) -> Result<Deployment, MongodError> {
        Deployment::start(self).await
    }
}
