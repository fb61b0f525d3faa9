//! Numbers and times for people.

/// With a comma between thousands.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the unit that leaves at most four digits.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    if size < 10.0 {
        format!("{size:.1} {}", units[unit])
    } else {
        format!("{size:.0} {}", units[unit])
    }
}

/// Milliseconds.
pub(crate) fn milliseconds(ms: f64) -> String {
    if !ms.is_finite() {
        "–".to_owned()
    } else if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 10_000.0 {
        format!("{ms:.0} ms")
    } else {
        seconds(ms / 1000.0)
    }
}

/// A time, in one or two units.
pub(crate) fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    if seconds > 0.0 && seconds < 0.05 {
        return "under 0.1 s".to_owned();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, for people"
    )]
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{whole} s"),
        120..7_200 => format!("{} min", whole / 60),
        7_200..172_800 => format!("{} h", whole / 3_600),
        _ => format!("{} days", whole / 86_400),
    }
}

/// A share of 100.
pub(crate) fn percent(percent: f64) -> String {
    let text = format!("{percent:.2}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// How much more or less than something else, in percent.
pub(crate) fn difference(of: f64, than: f64) -> Option<String> {
    if !(than > 0.0 && of.is_finite()) {
        return None;
    }
    Some(change((of / than - 1.0) * 100.0))
}

/// So much more or less, in percent.
pub(crate) fn change(percent: f64) -> String {
    let sign = if percent < 0.0 { "−" } else { "+" };
    format!("{sign}{:.0} %", percent.abs())
}

/// How long ago, by two times in milliseconds since 1970.
pub(crate) fn ago(now_ms: i64, at_ms: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let past = now_ms.saturating_sub(at_ms).max(0) as f64 / 1000.0;
    format!("{} ago", seconds(past.round().max(1.0)).replace(".0", ""))
}

/// With a capital at its beginning.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        for (text, wanted) in [
            (count(0), "0"),
            (count(1_204), "1,204"),
            (count(12_345_678), "12,345,678"),
            (bytes(900), "900 B"),
            (bytes(12 << 10), "12 KiB"),
            (bytes(1_700 << 20), "1.7 GiB"),
            (milliseconds(4.14), "4.1 ms"),
            (milliseconds(118.2), "118 ms"),
            (milliseconds(f64::NAN), "–"),
            (seconds(0.1), "0.1 s"),
            (seconds(0.0), "0.0 s"),
            (seconds(0.01), "under 0.1 s"),
            (seconds(190.0), "3 min"),
            (seconds(200_000.0), "2 days"),
            (percent(50.0), "50 %"),
            (percent(0.05), "0.05 %"),
            (ago(10_000, 9_500), "1 s ago"),
            (ago(10_000, 12_000), "1 s ago"),
            (ago(3_000_000, 0), "50 min ago"),
            (capital("the rest"), "The rest"),
        ] {
            assert_eq!(text, wanted);
        }
        assert_eq!(difference(4.1, 11.2).as_deref(), Some("−63 %"));
        assert_eq!(difference(4.1, 0.0), None);
    }
}
