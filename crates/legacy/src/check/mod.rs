//! Compares a database with what was expected of it. Reads only; sees the documents alone, and believes nothing that the
//! migration says of itself but its aliases, which are asked as a server would ask them.

mod rest;
mod sets;

use std::path::Path;

use mongodb::{Database, bson::RawDocumentBuf};

use crate::{Expected, LegacyError, Record, Shape};

/// How many sets are looked at together.
const BATCH: usize = 200;
/// More are counted only.
const MOST: usize = 200;

/// How much may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Nobody wrote but the migration: every document is accounted for.
    Exact,
    /// Others wrote too: there may be more than was expected, and chats may have got newer.
    Live,
}

/// Everything that is not as expected, in words; a line at the end says how much was left out, if it was too much.
pub async fn check(
    database: &Database,
    expected: &Path,
    strictness: Strictness,
) -> Result<Vec<String>, LegacyError> {
    let mut records = Expected::open(expected)?;
    let Some(Record::Shape(shape)) = records.next().transpose()? else {
        return Err(LegacyError::Shape(format!("{} does not begin with a shape", expected.display())));
    };
    let mut check = Check { database, shape, strictness, differences: Vec::new(), more: 0 };
    let (mut sets, mut kept, mut ids, mut is_whole) = (Vec::new(), Vec::new(), Vec::new(), false);
    for record in records {
        match record? {
            Record::Shape(_) => {}
            Record::Set(set) => sets.push(*set),
            Record::Kept(one) => kept.push(one),
            Record::Ids(one) => ids.push(one),
            Record::Totals(totals) => {
                check.totals(&totals).await?;
                is_whole = true;
            }
        }
        if sets.len() >= BATCH || is_whole {
            check.sets(&std::mem::take(&mut sets)).await?;
        }
        if kept.len() >= BATCH || is_whole {
            check.kept(&std::mem::take(&mut kept)).await?;
        }
        if ids.len() >= BATCH || is_whole {
            check.ids(&std::mem::take(&mut ids)).await?;
        }
    }
    check.say(!is_whole, || "the file with the expected result ends too early".to_owned());
    if check.more > 0 {
        check.differences.push(format!("and {} more", check.more));
    }
    Ok(check.differences)
}

struct Check<'a> {
    database: &'a Database,
    shape: Shape,
    strictness: Strictness,
    differences: Vec<String>,
    more: usize,
}

impl Check<'_> {
    fn say(&mut self, differs: bool, what: impl FnOnce() -> String) {
        if !differs {
            return;
        }
        if self.differences.len() < MOST {
            self.differences.push(what());
        } else {
            self.more += 1;
        }
    }

    fn collection(&self, name: &str) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(name)
    }
}
