//! The result of a run as text: what is printed, and what `--write` records.

use std::fmt::Write as _;

use super::{
    format::{count, ms, row, table},
    herd,
    loads::WARM_UP_S,
    phases::{BesideNull, SMALL, Scale},
    series::{Comparison, Series},
    target::{Target, Verdicts},
    wrk::{CONNECTIONS, Measurement, THREADS},
};

const HITS: Target = Target::AtLeast(0.85);
const NEW: Target = Target::AtLeast(0.5);
const RACE_MS: Target = Target::AtMost(10.0);
const MEMORY_MIB: Target = Target::AtMost(100.0);
const SCALE: Target = Target::AtLeast(0.9);

/// Everything that a run found.
pub(super) struct Results {
    pub(super) machine: String,
    pub(super) seconds: u64,
    pub(super) rounds: u32,
    pub(super) beside_null: BesideNull,
    pub(super) scale: Scale,
}

/// The report, and how many targets were missed.
pub(super) fn write(results: &Results) -> (String, usize) {
    let Results { machine, seconds, rounds, beside_null, scale } = results;
    let mut verdicts = Verdicts::default();
    let few = format!("{} chats", count(to_f64(SMALL)));
    let many = format!("{} chats", count(to_f64(scale.chats)));
    let speed = [
        row(["requests/s", "null server", "onechat", "ratio", "target", ""]),
        comparison("existing chats", &beside_null.hits, Some(HITS), &mut verdicts),
        comparison("new chats, durable", &beside_null.new, Some(NEW), &mut verdicts),
        comparison("new chats, durable, scattered", &beside_null.scattered, None, &mut verdicts),
    ];
    let sizes = [
        row(["requests/s of onechat", &few, &many, "ratio", "target", ""]),
        comparison("existing chats, the same 1,000", &scale.hits, Some(SCALE), &mut verdicts),
        comparison("existing chats, any of them", &scale.spread, None, &mut verdicts),
        comparison("new chats, durable", &scale.new, Some(SCALE), &mut verdicts),
        comparison("new chats, durable, scattered", &scale.scattered, None, &mut verdicts),
    ];
    let races = races(&beside_null.races, &mut verdicts);
    let memory = [
        row(["resident memory of onechat, MiB", "peak", "target", ""]),
        memory(&format!("{few} before the load"), beside_null.peak_memory_kib, &mut verdicts),
        memory(&format!("{many} before the load"), scale.peak_memory_kib, &mut verdicts),
    ];
    let latencies = latencies(beside_null, scale, &few, &many);
    let speed = table(&speed);
    let sizes = table(&sizes);
    let memory = table(&memory);
    let text = format!(
        "{machine}- wrk: {THREADS} thread, {CONNECTIONS} connections, {seconds} s a measurement after {WARM_UP_S} s of \
         warm-up; of {rounds} rounds the median (lowest–highest)\n\n\
         {speed}\n{races}\n{memory}\n{sizes}\n{latencies}\n{verdicts}\n"
    );
    (text, verdicts.missed)
}

fn comparison(
    name: &str,
    comparison: &Comparison,
    target: Option<Target>,
    verdicts: &mut Verdicts,
) -> Vec<String> {
    let speed = |rounds: &[Measurement]| Series::new(rounds.iter().map(|round| round.requests_per_s));
    let ratios = comparison.ratios();
    vec![
        name.to_owned(),
        ranged(&speed(&comparison.reference), count),
        ranged(&speed(&comparison.subject), count),
        ranged(&ratios, |ratio| format!("{ratio:.3}")),
        target.map_or_else(|| "none".to_owned(), |target| target.to_string()),
        target.map_or_else(String::new, |target| verdicts.judge(target, ratios.median())),
    ]
}

fn races(races: &herd::Races, verdicts: &mut Verdicts) -> String {
    let figures = |series: &Series| [series.median(), series.percentile(90), series.highest()].map(ms);
    let name = format!("{} callers of one new pair, ms until the last answer", herd::CALLERS);
    let [null_median, null_p90, null_max] = figures(&races.null_ms);
    let [median, p90, max] = figures(&races.onechat_ms);
    let verdict = verdicts.judge(RACE_MS, races.onechat_ms.median());
    let mut text = table(&[
        row([&name, "median", "p90", "max", "target", ""]),
        row(["null server", &null_median, &null_p90, &null_max, "", ""]),
        row(["onechat", &median, &p90, &max, &format!("median {RACE_MS}"), &verdict]),
    ]);
    let _ = writeln!(
        text,
        "\n{} races on each, every one with one chat and one creator; on average {:.0} of the {} other callers had found no chat yet.",
        herd::RACES,
        races.late_callers,
        herd::CALLERS - 1
    );
    text
}

#[expect(clippy::cast_precision_loss, reason = "the memory of a process is far below 2^52 KiB")]
fn memory(name: &str, peak_kib: Option<u64>, verdicts: &mut Verdicts) -> Vec<String> {
    let Some(peak_kib) = peak_kib else {
        return row([name, "only Linux tells", &MEMORY_MIB.to_string(), "not measured"]);
    };
    let mib = peak_kib as f64 / 1024.0;
    row([name, &format!("{mib:.1}"), &MEMORY_MIB.to_string(), &verdicts.judge(MEMORY_MIB, mib)])
}

fn latencies(beside_null: &BesideNull, scale: &Scale, few: &str, many: &str) -> String {
    let BesideNull { hits, new, scattered, .. } = beside_null;
    let of = |name: &str, rounds: &[Measurement]| {
        let median = |figure: fn(&Measurement) -> f64| ms(Series::new(rounds.iter().map(figure)).median());
        let max = ms(Series::new(rounds.iter().map(|round| round.max_ms)).highest());
        row([
            name,
            &median(|round| round.p50_ms),
            &median(|round| round.p90_ms),
            &median(|round| round.p99_ms),
            &max,
        ])
    };
    table(&[
        row(["latency under full load, ms", "p50", "p90", "p99", "max"]),
        of("existing chats, null server", &hits.reference),
        of("existing chats, onechat", &hits.subject),
        of("new chats, null server", &new.reference),
        of("new chats, onechat", &new.subject),
        of("new chats, scattered, onechat", &scattered.subject),
        of(&format!("existing chats, onechat, {few}"), &scale.hits.reference),
        of(&format!("existing chats, onechat, {many}"), &scale.hits.subject),
        of(&format!("any existing chat, onechat, {many}"), &scale.spread.subject),
        of(&format!("new chats, onechat, {few}"), &scale.new.reference),
        of(&format!("new chats, onechat, {many}"), &scale.new.subject),
        of(&format!("new chats, scattered, onechat, {many}"), &scale.scattered.subject),
    ])
}

fn ranged(series: &Series, show: impl Fn(f64) -> String) -> String {
    format!("{} ({}–{})", show(series.median()), show(series.lowest()), show(series.highest()))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of chats are far below 2^52")]
fn to_f64(number: u64) -> f64 {
    number as f64
}
