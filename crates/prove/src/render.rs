//! The report as people read it.

use std::{fmt, time::Duration};

use crate::{Ended, InvariantState, InvariantSummary, Report, Verdict, Violation, ViolationSummary};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workload    {}", self.workload)?;
        if let Some(seed) = self.seed {
            writeln!(f, "seed        {seed}")?;
        }
        writeln!(f, "namespace   {}", self.namespace)?;
        writeln!(f, "clients     {}", self.clients)?;
        let counts = &self.counts;
        writeln!(f, "seen        {} chats, {} messages", counts.chats, counts.messages)?;
        write!(f, "requests    {}, {} of them retries", counts.requests, counts.retried)?;
        writeln!(f, "; {} never answered", counts.unknown)?;
        if counts.collisions > 0 {
            writeln!(f, "collisions  {} requests refused, for sets that share a key", counts.collisions)?;
        }
        let seconds = Duration::from_millis(self.active_ms).as_secs_f64();
        writeln!(f, "throughput  {} requests/s over {seconds:.2} s", self.requests_per_second)?;
        for note in &self.notes {
            writeln!(f, "note        {note}")?;
        }
        writeln!(f)?;
        self.invariants.iter().try_for_each(|summary| invariant(f, summary))?;
        self.violations.iter().try_for_each(|summary| violations(f, summary))?;
        self.latencies(f)?;
        writeln!(f, "\nverdict     {}", self.conclusion())
    }
}

impl Report {
    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.latencies.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<16}{:>9}{:>10}{:>10}{:>10}{:>10}",
            "latency, ms", "answers", "p50", "p90", "p99", "max"
        )?;
        for row in &self.latencies {
            write!(f, "{:<16}{:>9}", row.operation, row.answers)?;
            writeln!(f, "{:>10.2}{:>10.2}{:>10.2}{:>10.2}", row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms)?;
        }
        Ok(())
    }

    fn conclusion(&self) -> String {
        let unfinished = match self.ended {
            Ended::Completed if self.counts.unread > 0 => {
                format!("{} lists could not be read at rest", self.counts.unread)
            }
            Ended::Completed if self.counts.chats == 0 => "no chat was ever handed out".to_owned(),
            Ended::Completed => String::new(),
            Ended::Interrupted => "the run was interrupted".to_owned(),
            Ended::ServerGone => "the server stopped answering".to_owned(),
        };
        match (self.verdict, unfinished.as_str()) {
            (Verdict::Held, _) => "held: no violation was found".to_owned(),
            (Verdict::Violated, "") => "VIOLATED".to_owned(),
            (Verdict::Violated, why) => format!("VIOLATED ({why})"),
            (Verdict::Incomplete, why) => format!("incomplete: no violation was found, but {why}"),
        }
    }
}

fn invariant(f: &mut fmt::Formatter<'_>, summary: &InvariantSummary) -> fmt::Result {
    let observations = plural(summary.observations, "observation");
    let state = match summary.state {
        InvariantState::Held => format!("held (in {observations})"),
        InvariantState::Violated => {
            format!("VIOLATED {} (in {observations})", plural(summary.violations, "time"))
        }
        InvariantState::NotExercised => "not exercised".to_owned(),
    };
    writeln!(f, "{}  {:<71} {state}", summary.invariant, summary.promise)
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn violations(f: &mut fmt::Formatter<'_>, summary: &ViolationSummary) -> fmt::Result {
    let invariant = summary.invariant.as_deref().unwrap_or("contract");
    writeln!(f, "\n{} ({invariant}): {} found", summary.kind, summary.count)?;
    summary.examples.iter().try_for_each(|example| violation(f, example))?;
    match summary.count.saturating_sub(summary.examples.len() as u64) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}

fn violation(f: &mut fmt::Formatter<'_>, violation: &Violation) -> fmt::Result {
    let evidence = &violation.evidence;
    writeln!(f, "  {}", violation.explanation)?;
    if !evidence.set.is_empty() {
        writeln!(f, "    set      {:?}", evidence.set)?;
    }
    if let Some(context) = &evidence.context {
        writeln!(f, "    context  {context:?}")?;
    }
    if !evidence.ids.is_empty() {
        writeln!(f, "    ids      {}", evidence.ids.join(", "))?;
    }
    if !evidence.request.is_empty() {
        writeln!(f, "    request  {}", evidence.request)?;
    }
    Ok(())
}
