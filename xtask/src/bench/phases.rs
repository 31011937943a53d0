//! What is measured, in which order. Servers that are compared are loaded in turn within a round, never at once.

use std::path::Path;

use super::{
    fill::fill,
    herd::{self, Races},
    loads::Loads,
    programs::Programs,
    series::Comparison,
    servers::Server,
    wrk::{Load, Order},
};

/// So many chats are "a small store".
pub(super) const SMALL: u64 = 1_000;

/// onechat beside a server without a store.
pub(super) struct BesideNull {
    pub(super) hits: Comparison,
    pub(super) new: Comparison,
    pub(super) scattered: Comparison,
    pub(super) races: Races,
    pub(super) peak_memory_kib: Option<u64>,
}

/// onechat with many chats beside onechat with few.
pub(super) struct Scale {
    pub(super) chats: u64,
    pub(super) hits: Comparison,
    pub(super) spread: Comparison,
    pub(super) new: Comparison,
    pub(super) scattered: Comparison,
    pub(super) peak_memory_kib: Option<u64>,
}

pub(super) fn beside_null(
    programs: &Programs,
    folder: &Path,
    loads: &Loads<'_>,
    rounds: u32,
) -> anyhow::Result<BesideNull> {
    let null = Server::null(programs, folder)?;
    let onechat = Server::onechat(programs, &folder.join("beside-null"))?;
    fill(&onechat, loads.token(), SMALL)?;
    let [mut hits, mut new, mut scattered] = <[Comparison; 3]>::default();
    for round in 1..=rounds {
        eprintln!("null server and onechat, round {round} of {rounds}: existing chats, then new ones");
        let existing = || Load::Hits { chats: SMALL };
        hits.push(loads.measure(&null, existing)?, loads.measure(&onechat, existing)?);
        for (order, figures) in [(Order::Arrivals, &mut new), (Order::Scattered, &mut scattered)] {
            let fresh = || loads.new_chats(order);
            figures.push(loads.measure(&null, fresh)?, loads.measure(&onechat, fresh)?);
        }
    }
    eprintln!("{} races of {} callers", herd::RACES, herd::CALLERS);
    let races = herd::run(&null, &onechat, loads.token())?;
    Ok(BesideNull { hits, new, scattered, races, peak_memory_kib: onechat.peak_memory_kib() })
}

pub(super) fn scale(
    programs: &Programs,
    folder: &Path,
    loads: &Loads<'_>,
    rounds: u32,
    chats: u64,
) -> anyhow::Result<Scale> {
    eprintln!("filling a store with {chats} chats");
    let large = Server::onechat(programs, &folder.join("large"))?;
    fill(&large, loads.token(), chats)?;
    let [mut hits, mut spread, mut new, mut scattered] = <[Comparison; 4]>::default();
    for round in 1..=rounds {
        eprintln!("{SMALL} and {chats} chats, round {round} of {rounds}: existing chats, then new ones");
        // A new one each time: measuring how fast it takes new chats makes it large.
        let small = Server::onechat(programs, &folder.join(format!("small-{round}")))?;
        fill(&small, loads.token(), SMALL)?;
        let same = || Load::Hits { chats: SMALL };
        hits.push(loads.measure(&small, same)?, loads.measure(&large, same)?);
        let all = |chats| move || Load::Spread { chats };
        spread.push(loads.measure(&small, all(SMALL))?, loads.measure(&large, all(chats))?);
        for (order, figures) in [(Order::Arrivals, &mut new), (Order::Scattered, &mut scattered)] {
            let fresh = || loads.new_chats(order);
            figures.push(loads.measure(&small, fresh)?, loads.measure(&large, fresh)?);
        }
    }
    Ok(Scale { chats, hits, spread, new, scattered, peak_memory_kib: large.peak_memory_kib() })
}
