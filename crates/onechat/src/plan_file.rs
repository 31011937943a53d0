//! A plan in a file: a first line that says what it is for, one line for each group, and a last line without which it
//! is not whole. Written and read line by line, since there may be as many groups as chats.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use onechat_core::ports::Clock as _;
use onechat_migrate::{GroupPlan, MergeRules};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::{ambient::SystemClock, config};

const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanHead {
    onechat_plan: u32,
    version: String,
    database: String,
    collection: String,
    made_at: String,
    rules: toml::Table,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanEnd {
    groups: u64,
    end: bool,
}

impl PlanHead {
    /// For a plan that is made now.
    pub(crate) fn new(database: &str, collection: &str, rules: &MergeRules) -> Self {
        Self {
            onechat_plan: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            database: database.to_owned(),
            collection: collection.to_owned(),
            made_at: SystemClock.now().to_string(),
            rules: config::rules_to_toml(rules),
        }
    }
}

/// A plan that is being written. It has its name only once it is whole.
pub(crate) struct PlanWriter {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
    groups: u64,
}

impl PlanWriter {
    pub(crate) fn new(path: &Path, head: &PlanHead) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder)
            .with_context(|| format!("the plan {} cannot be written", path.display()))?;
        let mut writer = Self { file: BufWriter::new(file), path: path.to_owned(), groups: 0 };
        writer.line(&serde_json::to_string(head)?)?;
        Ok(writer)
    }

    pub(crate) fn write(&mut self, plan: &GroupPlan) -> io::Result<()> {
        self.groups += 1;
        self.line(&serde_json::to_string(plan)?)
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let what = format!("the plan {} cannot be written", self.path.display());
        let end = serde_json::to_string(&PlanEnd { groups: self.groups, end: true })?;
        self.line(&end).with_context(|| what.clone())?;
        let file =
            self.file.into_inner().map_err(io::IntoInnerError::into_error).with_context(|| what.clone())?;
        file.as_file().sync_all().with_context(|| what.clone())?;
        file.persist(&self.path).context(what)?;
        Ok(())
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.file, "{text}")
    }
}

/// A plan that was read to its end.
pub(crate) struct PlanFile {
    path: PathBuf,
    head: PlanHead,
    groups: u64,
}

impl PlanFile {
    /// Reads it once: what is not whole, or has a line that is no plan, is not begun with.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let mut lines = lines(path)?;
        let first = lines.next().with_context(|| format!("{name} is empty"))??;
        let head: PlanHead = serde_json::from_str(&first).with_context(|| {
            format!("{name} is no plan: its first line is not that of `merge plan --out`")
        })?;
        ensure!(
            head.onechat_plan == FORMAT,
            "{name} was written by onechat {} in another form: plan again",
            head.version
        );
        let mut groups = 0;
        for (number, line) in (2..).zip(&mut lines) {
            let line = line.with_context(|| format!("{name} cannot be read"))?;
            if let Ok(end) = serde_json::from_str::<PlanEnd>(&line) {
                ensure!(
                    end.groups == groups,
                    "{name} has {groups} groups, and its last line counts {}",
                    end.groups
                );
                return Ok(Self { path: path.to_owned(), head, groups });
            }
            let _: GroupPlan =
                serde_json::from_str(&line).with_context(|| format!("line {number} of {name}"))?;
            groups += 1;
        }
        bail!("{name} is cut off after {groups} groups: plan again")
    }

    /// Whether it is for this collection and made by these rules.
    pub(crate) fn check(&self, now: &PlanHead) -> anyhow::Result<()> {
        let head = &self.head;
        ensure!(
            (&head.database, &head.collection) == (&now.database, &now.collection),
            "it is for {} of the database {}, and this is {} of {}",
            head.collection,
            head.database,
            now.collection,
            now.database
        );
        ensure!(
            head.rules == now.rules,
            "it was made at {} by other rules: take the same configuration and --survivor, or plan again. Its rules:\n{}",
            head.made_at,
            toml::to_string(&head.rules).unwrap_or_default()
        );
        Ok(())
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> u64 {
        self.groups
    }

    /// The groups, read again one by one.
    pub(crate) fn plans(&self) -> anyhow::Result<impl Iterator<Item = io::Result<GroupPlan>> + Send + use<>> {
        let groups = usize::try_from(self.groups).context("more groups than memory has addresses")?;
        let lines = lines(&self.path)?.skip(1).take(groups);
        Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
    }
}

fn lines(path: &Path) -> anyhow::Result<io::Lines<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("the plan {} cannot be read", path.display()))?;
    Ok(BufReader::new(file).lines())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn plan(key: &str) -> GroupPlan {
        GroupPlan {
            key: key.to_owned(),
            participants: vec!["a".to_owned()],
            context: None,
            survivor: bson::Bson::Int32(1),
            survivor_public_id: "1".to_owned(),
            survivor_fingerprint: "00".to_owned(),
            survivor_after: None,
            losers: Vec::new(),
            moves: Vec::new(),
            edits: Vec::new(),
            conflicts: Vec::new(),
            repeats: Vec::new(),
        }
    }

    fn head() -> PlanHead {
        PlanHead::new("shop", "chats", &MergeRules::default())
    }

    fn written(path: &Path) {
        let mut writer = PlanWriter::new(path, &head()).unwrap();
        writer.write(&plan("a")).unwrap();
        writer.write(&plan("b")).unwrap();
        assert!(!path.exists(), "half of a plan has its name already");
        writer.finish().unwrap();
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan");
        written(&path);
        let file = PlanFile::open(&path).unwrap();
        file.check(&head()).unwrap();
        let plans: Vec<_> = file.plans().unwrap().map(Result::unwrap).collect();
        assert_eq!((plans, file.groups()), (vec![plan("a"), plan("b")], 2));
    }

    #[test]
    fn what_is_not_whole_or_not_for_this_is_refused_before_anything_is_applied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan");
        written(&path);
        let whole = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = whole.lines().collect();
        let damaged = [
            (String::new(), "is empty"),
            ("{}\n".to_owned(), "is no plan"),
            (lines[..3].join("\n"), "is cut off after 2 groups"),
            ([lines[0], lines[1], lines[3]].join("\n"), "has 1 groups"),
            ([lines[0], "{\"key\": 1}", lines[2], lines[3]].join("\n"), "line 2 of"),
            (whole.replace("\"onechat_plan\":1", "\"onechat_plan\":2"), "in another form"),
        ];
        for (text, reason) in damaged {
            fs::write(&path, &text).unwrap();
            let Err(error) = PlanFile::open(&path) else { panic!("{text} was taken") };
            assert!(format!("{error:#}").contains(reason), "{text}: {error:#}");
        }
        fs::write(&path, &whole).unwrap();
        let file = PlanFile::open(&path).unwrap();
        let rules =
            MergeRules { survivor: onechat_migrate::SurvivorPolicy::MostRecent, ..MergeRules::default() };
        for (now, reason) in [
            (PlanHead::new("other", "chats", &MergeRules::default()), "of the database shop"),
            (PlanHead::new("shop", "rooms", &MergeRules::default()), "and this is rooms"),
            (PlanHead::new("shop", "chats", &rules), "by other rules"),
        ] {
            let error = file.check(&now).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
