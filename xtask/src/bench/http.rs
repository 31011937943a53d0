//! As much of an HTTP client as a measurement needs. What it sends is made beforehand and what it gets is read
//! afterwards, so that its own cost stays out of the time that is taken.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, ensure};

const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST_READ: usize = 16 * 1024;

/// A connection that is kept alive, with at most one request on its way.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    buffer: Box<[u8]>,
}

/// A complete answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).context("the server cannot be connected to")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let buffer = vec![0; LARGEST_READ].into_boxed_slice();
        Ok(Self { stream, received: Vec::with_capacity(LARGEST_READ), buffer })
    }

    pub(super) fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).context("a request cannot be sent")
    }

    /// Waits until the answer is there to its last byte.
    pub(super) fn answer(&mut self) -> anyhow::Result<Answer> {
        loop {
            if let Some(answer) = self.take_answer()? {
                return Ok(answer);
            }
            let count = self.stream.read(&mut self.buffer).context("no answer came")?;
            ensure!(count > 0, "the server closed the connection");
            self.received.extend_from_slice(&self.buffer[..count]);
        }
    }

    fn take_answer(&mut self) -> anyhow::Result<Option<Answer>> {
        let Some(head_end) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head =
            std::str::from_utf8(&self.received[..head_end]).context("the answer's head is not text")?;
        let status =
            head.get(9..12).and_then(|digits| digits.parse().ok()).context("no status in an answer")?;
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.parse().ok())
            .context("an answer does not say how long it is")?;
        let body_start = head_end + 4;
        if self.received.len() < body_start + length {
            return Ok(None);
        }
        let body = self.received[body_start..body_start + length].to_vec();
        self.received.drain(..body_start + length);
        Ok(Some(Answer { status, body }))
    }
}

/// The bytes of a request without a token and a body.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The bytes of a request with a token.
pub(super) fn get_as(token: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// The bytes of a create-or-get.
pub(super) fn create_or_get(token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /api/chats/create-or-get HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
