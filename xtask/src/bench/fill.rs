//! Fills a store through its own service, as its users would.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::{
    crowd::Crowd,
    http::{self, Answer},
    pairs::{self, FILLED},
    servers::Server,
};

/// Two, so that the server has work while one of them reads its answers.
const CROWDS: u64 = 2;
const CALLERS: usize = 128;
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
const CREATED: u16 = 201;

/// Creates the chats of the pairs 0 to `chats`, and checks that each was new.
pub(super) fn fill(server: &Server, token: &str, chats: u64) -> anyhow::Result<()> {
    let done = &AtomicU64::new(0);
    thread::scope(|scope| {
        let crowds: Vec<_> = (0..CROWDS)
            .map(|crowd| {
                scope.spawn(move || {
                    let request = |number| http::create_or_get(token, &pairs::body(number, FILLED));
                    create(server, share(chats, crowd).map(request), |_| {
                        done.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    })
                })
            })
            .collect();
        show_progress(done, chats, || crowds.iter().all(thread::ScopedJoinHandle::is_finished));
        for crowd in crowds {
            crowd.join().map_err(|_| anyhow::anyhow!("filling the store has failed"))??;
        }
        Ok(())
    })
}

/// The numbers that one crowd creates.
fn share(chats: u64, crowd: u64) -> std::ops::Range<u64> {
    chats * crowd / CROWDS..chats * (crowd + 1) / CROWDS
}

/// Sends the requests, each of which has to create a chat, and shows every answer to `created`.
pub(super) fn create(
    server: &Server,
    mut requests: impl Iterator<Item = Vec<u8>>,
    mut created: impl FnMut(&Answer) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut crowd = Crowd::gather(server.address(), CALLERS)?;
    loop {
        let batch: Vec<_> = requests.by_ref().take(CALLERS).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let (answers, _) = crowd.ask(&batch).context("the store cannot be filled")?;
        for answer in &answers {
            ensure!(answer.status == CREATED, "a chat that should be new was answered {}", answer.status);
            created(answer)?;
        }
    }
}

fn show_progress(done: &AtomicU64, chats: u64, is_finished: impl Fn() -> bool) {
    let mut shown = Instant::now();
    while !is_finished() {
        thread::sleep(Duration::from_millis(20));
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            eprintln!("  {} of {chats} chats", done.load(Ordering::Relaxed));
        }
    }
}
