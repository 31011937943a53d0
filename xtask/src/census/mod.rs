//! docs/census.md: what onechat makes of 170 public chat models, row by row, computed from their fields.
//!
//! A rule says what a field asks for; a need says which test shows it. A row is right if all its needs are shown.

mod rules;

use std::{collections::BTreeSet, fmt::Write as _, fs};

use anyhow::{Context as _, ensure};

use crate::shell;
use rules::{Model, Verdict};

const MODELS: &str = include_str!("models.tsv");
/// Where tests of needs are.
const TESTS: [&str; 2] = ["crates/onechat/tests/it", "crates/mongo/tests/it"];

/// Prints the page.
pub(crate) fn run() -> anyhow::Result<()> {
    print!("{}", page()?);
    Ok(())
}

fn page() -> anyhow::Result<String> {
    let tests = names_of_tests()?;
    let models = models()?;
    let (mut rows, mut counts) = (String::new(), [0_usize; 3]);
    let mut used = BTreeSet::new();
    for model in &models {
        let needs = rules::needs(model);
        for need in &needs {
            let (Verdict::Right(test) | Verdict::Refused(test)) = need.verdict() else { continue };
            ensure!(tests.contains(test), "{need:?} is shown by {test}, and there is no such test");
        }
        used.extend(needs.iter().copied());
        let open = needs.iter().find(|need| matches!(need.verdict(), Verdict::Open));
        let refused = needs.iter().find(|need| matches!(need.verdict(), Verdict::Refused(_)));
        let verdict = match (open, refused) {
            (Some(need), _) => (2, format!("open: {}", need.words())),
            (None, Some(need)) => (1, format!("refused: {}", need.words())),
            (None, None) => (0, "right".to_owned()),
        };
        counts[verdict.0] += 1;
        rows.push_str(&model.row(&verdict.1));
    }
    let share = |count: usize| format!("{count} of {} ({:.0} %)", models.len(), percent(count, models.len()));
    let mut page = String::from(HEAD);
    write!(
        page,
        "| verdict | models |\n| --- | --- |\n| right | {} |\n| refused | {} |\n| open | {} |\n\n",
        share(counts[0]),
        share(counts[1]),
        share(counts[2])
    )?;
    page.push_str("## What shows it\n\n| what a model has | verdict | test |\n| --- | --- | --- |\n");
    for need in used {
        let (verdict, test) = match need.verdict() {
            Verdict::Right(test) => ("right", format!("`{test}`")),
            Verdict::Refused(test) => ("refused", format!("`{test}`")),
            Verdict::Open => ("open", "none".to_owned()),
        };
        writeln!(page, "| {} | {verdict} | {test} |", need.words())?;
    }
    page.push_str("\n## The models\n\n");
    page.push_str(Model::HEAD);
    page.push_str(&rows);
    Ok(page)
}

const HEAD: &str = "\
<!-- Made by `cargo xtask generate`. -->

# A census of chat models

How 170 public models keep chats in MongoDB, and what onechat makes of each when its operator answers the questions of
[the migration guide](guide-migration.md). Each row has the facts of one model, and a verdict that rules compute from them:

- **right**: migrated, and undone to the byte, by a configuration; tests show each of its ways. Where servers write less
  than the old backend did, the table below says so;
- **refused**: `migrate` stops before any change and says why;
- **open**: no test shows what happens. Do not migrate such a collection.

A model counts as right only if a test shows every one of its ways; what no rule knows is open.

";

#[expect(clippy::cast_precision_loss, reason = "there are few models")]
fn percent(count: usize, all: usize) -> f64 {
    100.0 * count as f64 / all as f64
}

fn models() -> anyhow::Result<Vec<Model>> {
    MODELS
        .lines()
        .skip(1)
        .map(|line| Model::parse(line).with_context(|| format!("no model: {line}")))
        .collect()
}

/// Names of the tests that run, not of those that are set aside.
fn names_of_tests() -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for folder in TESTS {
        for file in fs::read_dir(shell::root().join(folder))? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_in(&fs::read_to_string(path)?));
            }
        }
    }
    Ok(names)
}

fn tests_in(source: &str) -> Vec<String> {
    let (mut is_test, mut found) = (false, Vec::new());
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[tokio::test") || line == "#[test]" {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_test = false;
        } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            if is_test {
                found.extend(rest.split('(').next().map(str::to_owned));
            }
            is_test = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{models, page, rules, tests_in};

    #[test]
    fn every_model_has_a_need_and_the_page_a_row_for_it() {
        let models = models().unwrap();
        assert_eq!(models.len(), 170);
        assert!(models.iter().all(|model| !rules::needs(model).is_empty()));
        let page = page().unwrap();
        assert!(models.iter().all(|model| page.contains(&format!("\n| {} |", model.number))));
    }

    #[test]
    fn a_test_that_is_set_aside_shows_nothing() {
        let source =
            "#[tokio::test]\nasync fn runs() {\n#[test]\n#[ignore = \"slow\"]\nfn rests() {\nfn helper() {";
        assert_eq!(tests_in(source), ["runs"]);
    }
}
