//! Times in the forms that collections have them in.

use bson::{DateTime, RawBson, RawBsonRef};

/// A smaller number counts seconds, a larger one milliseconds: this many milliseconds are the spring of 1973, this many
/// seconds the year 5138.
const LEAST_MS: u64 = 100_000_000_000;

/// The time that a value is: a date, a number of seconds or milliseconds since 1970, a text in the form of ISO 8601 or
/// with such a number, a BSON timestamp. Nothing if it is none of these.
pub fn time_of(value: RawBsonRef<'_>) -> Option<DateTime> {
    match value {
        RawBsonRef::DateTime(at) => Some(at),
        RawBsonRef::Int32(number) => Some(of_number(number.into())),
        RawBsonRef::Int64(number) => Some(of_number(number)),
        #[expect(clippy::cast_possible_truncation, reason = "no time has that many milliseconds")]
        RawBsonRef::Double(number) if number.abs() < 1e11 => {
            Some(DateTime::from_millis((number * 1000.0) as i64))
        }
        #[expect(clippy::cast_possible_truncation, reason = "no time has that many milliseconds")]
        RawBsonRef::Double(number) if number.is_finite() => Some(DateTime::from_millis(number as i64)),
        RawBsonRef::Timestamp(at) => Some(of_number(at.time.into())),
        RawBsonRef::String(text) => of_text(text),
        _ => None,
    }
}

/// When a row was made: by its field with the time, else by its ObjectId.
pub fn time_of_row(time: Option<RawBsonRef<'_>>, id: Option<RawBsonRef<'_>>) -> Option<DateTime> {
    let of_id = || id.and_then(RawBsonRef::as_object_id).map(|id| id.timestamp());
    time.and_then(time_of).or_else(of_id)
}

/// A time in the form that another one has.
pub(crate) fn in_form_of(model: &RawBson, at: DateTime) -> Option<RawBson> {
    let ms = at.timestamp_millis();
    let is_seconds = |number: i64| number.unsigned_abs() < LEAST_MS;
    Some(match model {
        RawBson::DateTime(_) => RawBson::DateTime(at),
        RawBson::Int32(_) => RawBson::Int32(i32::try_from(ms / 1000).ok()?),
        RawBson::Int64(number) => RawBson::Int64(if is_seconds(*number) { ms / 1000 } else { ms }),
        #[expect(clippy::cast_precision_loss, reason = "no time has 2^53 milliseconds")]
        RawBson::Double(number) => {
            RawBson::Double(if *number < 1e11 { ms as f64 / 1000.0 } else { ms as f64 })
        }
        RawBson::Timestamp(_) => {
            RawBson::Timestamp(bson::Timestamp { time: u32::try_from(ms / 1000).ok()?, increment: 0 })
        }
        RawBson::String(text) => match text.parse::<i64>() {
            Ok(number) => RawBson::String(if is_seconds(number) { ms / 1000 } else { ms }.to_string()),
            Err(_) => RawBson::String(at.try_to_rfc3339_string().ok()?),
        },
        _ => return None,
    })
}

fn of_number(number: i64) -> DateTime {
    DateTime::from_millis(if number.unsigned_abs() < LEAST_MS { number * 1000 } else { number })
}

/// Without a zone it is taken for UTC.
fn of_text(text: &str) -> Option<DateTime> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(of_number(number));
    }
    let parse = |text: &str| DateTime::parse_rfc3339_str(text).ok();
    parse(text).or_else(|| parse(&format!("{}Z", text.replacen(' ', "T", 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_677_787_306_000;

    #[test]
    fn a_time_is_read_in_every_form_and_written_in_that_of_another() {
        let forms = [
            RawBson::DateTime(DateTime::from_millis(MS)),
            RawBson::Int32(1_677_787_306),
            RawBson::Int64(1_677_787_306),
            RawBson::Int64(MS),
            RawBson::Double(1_677_787_306.0),
            RawBson::Double(1_677_787_306_000.0),
            RawBson::Timestamp(bson::Timestamp { time: 1_677_787_306, increment: 0 }),
            RawBson::String("1677787306000".to_owned()),
            RawBson::String("2023-03-02T20:01:46Z".to_owned()),
        ];
        for form in forms {
            let at = time_of(form.as_raw_bson_ref()).unwrap();
            assert_eq!(at.timestamp_millis(), MS, "{form:?}");
            assert_eq!(in_form_of(&form, at).unwrap(), form);
        }
        for text in [
            "2023-03-02T20:01:46.000Z",
            "2023-03-02T20:01:46",
            "2023-03-02 20:01:46",
            "2023-03-02T21:01:46+01:00",
        ] {
            assert_eq!(time_of(RawBsonRef::String(text)).unwrap().timestamp_millis(), MS, "{text}");
        }
        assert!(
            time_of(RawBsonRef::Int64(i64::MIN)).is_some() && time_of(RawBsonRef::Double(f64::MIN)).is_some()
        );
        for none in [RawBsonRef::String("then"), RawBsonRef::Null, RawBsonRef::Boolean(true)] {
            assert_eq!(time_of(none), None, "{none:?}");
        }
    }
}
