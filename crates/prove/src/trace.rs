//! Who wrote to whom and when, from a file: real traffic has a shape that no generator guesses.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One message of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceLine {
    /// The number of the line in the file, from 1.
    pub number: usize,
    /// Who wrote.
    pub from: u64,
    /// To whom.
    pub to: u64,
    /// When, in seconds since 1970.
    pub unix_time_s: i64,
}

/// A trace in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    lines: Vec<TraceLine>,
    to_self: usize,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line is not what it should be.
    #[error("line {number} of the trace is {line:?}, not `from to unix-time` (three whole numbers)")]
    Malformed {
        /// The number of the line, from 1.
        number: usize,
        /// Its text.
        line: String,
    },
    /// The file cannot be read or decompressed.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl Trace {
    /// Reads lines of `from to unix-time`, plain or gzip. Blank lines and lines that begin with `#` are passed
    /// over; messages to oneself are counted and left out.
    pub fn read(input: impl Read) -> Result<Self, TraceError> {
        let mut input = BufReader::new(input);
        if input.fill_buf()?.starts_with(&GZIP_MAGIC) {
            Self::read_plain(BufReader::new(MultiGzDecoder::new(input)))
        } else {
            Self::read_plain(input)
        }
    }

    fn read_plain(input: impl BufRead) -> Result<Self, TraceError> {
        let mut trace = Self::default();
        for (index, line) in input.lines().enumerate() {
            let line = line?;
            let text = line.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let line =
                parse(number, text).ok_or_else(|| TraceError::Malformed { number, line: text.to_owned() })?;
            if line.from == line.to {
                trace.to_self += 1;
            } else {
                trace.lines.push(line);
            }
        }
        trace.lines.sort_by_key(|line| line.unix_time_s);
        Ok(trace)
    }

    /// The messages, oldest first.
    pub fn lines(&self) -> &[TraceLine] {
        &self.lines
    }

    /// How many messages to oneself were left out.
    pub fn to_self(&self) -> usize {
        self.to_self
    }
}

fn parse(number: usize, text: &str) -> Option<TraceLine> {
    let mut fields = text.split_whitespace();
    let mut next = || fields.next();
    let (from, to, time) = (next()?, next()?, next()?);
    if next().is_some() {
        return None;
    }
    Some(TraceLine {
        number,
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        unix_time_s: time.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const TEXT: &str = "# from to time\n\n3 4 200\n1\t2   100\r\n5 5 150\n2 1 200\n";

    fn expected() -> Vec<(usize, u64, u64)> {
        vec![(4, 1, 2), (3, 3, 4), (6, 2, 1)]
    }

    fn seen(trace: &Trace) -> Vec<(usize, u64, u64)> {
        trace.lines().iter().map(|line| (line.number, line.from, line.to)).collect()
    }

    #[test]
    fn plain_lines_come_out_in_the_order_of_time() {
        let trace = Trace::read(TEXT.as_bytes()).unwrap();
        assert_eq!(seen(&trace), expected());
        assert_eq!(trace.to_self(), 1);
    }

    #[test]
    fn gzip_is_recognised() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(TEXT.as_bytes()).unwrap();
        let trace = Trace::read(encoder.finish().unwrap().as_slice()).unwrap();
        assert_eq!(seen(&trace), expected());
    }

    #[test]
    fn a_malformed_line_is_named() {
        for bad in ["1 2", "1 2 3 4", "a 2 3", "1 2 soon"] {
            let error = Trace::read(format!("1 2 3\n{bad}\n").as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("line 2 of the trace"), "{error}");
        }
    }

    #[test]
    fn an_empty_trace_is_a_trace() {
        assert_eq!(Trace::read("".as_bytes()).unwrap().lines(), []);
    }
}
