//! `prove`: the guarantee, put to the test.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use onechat_api::ContextPolicy;
use onechat_core::{Participant, ports::AuditReport};
use onechat_prove::{
    Contexts, Control, Namespace, Replay, Report, StoreRace, Stress, Target, TokenMint, Trace, Verdict,
    Workload, mix, replay, store_race, stress,
};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use super::{asked_to_end, audit, prove_store::OwnStore};
use crate::{
    ambient,
    cli::Prove,
    config::{self, Config, JwtKey, ListenAddress, Settings},
    dev,
    exit::Exit,
    output::say,
    progress::Bar,
    service::Service,
    token::Minter,
};

/// The seed's own number of concurrent calls.
const CALLERS: usize = 150;
const TOKEN_TTL: Duration = Duration::from_hours(24);

pub(super) async fn run(arguments: Prove) -> anyhow::Result<Exit> {
    let trace = arguments.trace.as_deref().map(read_trace).transpose()?;
    let plan = Plan::of(&arguments, trace)?;
    let given = Settings {
        chats: arguments.chats,
        jwt: arguments.jwt,
        store: arguments.store,
        ..Settings::default()
    };
    let config = config::load(&arguments.sources, given)?;
    let (stopper, stop) = watch::channel(false);
    tokio::spawn(async move {
        asked_to_end().await;
        let _ = stopper.send(true);
    });
    let (reports, audit) = if arguments.url.is_empty() {
        on_own_server(config, &plan, &stop).await?
    } else {
        (on_servers(config, arguments.url, &plan, &stop).await?, None)
    };
    let found = audit.as_ref().is_some_and(|audit| !audit.is_clean());
    if arguments.json {
        let audit = audit.as_ref().map_or(Value::Null, audit::to_json);
        let verdict = verdict(&reports, found);
        say(format_args!("{:#}", json!({"verdict": verdict, "reports": reports, "audit": audit})))?;
    } else {
        for report in &reports {
            say(report)?;
        }
        if let Some(report) = &audit {
            audit::print(report)?;
        }
    }
    Ok(match verdict(&reports, found) {
        Verdict::Held => Exit::Success,
        Verdict::Violated => Exit::Found,
        Verdict::Incomplete => Exit::CouldNotRun,
    })
}

/// The worst of all.
fn verdict(reports: &[Report], found: bool) -> Verdict {
    let any = |verdict| reports.iter().any(|report| report.verdict == verdict);
    if found || any(Verdict::Violated) {
        Verdict::Violated
    } else if any(Verdict::Incomplete) {
        Verdict::Incomplete
    } else {
        Verdict::Held
    }
}

/// What is to be run, in which order.
struct Plan {
    races: bool,
    mixture: Option<(usize, usize, usize, u64)>,
    trace: Option<(Trace, usize)>,
}

impl Plan {
    fn of(arguments: &Prove, trace: Option<Trace>) -> anyhow::Result<Self> {
        let clients = arguments.clients.unwrap_or(64);
        if let Some(trace) = trace {
            return Ok(Self { races: false, mixture: None, trace: Some((trace, clients)) });
        }
        let Prove { pairs, ops, seed, .. } = *arguments;
        let races = arguments.clients.is_none() && pairs.is_none() && ops.is_none() && seed.is_none();
        let seed = match seed {
            Some(seed) => seed,
            // Short enough to be typed again.
            None => u64::from(u32::from_be_bytes(ambient::random()?)),
        };
        Ok(Self {
            races,
            mixture: Some((clients, pairs.unwrap_or(200), ops.unwrap_or(5000), seed)),
            trace: None,
        })
    }
}

fn read_trace(path: &Path) -> anyhow::Result<Trace> {
    let what = || format!("the trace {}", path.display());
    Trace::read(File::open(path).with_context(what)?).with_context(what)
}

/// Starts from nothing: an empty store and a server in this process, both gone afterwards.
async fn on_own_server(
    mut config: Config,
    plan: &Plan,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<(Vec<Report>, Option<AuditReport>)> {
    let store = OwnStore::new(&config.store)?;
    config.listen = ListenAddress::loopback(0);
    config.store.url = Some(store.url());
    // Where nothing is, no keys are replaced.
    config.store.mongodb.mapping.previous = None;
    let result = on_empty_store(config, plan, stop).await;
    // However it went: a signal only stops the workload, so this is reached then too.
    let removed = store.remove().await;
    match (result, removed) {
        (Ok((reports, audit)), Ok(())) => Ok((reports, Some(audit))),
        (Ok(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        (Err(error), Err(left)) => Err(error.context(left)),
    }
}

async fn on_empty_store(
    mut config: Config,
    plan: &Plan,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<(Vec<Report>, AuditReport)> {
    config.jwt.key = JwtKey::Secret(ambient::random_hex::<32>()?);
    let service = Service::open(&config).await?;
    let target = target(&config, vec![format!("http://{}", service.address)])?;
    let mut reports = Vec::new();
    if plan.races {
        let (store, clock, ids) = (service.store.clone(), service.clock.clone(), service.ids.clone());
        let namespace = namespace()?;
        reports.push(store_race(StoreRace { store, clock, ids, callers: CALLERS, namespace }).await);
    }
    let (end, ended) = oneshot::channel::<()>();
    let server: JoinHandle<_> = tokio::spawn(service.run(async {
        let _ = ended.await;
    }));
    let driven = over_http(&target, plan, stop).await;
    drop(end);
    let _ = server.await.context("the server did not stop")?;
    reports.extend(driven?);
    let audit = audit::audit(&config.store).await?;
    Ok((reports, audit))
}

async fn on_servers(
    mut config: Config,
    urls: Vec<String>,
    plan: &Plan,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Vec<Report>> {
    dev::join(&mut config)?;
    over_http(&target(&config, urls)?, plan, stop).await
}

async fn over_http(
    target: &Target,
    plan: &Plan,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    let control = |what: &str| {
        let bar = Arc::new(Bar::new(what));
        (Arc::clone(&bar), Control { progress: bar, stop: stop.clone() })
    };
    if plan.races {
        let (bar, control) = control("races");
        let race = Stress { callers: CALLERS, namespace: namespace()? };
        reports.push(stress(target, &race, control).await?);
        bar.clear();
    }
    if let Some((clients, pairs, ops, seed)) = plan.mixture {
        let (bar, control) = control("mixture");
        let workload = Workload { clients, pairs, ops, seed, namespace: namespace()? };
        reports.push(mix(target, &workload, control).await?);
        bar.clear();
    }
    if let Some((trace, clients)) = &plan.trace {
        let (bar, control) = control("trace");
        let run = Replay { trace: trace.clone(), clients: *clients, namespace: namespace()? };
        reports.push(replay(target, &run, control).await?);
        bar.clear();
    }
    Ok(reports)
}

fn target(config: &Config, base_urls: Vec<String>) -> anyhow::Result<Target> {
    let minter = Minter::new(&config.jwt)?;
    let mint = move |participant: &Participant, scope| {
        minter.mint(participant, scope, TOKEN_TTL).map_or_else(|_| String::new(), |minted| minted.token)
    };
    let of_service = mint.clone();
    let service = Participant::new("prove-service")?;
    let tokens: TokenMint = Arc::new(move |participant| mint(participant, None));
    let service_token = Some(Arc::new(move || of_service(&service, Some("chats:any"))) as _);
    let contexts = match config.context {
        ContextPolicy::Off => Contexts::Off,
        ContextPolicy::Optional => Contexts::Optional,
        ContextPolicy::Required => Contexts::Required,
    };
    Ok(Target { base_urls, tokens, service_token, contexts })
}

/// A prefix that no other run has.
fn namespace() -> anyhow::Result<Namespace> {
    Ok(Namespace::new(format!("prove-{}-", ambient::random_hex::<6>()?))?)
}
