//! A run of named steps: a heading for each, how long it took, and an end that says in one glance what failed.

use std::time::{Duration, Instant};

use anyhow::bail;

/// One thing that has to succeed.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> anyhow::Result<()>,
}

/// Runs `steps` in order and stops at the first that fails.
pub(crate) fn run(steps: &[Step]) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {} ===", index + 1, steps.len(), step.name);
        let start = Instant::now();
        let result = (step.run)();
        took.push(start.elapsed());
        if let Err(error) = result {
            println!("\nerror: {error:#}");
            println!("{}", summary(steps, &took, false));
            bail!("step {} of {}, {}, failed", index + 1, steps.len(), step.name);
        }
        println!("--- {}: ok, {}", step.name, seconds(took[index]));
    }
    println!("{}", summary(steps, &took, true));
    Ok(())
}

/// `took` has the steps that ran; the last one of them failed unless all is `well`.
fn summary(steps: &[Step], took: &[Duration], well: bool) -> String {
    let lines = steps.iter().enumerate().map(|(index, step)| {
        let outcome = match took.get(index) {
            None => "not run".to_owned(),
            Some(&time) if well || index + 1 < took.len() => format!("ok      {:>8}", seconds(time)),
            Some(&time) => format!("FAILED  {:>8}", seconds(time)),
        };
        format!("  {:<16} {outcome}\n", step.name)
    });
    let total = seconds(took.iter().sum());
    let verdict = if well { format!("all steps passed in {total}") } else { format!("failed after {total}") };
    format!("\n=== summary ===\n{}{verdict}", lines.collect::<String>())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::{Step, run, summary};
    use std::time::Duration;

    const STEPS: [Step; 3] = [
        Step { name: "first", run: || Ok(()) },
        Step { name: "second", run: || anyhow::bail!("no") },
        Step { name: "third", run: || panic!("a step after a failed one was run") },
    ];

    #[test]
    fn stops_at_the_first_step_that_fails_and_names_it() {
        let error = run(&STEPS).unwrap_err();
        assert_eq!(error.to_string(), "step 2 of 3, second, failed");
    }

    #[test]
    fn the_summary_tells_what_passed_what_failed_and_what_was_not_run() {
        let text = summary(&STEPS, &[Duration::from_millis(1_250), Duration::from_secs(2)], false);
        assert_eq!(
            text,
            "\n=== summary ===\n  first            ok         1.2 s\n  second           FAILED     2.0 s\n  \
             third            not run\nfailed after 3.2 s"
        );
    }
}
