//! The two checks over HTTP that any chat backend with this promise should pass: the endpoint's pattern, and a
//! large race for a pair that nobody has opened before.

use std::sync::Arc;

use tokio::sync::Barrier;

use crate::{
    Control, Namespace, ProveError, Report, Target,
    cast::{Cast, PersonNo, SetNo},
    plan::Form,
    session::{Kind, Session, all_of},
};

/// How many ask at once after the chat is there.
const AT_ONCE: usize = 5;
/// How many pairs are raced for, one after the other. A single race against a service that looks and then inserts,
/// with next to nothing in between, comes out clean about every other time.
const RACES: usize = 10;

/// One pair asked for in turn and then at once, and others asked for by many callers in the same moment.
#[derive(Debug, Clone)]
pub struct Stress {
    /// How many call in the same moment.
    pub callers: usize,
    /// New to the server.
    pub namespace: Namespace,
}

/// Races create-or-get over HTTP and checks the answers.
pub async fn stress(target: &Target, stress: &Stress, control: Control) -> Result<Report, ProveError> {
    if stress.callers == 0 {
        return Err(ProveError::Empty("callers"));
    }
    let mut cast = Cast::new(target.contexts, &stress.namespace);
    let mut pair = |n: usize| {
        let people = ["ann", "bob"].map(|name| cast.person(format!("{}{name}{n}", stress.namespace)));
        (cast.set(&people), people)
    };
    let patient = pair(0);
    let racing: Vec<_> = (1..=RACES).map(pair).collect();
    let session = Session::connect(target, cast, stress.callers, control).await?;
    let total = 2 + AT_ONCE + RACES * stress.callers;
    for n in 0..2 {
        session.driver.open(patient.0, patient.1[n], Form::nth(n)).await;
        session.advance(total);
    }
    race(&session, patient, AT_ONCE, total).await;
    for pair in racing {
        if session.driver.http.halted() {
            break;
        }
        race(&session, pair, stress.callers, total).await;
    }
    let kind = Kind {
        workload: format!(
            "one call, a second, {AT_ONCE} at once; then {} at once for each of {RACES} new pairs",
            stress.callers
        ),
        namespace: stress.namespace.clone(),
        seed: None,
        notes: Vec::new(),
    };
    Ok(session.conclude(kind).await)
}

async fn race(session: &Arc<Session>, (set, people): (SetNo, [PersonNo; 2]), callers: usize, total: usize) {
    let barrier = Arc::new(Barrier::new(callers));
    all_of((0..callers).map(|n| {
        let (session, barrier) = (Arc::clone(session), Arc::clone(&barrier));
        // Each of the two people asks in each of the forms.
        let (caller, form) = (people[n % 2], Form::nth(n / 2));
        async move {
            // Opens the connection, so that the race is not decided by who connects first.
            session.driver.lookup(set, caller).await;
            barrier.wait().await;
            session.driver.open(set, caller, form).await;
            session.advance(total);
        }
    }))
    .await;
}
