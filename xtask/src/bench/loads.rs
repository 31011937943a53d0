//! One load on one server: warmed up, measured, and checked against the server's own count of what it did.

use std::cell::Cell;

use anyhow::ensure;

use super::{
    servers::{Outcomes, Server},
    wrk::{CONNECTIONS, Load, Measurement, Order, Wrk},
};

/// Before each measurement, so that none of them begins with cold caches or a sleeping processor.
pub(super) const WARM_UP_S: u64 = 1;

/// Makes loads, and sees to it that no two loads of new chats ask for the same pair.
pub(super) struct Loads<'a> {
    wrk: &'a Wrk,
    seconds: u64,
    tags_used: Cell<u32>,
}

impl<'a> Loads<'a> {
    pub(super) fn new(wrk: &'a Wrk, seconds: u64) -> Self {
        Self { wrk, seconds, tags_used: Cell::new(0) }
    }

    pub(super) fn token(&self) -> &str {
        self.wrk.token()
    }

    /// A load of pairs that nobody has asked for.
    pub(super) fn new_chats(&self, order: Order) -> Load {
        let number = self.tags_used.get();
        self.tags_used.set(number + 1);
        Load::New { tag: format!("{number:04}"), order }
    }

    /// Measures a load after a warm-up by another load of the same kind.
    pub(super) fn measure(&self, server: &Server, load: impl Fn() -> Load) -> anyhow::Result<Measurement> {
        self.measure_with(server, CONNECTIONS, load)
    }

    /// The same, with another number of connections.
    pub(super) fn measure_with(
        &self,
        server: &Server,
        connections: u32,
        load: impl Fn() -> Load,
    ) -> anyhow::Result<Measurement> {
        self.wrk.load(server, &load(), connections, WARM_UP_S)?;
        let before = server.has_store().then(|| server.outcomes()).transpose()?;
        let load = load();
        let measured = self.wrk.load(server, &load, connections, self.seconds)?;
        // A slow server may answer nothing within the warm-up, when all connections begin at once; but then it has to.
        ensure!(measured.requests > 0, "nothing was answered within {} s", self.seconds);
        if let Some(before) = before {
            check(&load, &measured, server.outcomes()?.since(before))?;
        }
        eprintln!("  {:.0} requests/s", measured.requests_per_s);
        Ok(measured)
    }
}

/// What was called new was created, and what was called existing was there.
fn check(load: &Load, measured: &Measurement, outcomes: Outcomes) -> anyhow::Result<()> {
    let requests = measured.requests;
    let is_as_claimed = match load {
        Load::Hits { .. } | Load::Spread { .. } => outcomes.existing >= requests && outcomes.created == 0,
        Load::New { .. } => outcomes.created >= requests && outcomes.existing == 0,
    };
    ensure!(
        is_as_claimed && outcomes.lost_race == 0,
        "{requests} requests were answered, but what the server found is not what they should find: {outcomes:?}"
    );
    Ok(())
}
