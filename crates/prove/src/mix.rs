//! The general workload: every client plays its script.

use std::sync::Arc;

use futures_util::future::{join, join_all};

use crate::{
    Contexts, Control, Namespace, ProveError, Report, Target, Workload,
    plan::{Form, Op, Plan, Repeat},
    session::{Kind, Session, all_of},
};

/// Plays a random mixture of everything that clients do, and checks all of it.
pub async fn mix(target: &Target, workload: &Workload, control: Control) -> Result<Report, ProveError> {
    let Plan { cast, scripts } = Plan::new(workload, target.contexts)?;
    let kind = Kind {
        workload: format!(
            "random mixture: {} operations on {} pairs, with groups{} and look-alike ids besides",
            workload.ops,
            workload.pairs,
            if target.contexts == Contexts::Off { "" } else { ", contexts" }
        ),
        namespace: workload.namespace.clone(),
        seed: Some(workload.seed),
        notes: Vec::new(),
    };
    let session = Session::connect(target, cast, workload.clients, control).await?;
    let ops = workload.ops;
    all_of(scripts.into_iter().enumerate().map(|(client, script)| {
        let player =
            Player { session: Arc::clone(&session), namespace: workload.namespace.clone(), client, ops };
        player.play(script)
    }))
    .await;
    Ok(session.conclude(kind).await)
}

struct Player {
    session: Arc<Session>,
    namespace: Namespace,
    client: usize,
    ops: usize,
}

impl Player {
    async fn play(self, script: Vec<Op>) {
        for (n, op) in script.into_iter().enumerate() {
            if self.session.driver.http.halted() {
                break;
            }
            self.step(n, op).await;
            self.session.advance(self.ops);
        }
    }

    async fn step(&self, n: usize, op: Op) {
        let driver = &self.session.driver;
        match op {
            Op::Open { set, caller, form } => drop(driver.open(set, caller, form).await),
            Op::Rush { set } => {
                let members = driver.cast.members(set);
                let callers = members.iter().chain(&members).enumerate();
                join_all(callers.map(|(n, &caller)| driver.open(set, caller, Form::nth(n)))).await;
            }
            Op::Lookup { set, caller } => driver.lookup(set, caller).await,
            Op::Get { set, caller } => driver.get(set, caller).await,
            Op::List { caller } => driver.list(caller).await,
            Op::ListAbout { set, caller } => driver.list_about(set, caller).await,
            Op::Read { set, caller } => driver.read(set, caller).await,
            Op::Probe { set, intruder, how, signed_in_by } => {
                driver.probe(set, intruder, how, signed_in_by).await;
            }
            Op::Send { set, sender, repeat } => {
                let Some(id) = driver.chat_id(set, sender).await else { return };
                let client_id = format!("{}c{}-{n}", self.namespace, self.client);
                let text = format!("message {n} of client {} \u{1F600}", self.client);
                let message = driver.intend(set, sender, text, client_id);
                match repeat {
                    Repeat::Once => driver.send(&id, message).await,
                    Repeat::Again => {
                        driver.send(&id, message).await;
                        driver.send(&id, message).await;
                    }
                    Repeat::Together => {
                        join(driver.send(&id, message), driver.send(&id, message)).await;
                    }
                }
            }
        }
    }
}
