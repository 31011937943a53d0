//! Many callers at once from one thread: all requests are written, one connection after the other, and then all
//! answers read. No runtime, no polling: on a small machine a cleverer client would take its time from the server.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::http::{self, Answer, Connection};

/// Callers with a connection each, opened and used before.
pub(super) struct Crowd {
    connections: Vec<Connection>,
}

impl Crowd {
    pub(super) fn gather(address: SocketAddr, callers: usize) -> anyhow::Result<Self> {
        let connections = (0..callers).map(|_| Connection::open(address)).collect::<anyhow::Result<_>>()?;
        let mut crowd = Self { connections };
        crowd.ask(&vec![http::get("/healthz"); callers])?;
        Ok(crowd)
    }

    /// Sends each request by a caller of its own. The time runs from the first byte written to the last one read.
    pub(super) fn ask(&mut self, requests: &[Vec<u8>]) -> anyhow::Result<(Vec<Answer>, Duration)> {
        ensure!(requests.len() <= self.connections.len(), "more requests than callers");
        let mut answers = Vec::with_capacity(requests.len());
        let start = Instant::now();
        for (connection, request) in self.connections.iter_mut().zip(requests) {
            connection.send(request)?;
        }
        for (connection, _) in self.connections.iter_mut().zip(requests) {
            answers.push(connection.answer()?);
        }
        Ok((answers, start.elapsed()))
    }
}
