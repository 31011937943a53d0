//! Times as documents have them: dates, unless the mapping says how else they are written.

use std::fmt;

use mongodb::bson::{self, Bson, DateTime, Document, RawBsonRef, doc};
use onechat_core::Timestamp;
use onechat_migrate::time_of;

use super::date;

/// How times are written in new documents, and compared with those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeForm {
    /// As BSON's date.
    #[default]
    Date,
    /// As a number of milliseconds since 1970, of 64 bit.
    Milliseconds,
    /// As a number of whole seconds since 1970, of 64 bit.
    Seconds,
    /// As a text, in UTC and with milliseconds, as `toISOString()` in JavaScript makes it.
    Text,
    /// As BSON's timestamp, with the milliseconds as its increment. Only of messages: the server cannot raise one.
    Timestamp,
}

impl TimeForm {
    /// A moment in a new document.
    pub(crate) fn written(self, at: Timestamp) -> Bson {
        let ms = at.unix_ms();
        match self {
            Self::Date => date(at),
            Self::Milliseconds => Bson::Int64(ms),
            Self::Seconds => Bson::Int64(ms.div_euclid(1000)),
            Self::Text => Bson::String(at.to_string()),
            Self::Timestamp => {
                let increment = u32::try_from(ms.rem_euclid(1000)).unwrap_or_default();
                let time = u32::try_from(ms.max(0) / 1000).unwrap_or(u32::MAX);
                Bson::Timestamp(bson::Timestamp { time, increment })
            }
        }
    }

    /// A moment to compare with: equal to whatever is read as this moment.
    pub(crate) fn compared(self, at: Timestamp) -> Bson {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "no time has 2^53 milliseconds")]
            Self::Seconds => Bson::Double(at.unix_ms() as f64 / 1000.0),
            other => other.written(at),
        }
    }

    /// The time that a value of this form is; nothing if it has another form.
    pub(crate) fn read(self, value: RawBsonRef<'_>) -> Option<Timestamp> {
        let ms = match (self, value) {
            (Self::Date, RawBsonRef::DateTime(at)) => at.timestamp_millis(),
            (Self::Milliseconds, value) => count(value, 1.0)?,
            (Self::Seconds, value) => count(value, 1000.0)?,
            (Self::Timestamp, RawBsonRef::Timestamp(at)) => {
                i64::from(at.time) * 1000 + i64::from(at.increment.min(999))
            }
            (Self::Text, RawBsonRef::String(text)) => {
                let at = Timestamp::from_unix_ms(DateTime::parse_rfc3339_str(text).ok()?.timestamp_millis())?;
                return (at.to_string() == text).then_some(at);
            }
            _ => return None,
        };
        Timestamp::from_unix_ms(ms)
    }

    /// The time that a value is, whatever its form.
    pub(crate) fn read_any(self, value: RawBsonRef<'_>) -> Option<Timestamp> {
        let other = || Timestamp::from_unix_ms(time_of(value)?.timestamp_millis());
        self.read(value).or_else(other)
    }

    /// An expression for the date that a field has in this form; null if it has another one.
    pub(crate) fn as_date(self, name: &str) -> Document {
        let value = format!("${name}");
        let is_of = |kind: &str| doc! { "$eq": [{ "$type": &value }, kind] };
        let is_number = doc! { "$isNumber": &value };
        let (is_so, date) = match self {
            Self::Date => (is_of("date"), Bson::String(value)),
            Self::Milliseconds => (is_number, doc! { "$toDate": { "$toLong": value } }.into()),
            Self::Seconds => {
                let ms = doc! { "$toLong": { "$multiply": [value, 1000] } };
                (is_number, doc! { "$toDate": ms }.into())
            }
            Self::Text => {
                let date = doc! { "dateString": &value, "onError": Bson::Null };
                (is_of("string"), doc! { "$dateFromString": date }.into())
            }
            Self::Timestamp => (is_of("timestamp"), doc! { "$toDate": value }.into()),
        };
        doc! { "$cond": [is_so, date, Bson::Null] }
    }

    /// An expression for the time after the one that a field has, as near as this form can tell them apart. Null if the
    /// field has another form.
    pub(crate) fn after(self, name: &str) -> Document {
        let value = format!("${name}");
        let after = match self {
            Self::Date | Self::Milliseconds | Self::Seconds | Self::Timestamp => doc! { "$add": [value, 1] },
            Self::Text => doc! { "$dateToString": {
                "date": { "$add": [self.as_date(name), 1] }, "format": "%Y-%m-%dT%H:%M:%S.%LZ",
            } },
        };
        doc! { "$cond": [{ "$ne": [self.as_date(name), Bson::Null] }, after, Bson::Null] }
    }
}

impl fmt::Display for TimeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Date => "dates",
            Self::Milliseconds => "numbers of milliseconds",
            Self::Seconds => "numbers of seconds",
            Self::Text => "texts in UTC with milliseconds",
            Self::Timestamp => "timestamps",
        })
    }
}

/// The milliseconds that a number of units of so many is.
fn count(value: RawBsonRef<'_>, unit: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "units are whole numbers of milliseconds")]
    let whole = |number: i64| number.checked_mul(unit as i64);
    match value {
        RawBsonRef::Int32(number) => whole(number.into()),
        RawBsonRef::Int64(number) => whole(number),
        #[expect(clippy::cast_possible_truncation, reason = "what is no time is refused afterwards")]
        RawBsonRef::Double(number) if number.is_finite() => Some((number * unit).round() as i64),
        _ => None,
    }
}
