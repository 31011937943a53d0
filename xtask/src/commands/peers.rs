//! `cargo xtask peers`: installs what the peers need, so that neither a test nor a benchmark has to wait for it.

use anyhow::Context as _;

use crate::{peers, shell};

pub(crate) fn run() -> anyhow::Result<()> {
    let mongoose = peers::mongoose(&shell::root()).context("the Mongoose peer cannot be installed")?;
    println!("Mongoose: {}", mongoose.canonicalize()?.display());
    Ok(())
}
