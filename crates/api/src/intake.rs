//! Bodies on their way in: bounded in number and in bytes, all of them together.
//!
//! Who sends a head and no body must not keep others out. So at the bound it is not the newcomer who is refused but
//! the body that has been awaited longest that is given up: honest bodies come at once.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use axum::body::{Body, Bytes, HttpBody};

/// How much may have come of the bodies that are awaited, all together, if a single one may not be larger.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The bodies that are awaited.
pub(crate) struct Intake {
    max_bodies: usize,
    max_bytes: usize,
    awaited: Mutex<Awaited>,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntakeError {
    /// It has more bytes than it may have.
    TooLarge,
    /// The connection or the encoding broke.
    Broken,
    /// Others needed its place, and it had been awaited longest.
    GivenUp,
}

#[derive(Default)]
struct Awaited {
    /// In the order in which they began to be awaited.
    bodies: BTreeMap<u64, Entry>,
    next_number: u64,
    bytes: usize,
}

struct Entry {
    bytes: usize,
    waker: Waker,
}

impl Intake {
    /// Awaits `max_bodies` bodies at once, of up to `max_body_bytes` each.
    pub(crate) fn new(max_bodies: usize, max_body_bytes: usize) -> Self {
        Self { max_bodies, max_bytes: MAX_BYTES.max(max_body_bytes), awaited: Mutex::default() }
    }

    /// The whole of `body`, of `limit` bytes at most.
    pub(crate) async fn receive(&self, mut body: Body, limit: usize) -> Result<Bytes, IntakeError> {
        if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(IntakeError::TooLarge);
        }
        let mut arrival = Arrival { intake: self, number: None, has_waited: false };
        let mut received = Received::Nothing;
        loop {
            let frame = poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending if arrival.waits(received.len(), cx.waker()) => Poll::Pending,
                Poll::Pending => Poll::Ready(Err(IntakeError::GivenUp)),
            });
            let Some(frame) = frame.await? else {
                return Ok(received.into_bytes());
            };
            if let Ok(data) = frame.map_err(|_| IntakeError::Broken)?.into_data() {
                if data.len() > limit - received.len() {
                    return Err(IntakeError::TooLarge);
                }
                received.add(data);
            }
        }
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One body on its way.
struct Arrival<'a> {
    intake: &'a Intake,
    number: Option<u64>,
    has_waited: bool,
}

impl Arrival<'_> {
    /// Whether a body of which `bytes` have come may go on waiting.
    fn waits(&mut self, bytes: usize, waker: &Waker) -> bool {
        // hyper begins to read a body when it is first asked for it. What has come with its head is there at the
        // second look, which follows at once, so most bodies never get on the list.
        if !self.has_waited {
            self.has_waited = true;
            return true;
        }
        let mut guard = self.intake.awaited();
        let awaited = &mut *guard;
        let number = *self.number.get_or_insert_with(|| {
            let number = awaited.next_number;
            awaited.next_number += 1;
            awaited.bodies.insert(number, Entry { bytes: 0, waker: waker.clone() });
            number
        });
        let Some(entry) = awaited.bodies.get_mut(&number) else {
            return false;
        };
        entry.waker.clone_from(waker);
        awaited.bytes += bytes - entry.bytes;
        entry.bytes = bytes;
        while awaited.bodies.len() > self.intake.max_bodies || awaited.bytes > self.intake.max_bytes {
            let Some((_, longest)) = awaited.bodies.pop_first() else { break };
            awaited.bytes -= longest.bytes;
            longest.waker.wake();
        }
        awaited.bodies.contains_key(&number)
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut awaited = self.intake.awaited();
            if let Some(entry) = awaited.bodies.remove(&number) {
                awaited.bytes -= entry.bytes;
            }
        }
    }
}

/// What has come of a body. Most come in one piece, which need not be copied; several are, since each keeps the
/// whole buffer that it was read into.
enum Received {
    Nothing,
    Piece(Bytes),
    Pieces(Vec<u8>),
}

impl Received {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Piece(bytes) => bytes.len(),
            Self::Pieces(bytes) => bytes.len(),
        }
    }

    fn add(&mut self, data: Bytes) {
        match self {
            Self::Nothing => *self = Self::Piece(data),
            Self::Piece(first) => *self = Self::Pieces([&first[..], &data[..]].concat()),
            Self::Pieces(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::Piece(bytes) => bytes,
            Self::Pieces(bytes) => bytes.into(),
        }
    }
}
