//! The gates that go by the extraction's status, by a count and by the time of the week.

use crate::{ports::StreamProgress, status::ExtractionStatus};
use plan::{LagLimit, Length, WeekWindow};
use protocol::{
    Side,
    rollout::{Gate, GateKind, Standing, UnixMillis, Verdict},
};
use serde_json::{Value, json};
use std::time::Duration;

/// How old a proof may be that both sides agree, where the plan does not say.
const VERIFY_AGE: Duration = Duration::from_hours(24);

/// By how much a time may be ahead that was taken by another clock.
const CLOCKS_APART_MS: i64 = 60_000;

/// How far the side that does not own is behind. A stream that is not there or not well
/// says nothing of that, and so passes nothing.
pub(super) fn lag(limit: LagLimit, status: &ExtractionStatus, standing: Standing) -> Gate {
    let stream = match standing {
        Standing::Owned {
            by: Side::Service, ..
        } => status.progress.reverse.as_ref(),
        _ => status.progress.forward.as_ref(),
    };
    let is_well = |stream: &&StreamProgress| stream.state == "applying" && stream.trouble.is_none();
    let Some(stream) = stream.filter(is_well) else {
        let text = "the stream to the other side is not applying".to_owned();
        let evidence = json!({ "gate": "lag", "stream": stream.map(|one| &one.state) });
        return gate("lag", GateKind::Begin, Verdict::Unknown, text, evidence);
    };
    let (seconds, bytes) = (stream.lag_seconds, stream.lag_bytes);
    let is_young = limit
        .age
        .is_none_or(|age| seconds.is_finite() && seconds <= age.as_secs_f64());
    let is_short = limit.bytes.is_none_or(|most| bytes <= most.0);
    let verdict = if is_young && is_short {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    let evidence = json!({
        "gate": "lag", "seconds": seconds, "bytes": bytes,
        "max_seconds": limit.age.map(|age| age.as_secs_f64()),
        "max_bytes": limit.bytes.map(|most| most.0),
    });
    let text = format!("the other side is {seconds:.1} s and {bytes} bytes behind");
    gate("lag", GateKind::Begin, verdict, text, evidence)
}

/// Whether both sides were proven to agree lately. Where they share the data there is
/// nothing to compare.
pub(super) fn verify(
    max_age: Option<Duration>,
    status: &ExtractionStatus,
    standing: Standing,
    now: UnixMillis,
) -> Option<Gate> {
    let Standing::Owned { writes: None, .. } = standing else {
        return None;
    };
    let max_age = max_age.unwrap_or(VERIFY_AGE);
    let last = status.last_verify.as_ref();
    let (verdict, text) = match last {
        None => (Verdict::NeedMore, "nothing was compared yet".to_owned()),
        Some(last) if last.differences > 0 => {
            let text = format!("{} rows differed at the last verify", last.differences);
            (Verdict::Fail, text)
        }
        // A clock that was wrong then would have it count for longer.
        Some(last) if last.at_ms > now.0.saturating_add(CLOCKS_APART_MS) => {
            let text = "the last verify is of a time to come: a clock was set back".to_owned();
            (Verdict::NeedMore, text)
        }
        Some(last) => {
            let age = u64::try_from(now.0.saturating_sub(last.at_ms)).unwrap_or(0);
            let age = Duration::from_millis(age);
            let hours = age.as_secs_f64() / 3600.0;
            let most = Length(max_age);
            let text = format!("no row differed {hours:.1} h ago, and that counts for {most}");
            let verdict = if age <= max_age {
                Verdict::Pass
            } else {
                Verdict::NeedMore
            };
            (verdict, text)
        }
    };
    let evidence = json!({
        "gate": "verify",
        "at": last.map(|last| last.at_ms),
        "rows": last.map(|last| last.rows),
        "differences": last.map(|last| last.differences),
        "max_age_seconds": max_age.as_secs_f64(),
    });
    Some(gate("verify", GateKind::Proof, verdict, text, evidence))
}

/// What the service has answered in the step, of what is needed.
pub(super) fn requests(have: u64, need: u64) -> Gate {
    let verdict = if have >= need {
        Verdict::Pass
    } else {
        Verdict::NeedMore
    };
    let text = format!("{have} of {need} requests");
    let evidence = json!({ "gate": "requests", "have": have, "need": need });
    gate("requests", GateKind::Enough, verdict, text, evidence)
}

/// Whether steps may begin at this time of the week.
pub(super) fn window(window: WeekWindow, now: UnixMillis) -> Gate {
    let is_open = window.has(now.0);
    let (verdict, text) = if is_open {
        (Verdict::Pass, "it is open")
    } else {
        (Verdict::Fail, "steps begin in the plan's window only")
    };
    let evidence = json!({ "gate": "window", "at": now.0, "open": is_open });
    gate(
        "window",
        GateKind::Begin,
        verdict,
        text.to_owned(),
        evidence,
    )
}

fn gate(name: &str, kind: GateKind, verdict: Verdict, text: String, evidence: Value) -> Gate {
    Gate {
        name: name.to_owned(),
        kind,
        is_dry_run: false,
        verdict,
        text,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::VerifyStatus;
    use plan::{ByteSize, Percent};

    fn owned(by: Side, writes: Option<Percent>) -> Standing {
        Standing::Owned {
            by,
            reads: Percent::ZERO,
            writes,
        }
    }

    fn stream(state: &str, lag_seconds: f64, lag_bytes: u64) -> StreamProgress {
        StreamProgress {
            state: state.to_owned(),
            trouble: None,
            lag_bytes,
            lag_seconds,
            retained_bytes: None,
            transactions: 0,
            rows: 0,
        }
    }

    #[test]
    fn both_lags_are_judged_and_a_stream_that_is_not_well_passes_nothing() {
        let well = || stream("applying", 1.0, 1024);
        let in_trouble = StreamProgress {
            trouble: Some("a row does not fit".to_owned()),
            ..well()
        };
        let (five, kilobyte) = (Some(Duration::from_secs(5)), Some(ByteSize(1024)));
        for (stream, age, bytes, wanted) in [
            (Some(well()), five, None, Verdict::Pass),
            (Some(well()), None, kilobyte, Verdict::Pass),
            (Some(well()), five, kilobyte, Verdict::Pass),
            (
                Some(stream("applying", 5.1, 0)),
                five,
                kilobyte,
                Verdict::Fail,
            ),
            (
                Some(stream("applying", 0.0, 1025)),
                five,
                kilobyte,
                Verdict::Fail,
            ),
            // No limit is set on it.
            (
                Some(stream("applying", 9.0, 0)),
                None,
                kilobyte,
                Verdict::Pass,
            ),
            (
                Some(stream("applying", 0.0, 9999)),
                five,
                None,
                Verdict::Pass,
            ),
            (
                Some(stream("applying", f64::INFINITY, 0)),
                five,
                None,
                Verdict::Fail,
            ),
            (
                Some(stream("applying", f64::NAN, 0)),
                five,
                None,
                Verdict::Fail,
            ),
            (
                Some(stream("stopped", 0.0, 0)),
                five,
                None,
                Verdict::Unknown,
            ),
            (Some(in_trouble), five, None, Verdict::Unknown),
            (None, five, None, Verdict::Unknown),
        ] {
            let limit = LagLimit { age, bytes };
            let mut status = ExtractionStatus::default();
            status.progress.forward = stream;
            let gate = lag(limit, &status, owned(Side::Monolith, None));
            let of = &status.progress.forward;
            assert_eq!(gate.verdict, wanted, "{of:?}, {limit:?}: {}", gate.text);
            assert_eq!(gate.kind, GateKind::Begin);
        }
    }

    /// The stream that counts is the one to the side that does not own.
    #[test]
    fn after_the_switch_the_lag_is_that_of_the_way_back() {
        let limit = LagLimit {
            age: Some(Duration::from_secs(5)),
            bytes: None,
        };
        let mut status = ExtractionStatus::default();
        status.progress.forward = Some(stream("ended", 0.0, 0));
        status.progress.reverse = Some(stream("applying", 9.0, 7));
        let switched = owned(Side::Service, None);
        let gate = lag(limit, &status, switched);
        assert_eq!(gate.verdict, Verdict::Fail, "{}", gate.text);
        assert_eq!(gate.evidence["seconds"], 9.0);
        status.progress.reverse = Some(stream("applying", 1.0, 7));
        assert_eq!(lag(limit, &status, switched).verdict, Verdict::Pass);
        status.progress.reverse = None;
        assert_eq!(lag(limit, &status, switched).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_verify_counts_while_it_is_young_and_found_nothing() {
        let hour = 3_600_000;
        let now = UnixMillis(100 * hour);
        let verified = |at_ms, differences| {
            Some(VerifyStatus {
                rows: 7,
                differences,
                at_ms,
                tables: Vec::new(),
            })
        };
        let hours = |hours| Some(Duration::from_hours(hours));
        for (last_verify, max_age, wanted) in [
            (None, None, Verdict::NeedMore),
            (verified(76 * hour, 0), None, Verdict::Pass),
            (verified(76 * hour - 1, 0), None, Verdict::NeedMore),
            (verified(76 * hour, 0), hours(1), Verdict::NeedMore),
            (verified(99 * hour, 0), hours(1), Verdict::Pass),
            (verified(99 * hour, 2), hours(1), Verdict::Fail),
            // By another clock; and by one that was wrong, and was set back since.
            (verified(100 * hour + 60_000, 0), hours(1), Verdict::Pass),
            (verified(101 * hour, 0), hours(1), Verdict::NeedMore),
        ] {
            let status = ExtractionStatus {
                last_verify,
                ..ExtractionStatus::default()
            };
            let own = owned(Side::Monolith, None);
            let gate = verify(max_age, &status, own, now).unwrap();
            let last = &status.last_verify;
            assert_eq!(gate.verdict, wanted, "{last:?}, {max_age:?}: {}", gate.text);
            assert_eq!(gate.evidence["at"], json!(last.as_ref().map(|it| it.at_ms)));
        }
        let status = ExtractionStatus::default();
        let shared = owned(Side::Monolith, Some(Percent::ZERO));
        assert_eq!(verify(None, &status, shared, now), None);
        assert_eq!(verify(None, &status, Standing::HandingOver, now), None);
    }
}
