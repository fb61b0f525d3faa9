//! Numbers with a unit: sizes and times.

use std::{fmt, time::Duration};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Parses `512KiB`, `16MiB`, `1GiB`, `100B`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size: write 512KiB, 16MiB or 1GiB");
        let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(end);
        let factor: u64 = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let whole = |(unit, _): &&(u64, &str)| self.0 != 0 && self.0.is_multiple_of(*unit);
        match units.iter().find(whole) {
            Some((unit, word)) => write!(f, "{}{word}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Ten years. Longer is no plan, and no clock can be asked what is so then.
const LONGEST: Duration = Duration::from_hours(3650 * 24);

/// Parses `500ms`, `2s`, `5m`, `24h`, `14d`; longer than nothing, ten years at most.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 500ms, 2s, 5m, 24h or 14d");
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    if number.is_empty() {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| too_long(text))?;
    match number.checked_mul(millis) {
        Some(total) if total > 0 => Ok(Duration::from_millis(total)),
        Some(_) => Err(format!(
            "`{text}` is no time at all: write 500ms, 2s, 5m, 24h or 14d"
        )),
        None => Err(too_long(text)),
    }
    .and_then(|time| {
        (time <= LONGEST)
            .then_some(time)
            .ok_or_else(|| too_long(text))
    })
}

fn too_long(text: &str) -> String {
    format!("`{text}` is longer than ten years: write 500ms, 2s, 5m, 24h or 14d")
}

/// A length of time as the plan writes it: what [`duration`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Length(pub Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
        ];
        match units.iter().find(|(unit, _)| millis.is_multiple_of(*unit)) {
            Some((unit, word)) => write!(f, "{}{word}", millis / unit),
            None => write!(f, "{millis}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_as_it_is_read() {
        for text in ["1500ms", "90s", "5m", "12h", "14d"] {
            assert_eq!(Length(duration(text).unwrap()).to_string(), text);
        }
    }
}
