//! `cargo xtask generate`: writes every generated file anew.

use std::fs;

use anyhow::Context as _;

use crate::{
    generated::{FILES, State},
    shell,
};

pub(crate) fn run() -> anyhow::Result<()> {
    for file in FILES {
        let content = file.make()?;
        let state = file.compare(&content)?;
        if state != State::Current {
            fs::write(shell::root().join(file.path), content)
                .with_context(|| format!("{} cannot be written", file.path))?;
        }
        println!("{}: {}", file.path, if state == State::Current { "unchanged" } else { "written" });
    }
    Ok(())
}
