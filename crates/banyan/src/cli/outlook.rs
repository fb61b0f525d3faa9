//! Where an extraction stands, what comes next and what the way back would cost, in texts
//! for lines of 80 columns.

use super::old_ways;
use conductor::status::{ExtractionStatus, RailStop, StopState};

/// What each begins with, and its text.
pub(super) fn texts(one: &ExtractionStatus) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    if !one.rail.is_empty() {
        // A line of its own: with the name before it, it would not fit one.
        texts.push((String::new(), format!("{}:", one.name)));
        texts.push(("  ".to_owned(), rail(&one.rail)));
    }
    if !one.next.is_empty() {
        texts.push((format!("{}: next: ", one.name), one.next.clone()));
    }
    if let Some(text) = old_ways::line(one) {
        texts.push((format!("{}: brown-out: ", one.name), text));
    }
    if let Some(back) = &one.way_back {
        let word = if back.possible {
            "way back"
        } else {
            "no way back now"
        };
        let end = back.no_return.as_ref().filter(|_| back.by.is_some());
        let end = end.map(|verb| format!(". There is one until `banyan {verb}`"));
        let text = format!("{}{}", back.text, end.unwrap_or_default());
        texts.push((format!("{}: {word}: ", one.name), text));
    }
    texts
}

/// All stops: behind, here, ahead, left out.
fn rail(stops: &[RailStop]) -> String {
    let stop = |stop: &RailStop| {
        let mark = match stop.state {
            StopState::Done => "✓",
            StopState::Now => "▶",
            StopState::ToCome => "·",
            StopState::LeftOut => "–",
        };
        let note = stop.note.as_ref().map(|note| format!(" {note}"));
        format!("{mark}{}{}", stop.name, note.unwrap_or_default())
    };
    stops.iter().map(stop).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{
        outlook,
        ports::{Progress, StreamProgress},
    };

    #[test]
    fn a_rail_fits_a_line() {
        let one = outlook::with(ExtractionStatus {
            name: "contracts".to_owned(),
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            reads_percent: 50.0,
            shadow_percent: Some(10.0),
            progress: Progress {
                forward: Some(StreamProgress::default()),
                ..Progress::default()
            },
            ..ExtractionStatus::default()
        });
        let texts = texts(&one);
        let (first, rail) = &texts[1];
        assert_eq!(
            format!("{first}{rail}"),
            "  ✓check ✓copy ✓follow ✓verify ✓shadow 10% ▶shift 50% ·switch ·watch ·retire"
        );
        assert!(first.len() + rail.chars().count() <= 80);
        let all = texts.iter().map(|(first, text)| format!("{first}{text}"));
        let all = all.collect::<Vec<_>>().join("\n");
        for part in ["contracts: next: `banyan verify", "contracts: way back: "] {
            assert!(all.contains(part), "{all}");
        }
    }
}
