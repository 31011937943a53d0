//! Standard output, for people and for pipes.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anyhow::Context as _;

/// Prints a line. A reader who stops reading (`onechat openapi | head`) is no error; a full disk is.
pub(crate) fn say(line: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written"),
    }
}
