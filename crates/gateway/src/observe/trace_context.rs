//! Which trace a request belongs to: `traceparent` of W3C Trace Context,
//! levels 1 and 2. Why it is not OpenTelemetry's propagator:
//! docs/decisions/0011-own-wire-formats.md.

use http::{HeaderMap, HeaderName, HeaderValue};
use plan::Percent;
use std::fmt;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Of version 00: `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;

/// Spans of this trace are recorded.
const SAMPLED: u8 = 1;
/// At least the last 7 bytes of the trace's id are random (level 2).
const RANDOM: u8 = 1 << 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// Never 0.
    pub(crate) trace: u128,
    /// Never 0.
    pub(crate) span: u64,
    flags: u8,
}

impl TraceContext {
    /// From a request's headers; `None` without a `traceparent`, with two of
    /// them, or with one that the recommendation does not allow.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (only, None) = (all.next()?, all.next()) else {
            return None;
        };
        Self::parse(only.as_bytes())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (version, rest) = (text.get(..LENGTH)?, &text[LENGTH..]);
        let dashes = [version[2], version[35], version[52]];
        if dashes != [b'-'; 3] {
            return None;
        }
        match hex(&version[..2])? {
            0 if !rest.is_empty() => return None,
            // A later version may add fields; they are ignored.
            _ if !(rest.is_empty() || rest[0] == b'-') => return None,
            0xff => return None,
            _ => {}
        }
        let trace = hex(&version[3..35]).filter(|id| *id != 0)?;
        let span = u64::try_from(hex(&version[36..52])?).ok()?;
        let flags = u8::try_from(hex(&version[53..])?).ok()?;
        (span != 0).then_some(Self {
            trace,
            span,
            // Unknown flags are cleared, as the recommendation requires.
            flags: flags & (SAMPLED | RANDOM),
        })
    }

    /// A trace that begins here.
    pub(crate) fn begin(random: impl Fn() -> u64, sample: Percent) -> Self {
        let trace = u128::from(random()) << 64 | u128::from(random().max(1));
        // The random part decides, so that others with the same share agree.
        let place = trace & ((1 << 56) - 1);
        let share = u128::from(sample.basis_points());
        let sampled = place * u128::from(Percent::STEPS) < share << 56;
        Self {
            trace,
            span: random().max(1),
            flags: RANDOM | u8::from(sampled),
        }
    }

    /// A span within this one.
    pub(crate) fn child(self, random: impl Fn() -> u64) -> Self {
        Self {
            span: random().max(1),
            ..self
        }
    }

    pub(crate) fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// As one byte of the header.
    pub(crate) fn flags(self) -> u8 {
        self.flags
    }

    /// As it is sent upstream.
    pub(crate) fn header(self) -> HeaderValue {
        // Hexadecimal digits and dashes are a value.
        HeaderValue::try_from(self.to_string()).unwrap_or(HeaderValue::from_static("invalid"))
    }

    /// Its trace, as people look for it.
    pub(crate) fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{flags:02x}")
    }
}

/// Lower case only, as the recommendation has it.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(text: &str) -> Option<TraceContext> {
        TraceContext::parse(text.as_bytes())
    }

    #[test]
    fn what_the_recommendation_shows_is_read() {
        let context = read(GOOD).unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.to_string(), GOOD);
        assert!(context.is_sampled());
        // A later version: what is known of it counts, and ours is sent.
        let later = GOOD.replacen("00", "cc", 1);
        assert_eq!(read(&later), Some(context));
        assert_eq!(read(&format!("{later}-what-comes-then")), Some(context));
        assert!(!read(&GOOD.replace("-01", "-02")).unwrap().is_sampled());
        // Unknown flags are not passed on.
        assert_eq!(read(&GOOD.replace("-01", "-ff")).unwrap().flags, 3);
    }

    #[test]
    fn what_it_forbids_is_not() {
        for wrong in [
            "",
            "00",
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("00", "0", 1),
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("4bf9", "4bg9"),
            &GOOD.replace('-', "_"),
            &format!("{GOOD}-"),
            &format!("{GOOD}x"),
            &format!("cc{}x", &GOOD[2..]),
            &format!(" {}", &GOOD[1..]),
            &format!(" {GOOD} "),
            &GOOD.replacen("00-4", "00-+", 1),
            &GOOD.replace("-00f0", "-+0f0"),
            &GOOD.replace("-01", "-+1"),
            &GOOD.replace("-01", "-1"),
            &GOOD.replacen("00-", "0-", 1),
            "00-1-2-01",
            &GOOD[..54],
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let mut twice = HeaderMap::new();
        twice.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceContext::read(&twice).is_some());
        twice.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceContext::read(&twice), None);
    }

    #[test]
    fn a_share_of_the_traces_begun_here_is_sampled() {
        let random = Random::seeded(7);
        let sampled = |points| {
            let share = Percent::from_basis_points(points).unwrap();
            let begun = || TraceContext::begin(|| random.next(), share);
            (0..20_000).filter(|_| begun().is_sampled()).count()
        };
        assert_eq!(sampled(0), 0);
        assert_eq!(sampled(10_000), 20_000);
        let tenth = sampled(1_000);
        assert!((1_800..2_200).contains(&tenth), "{tenth}");
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read_again(seed: u64, points in 0..=10_000u16) {
            let random = Random::seeded(seed);
            let share = Percent::from_basis_points(points).unwrap();
            let begun = TraceContext::begin(|| random.next(), share);
            prop_assert_eq!(read(&begun.to_string()), Some(begun));
            let child = begun.child(|| random.next());
            prop_assert_eq!((child.trace, child.flags), (begun.trace, begun.flags));
            prop_assert_ne!(child.span, begun.span);
        }

        #[test]
        fn nothing_panics(text: Vec<u8>, at in 0..55usize, byte: u8) {
            TraceContext::parse(&text);
            let mut near = GOOD.as_bytes().to_vec();
            near[at] = byte;
            TraceContext::parse(&near);
        }
    }
}
