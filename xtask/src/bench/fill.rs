//! Fills a store through its own service, as its users would.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::{
    crowd::Crowd,
    http,
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
            .map(|crowd| scope.spawn(move || create(server, token, share(chats, crowd), done)))
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

fn create(
    server: &Server,
    token: &str,
    mut numbers: std::ops::Range<u64>,
    done: &AtomicU64,
) -> anyhow::Result<()> {
    let mut crowd = Crowd::gather(server.address(), CALLERS)?;
    loop {
        let request = |number| http::create_or_get(token, &pairs::body(number, FILLED));
        let requests: Vec<_> = numbers.by_ref().take(CALLERS).map(request).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let (answers, _) = crowd.ask(&requests).context("the store cannot be filled")?;
        let created = answers.iter().filter(|answer| answer.status == CREATED).count();
        ensure!(created == requests.len(), "a chat that should be new was answered otherwise");
        done.fetch_add(requests.len() as u64, Ordering::Relaxed);
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
