//! Numbers as people read them.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp as Moment;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kinlog::Timestamp;

/// A number with commas.
pub(crate) fn count(number: impl Into<u64>) -> String {
    HumanCount(number.into()).to_string()
}

/// A number of things, such as `1 run` and `2 runs`.
pub(crate) fn many(number: impl Into<u64>, thing: &str) -> String {
    let number = number.into();
    let things = match thing {
        "child" => "children".to_owned(),
        "activity" => "activities".to_owned(),
        "duty" => "duties".to_owned(),
        "history" => "histories".to_owned(),
        thing => format!("{thing}s"),
    };
    format!("{} {}", count(number), if number == 1 { thing } else { &things })
}

/// A size in the unit that suits it.
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// A part of a whole, in percent.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * ratio(part, whole).unwrap_or_default())
}

/// How often `whole` goes into `part`.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    // Exact for anything that fits a disk: doubles hold integers up to nine petabytes.
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// So many in that time.
pub(crate) fn rate(number: u64, time: Duration) -> String {
    let micros = time.as_micros().max(1);
    let rate = u128::from(number) * 1_000_000 / micros;
    format!("{}/s", count(u64::try_from(rate).unwrap_or(u64::MAX)))
}

/// So many bytes in that time, a second.
pub(crate) fn byte_rate(number: u64, time: Duration) -> String {
    let rate = u128::from(number) * 1_000_000 / time.as_micros().max(1);
    format!("{}/s", bytes(u64::try_from(rate).unwrap_or(u64::MAX)))
}

/// A point in time to the second; a dash for none.
pub(crate) fn time(time: Timestamp) -> String {
    match moment(time) {
        Some(moment) => moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => "-".to_owned(),
    }
}

/// A point in time to the millisecond; a dash for none.
pub(crate) fn clock(time: Timestamp) -> String {
    match moment(time) {
        Some(moment) => moment.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        None => "-".to_owned(),
    }
}

/// A point in time to the nanosecond, for programs.
pub(crate) fn rfc3339(time: Timestamp) -> Option<String> {
    moment(time).map(|moment| moment.to_string())
}

/// A point in time that was typed.
pub(crate) fn read_time(text: &str) -> Result<Timestamp, String> {
    let of_zone = text.parse::<Moment>().ok();
    let moment = of_zone.or_else(|| {
        let utc = text.parse::<DateTime>().ok()?;
        utc.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    });
    let nanos = moment.and_then(|moment| i64::try_from(moment.as_nanosecond()).ok());
    let what =
        "a time is written like 2024-01-02T03:04:05Z, or 2024-01-02 03:04:05 and 2024-01-02 (UTC)";
    nanos.map(Timestamp::from_unix_nanos).ok_or_else(|| what.to_owned())
}

/// The time of now.
pub(crate) fn now() -> Timestamp {
    let nanos = i64::try_from(Moment::now().as_nanosecond());
    Timestamp::from_unix_nanos(nanos.unwrap_or(i64::MAX))
}

/// How long something is kept, as it was typed; `None` for ever.
pub(crate) fn read_age(text: &str) -> Result<Option<Duration>, String> {
    if text == "ever" {
        return Ok(None);
    }
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let age = text.parse::<jiff::Span>().and_then(|age| age.to_duration(days));
    let age = age.ok().and_then(|age| Duration::try_from(age).ok());
    age.map(Some).ok_or_else(|| "an age is written like 7d, 36h or 90m, or is `ever`".to_owned())
}

/// Histories that do not say when have zeros.
fn moment(time: Timestamp) -> Option<Moment> {
    let nanos = Some(time.unix_nanos()).filter(|nanos| *nanos != 0)?;
    Moment::from_nanosecond(nanos.into()).ok()
}

/// A length of time, in its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.as_micros() < 1000 => format!("{} µs", span.as_micros()),
        0 if span.as_micros() < 10_000 => format!("{:.1} ms", span.as_secs_f64() * 1000.0),
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_two_units() {
        let of = |millis| span(Duration::from_millis(millis));
        assert_eq!(span(Duration::from_micros(17)), "17 µs");
        assert_eq!(of(1), "1.0 ms");
        assert_eq!(of(17), "17 ms");
        assert_eq!(of(1_740), "1.7 s");
        assert_eq!(of(61_000), "1 m 01 s");
        assert_eq!(of(7_260_000), "2 h 01 m");
        assert_eq!(of(90_000_000), "1 d 01 h");
    }

    #[test]
    fn times_are_utc() {
        let at = Timestamp::from_unix_nanos(1_704_164_645_123_456_789);
        assert_eq!(time(at), "2024-01-02 03:04:05");
        assert_eq!(clock(at), "2024-01-02 03:04:05.123");
        assert_eq!(rfc3339(at).as_deref(), Some("2024-01-02T03:04:05.123456789Z"));
        assert_eq!(time(Timestamp::default()), "-");
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let at = |nanos| Ok(Timestamp::from_unix_nanos(nanos));
        for (text, nanos) in [
            ("2024-01-02T03:04:05.123456789Z", 1_704_164_645_123_456_789),
            ("2024-01-02T04:04:05+01:00", 1_704_164_645_000_000_000),
            ("2024-01-02 03:04:05", 1_704_164_645_000_000_000),
            ("2024-01-02", 1_704_153_600_000_000_000),
        ] {
            assert_eq!(read_time(text), at(nanos), "{text}");
        }
        for wrong in ["", "yesterday", "2024-13-02", "2024-01-02T03:04:05Zulu", "9999-01-01"] {
            assert!(read_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(many(1u32, "run"), "1 run");
        assert_eq!(many(1_234_567u32, "event"), "1,234,567 events");
        assert_eq!(share(1, 8), "12.5 %");
        assert_eq!(rate(5_000, Duration::from_millis(500)), "10,000/s");
    }
}
