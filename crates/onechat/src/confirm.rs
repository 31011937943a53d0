//! Asks before something is changed; where nobody can be asked, somebody has to have said yes before.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

/// A question that can be answered.
pub(crate) struct Confirmation {
    yes: bool,
}

impl Confirmation {
    /// Fails where there is nobody to ask, unless `yes` was said already. `what` is what an operator should know.
    pub(crate) fn possible(yes: bool, what: &str) -> anyhow::Result<Self> {
        if !yes && !io::stdin().is_terminal() {
            bail!("{what}\nnothing was changed: there is nobody to ask here, so say --yes");
        }
        Ok(Self { yes })
    }

    /// Whether it may go on.
    pub(crate) fn ask(&self, what: &str, question: &str) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        eprint!("{what}\n\n{question} [y/N] ");
        io::stderr().flush().context("standard error cannot be written")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).context("the answer cannot be read")?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}
