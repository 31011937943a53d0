//! The committed files that programs make. A reader finds them without building; the check finds them stale.

use std::{fmt, fs, io};

use anyhow::Context as _;

use crate::shell;

/// A file, and the command that prints its content.
pub(crate) struct Generated {
    /// Where it is, from the root of the workspace.
    pub(crate) path: &'static str,
    command: &'static [&'static str],
}

/// Every generated file.
pub(crate) const FILES: &[Generated] = &[
    Generated {
        path: "docs/key-vectors/vectors.json",
        command: &["cargo", "run", "-q", "--locked", "-p", "onechat-core", "--example", "key_vectors"],
    },
    Generated {
        path: "docs/openapi.json",
        command: &["cargo", "run", "-q", "--locked", "-p", "onechat", "--", "openapi"],
    },
    Generated {
        path: "docs/cli.md",
        command: &["cargo", "run", "-q", "--locked", "-p", "onechat", "--", "help-markdown"],
    },
    Generated {
        path: "docs/problem-codes.md",
        command: &["cargo", "run", "-q", "--locked", "-p", "onechat", "--", "problem-codes"],
    },
    Generated {
        path: "docs/census.md",
        command: &["cargo", "run", "-q", "--locked", "-p", "xtask", "--", "census"],
    },
];

impl Generated {
    /// What the file should hold.
    pub(crate) fn make(&self) -> anyhow::Result<String> {
        let content = shell::output(self.command).with_context(|| format!("{} cannot be made", self.path))?;
        anyhow::ensure!(!content.is_empty(), "the command for {} printed nothing", self.path);
        Ok(content)
    }

    /// How the committed file compares with `content`.
    pub(crate) fn compare(&self, content: &str) -> anyhow::Result<State> {
        match fs::read(shell::root().join(self.path)) {
            Ok(committed) => Ok(State::of(&committed, content.as_bytes())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::Missing),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", self.path)),
        }
    }
}

/// How a committed file compares with what its command prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Current,
    Missing,
    /// The first line that differs, from 1.
    Stale {
        line: usize,
    },
}

impl State {
    fn of(committed: &[u8], wanted: &[u8]) -> Self {
        if committed == wanted {
            return Self::Current;
        }
        let same = committed.iter().zip(wanted).take_while(|(one, other)| one == other);
        Self::Stale { line: 1 + same.filter(|(byte, _)| **byte == b'\n').count() }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("up to date"),
            Self::Missing => f.write_str("MISSING"),
            Self::Stale { line } => write!(f, "STALE from line {line} on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn names_the_first_line_that_differs() {
        assert_eq!(State::of(b"a\nb\n", b"a\nb\n"), State::Current);
        assert_eq!(State::of(b"a\nb\n", b"a\nc\n"), State::Stale { line: 2 });
        assert_eq!(State::of(b"a\n", b"a\nb\n"), State::Stale { line: 2 });
        assert_eq!(State::of(b"", b"a\n"), State::Stale { line: 1 });
    }
}
