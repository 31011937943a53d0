//! A trace played back as fast as the clients can: each line opens the chat of its two people and says something.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    Control, Namespace, ProveError, Report, Target, Trace,
    cast::{Cast, PersonNo, SetNo},
    plan::Form,
    session::{Kind, Session, all_of},
};

/// A trace to play, and how.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Who writes to whom.
    pub trace: Trace,
    /// How many clients take the next line from the trace at the same time.
    pub clients: usize,
    /// New to the server. The people are this and their number in the trace.
    pub namespace: Namespace,
}

struct Part {
    number: usize,
    set: SetNo,
    sender: PersonNo,
}

/// Plays a trace and checks that nothing of it was lost, doubled or misplaced.
pub async fn replay(target: &Target, replay: &Replay, control: Control) -> Result<Report, ProveError> {
    if replay.clients == 0 {
        return Err(ProveError::Empty("clients"));
    }
    if replay.trace.lines().is_empty() {
        return Err(ProveError::Empty("lines of the trace"));
    }
    let namespace = &replay.namespace;
    let mut cast = Cast::new(target.contexts, namespace);
    let mut part = |line: &crate::TraceLine| {
        let people = [line.from, line.to].map(|number| cast.person(format!("{namespace}{number}")));
        Part { number: line.number, set: cast.set(&people), sender: people[0] }
    };
    let parts: Arc<[Part]> = replay.trace.lines().iter().map(&mut part).collect();
    let kind = Kind {
        workload: format!("replay of a trace: {} messages between {} pairs", parts.len(), cast.set_count()),
        namespace: namespace.clone(),
        seed: None,
        notes: notes(&replay.trace),
    };
    let session = Session::connect(target, cast, replay.clients, control).await?;
    let cursor = Arc::new(AtomicUsize::new(0));
    all_of(
        (0..replay.clients)
            .map(|_| play(Arc::clone(&session), Arc::clone(&parts), Arc::clone(&cursor), namespace.clone())),
    )
    .await;
    Ok(session.conclude(kind).await)
}

async fn play(session: Arc<Session>, parts: Arc<[Part]>, cursor: Arc<AtomicUsize>, namespace: Namespace) {
    let driver = &session.driver;
    while let Some(part) = parts.get(cursor.fetch_add(1, Ordering::Relaxed)) {
        if driver.http.halted() {
            break;
        }
        if let Some(id) = driver.open(part.set, part.sender, Form::nth(part.number)).await {
            let text = format!("line {}", part.number);
            let client_id = format!("{namespace}line-{}", part.number);
            let message = driver.intend(part.set, part.sender, text, client_id);
            driver.send(&id, message).await;
        }
        session.advance(parts.len());
    }
}

fn notes(trace: &Trace) -> Vec<String> {
    match trace.to_self() {
        0 => Vec::new(),
        count => vec![format!("{count} lines of the trace are messages to oneself and were left out")],
    }
}
