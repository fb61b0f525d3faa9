//! What it would cost to go back, as far as the status knows it.
//!
//! Of rows that the old schema cannot hold it knows this: the stream back stops at the first
//! one, fails, and says which. So while that stream runs and is not behind there is none.

use crate::{
    ports::StreamProgress,
    status::{ExtractionStatus, WayBack},
};

/// What ends the way back for good.
const NO_RETURN: &str = "finish";

/// What it would cost to go back now.
pub fn way_back(one: &ExtractionStatus) -> WayBack {
    let ahead = WayBack {
        no_return: Some(NO_RETURN.to_owned()),
        ..WayBack::default()
    };
    match one.phase.as_str() {
        _ if one.owner == "unknown" => ahead.not("who owns the data is not known for now"),
        "planned" => ahead.by(None, "nothing has begun, so there is nothing to take back"),
        "preparing" | "copying" => ahead.by(
            Some("cancel"),
            "the monolith has all requests; `banyan cancel` takes away what was made and copied",
        ),
        "following" if one.reads_percent > 0.0 => ahead.by(
            Some("withdraw"),
            "`banyan withdraw` sends all reads back at once; no data move, since the monolith has \
             all writes",
        ),
        "following" => ahead.by(
            Some("cancel"),
            "the monolith has all requests; `banyan cancel` takes away what was copied",
        ),
        "shared" => ahead.by(
            Some("withdraw"),
            "`banyan withdraw` sends all back at once; no data move, since both sides share them",
        ),
        "switching" | "rolling-back" | "rehearsing" => {
            ahead.not("a hand-over is under way: it commits, or is undone by itself")
        }
        "switched" => after_the_switch(one, ahead),
        "cancelling" => ahead.not("it is being cancelled, which is the way back"),
        "finishing" | "finished" => WayBack::default()
            .not("it was finished: nothing flows back, and the monolith's fence is gone"),
        phase => ahead.not(&format!("it is {phase}")),
    }
}

/// The service owns: what was written since has to flow back.
fn after_the_switch(one: &ExtractionStatus, ahead: WayBack) -> WayBack {
    let Some(reverse) = &one.progress.reverse else {
        return ahead.not("the stream back to the monolith does not run yet");
    };
    let found = WayBack {
        by: Some("rollback".to_owned()),
        lag_bytes: Some(reverse.lag_bytes),
        lag_seconds: Some(reverse.lag_seconds),
        stays: split(one),
        ..ahead
    };
    let hindrances = hindrances(one, reverse);
    if !hindrances.is_empty() {
        return found.not(&hindrances.join("; "));
    }
    let behind = match reverse.lag_bytes {
        0 => "all that was written since is there already".to_owned(),
        bytes => format!(
            "{bytes} bytes ({:.1} s) of what was written since are still to flow",
            reverse.lag_seconds
        ),
    };
    let stays = match found.stays.as_slice() {
        [] => String::new(),
        tables => format!("; of {} each side keeps its own", tables.join(", ")),
    };
    let text = format!(
        "`banyan rollback` hands the writes back and holds them meanwhile; {behind}, and the \
         monolith's tables have taken all of it so far{stays}"
    );
    WayBack {
        possible: true,
        text,
        ..found
    }
}

/// What a rollback would be refused for.
fn hindrances(one: &ExtractionStatus, reverse: &StreamProgress) -> Vec<String> {
    let mut found = Vec::new();
    match (reverse.state.as_str(), &reverse.trouble) {
        ("failed", Some(trouble)) => found.push(format!(
            "the stream back has stopped at what the monolith does not take: {trouble}"
        )),
        (_, Some(trouble)) => found.push(format!(
            "the stream back is not well, and is tried again by itself: {trouble}"
        )),
        ("ended", None) => found.push("the stream back has ended".to_owned()),
        _ => {}
    }
    let health = one.health.as_ref().map(|health| &health.monolith);
    if let Some(sick) = health.filter(|health| health.state == "unhealthy") {
        let reason = sick.reason.as_deref().unwrap_or("it does not say why");
        found.push(format!(
            "the monolith is not healthy: {reason} (`--unhealthy` goes back all the same)"
        ));
    }
    for rows in &one.progress.seen.rows_past_fence {
        found.push(format!(
            "{} changes were written past the {}'s fence: `banyan verify {}`",
            rows.rows, rows.side, one.name
        ));
    }
    found
}

/// Tables of which each side keeps its own.
fn split(one: &ExtractionStatus) -> Vec<String> {
    let tables = one.progress.shared_tables.iter();
    let split = tables.filter(|table| table.writes == "split");
    split.map(|table| table.table.clone()).collect()
}

impl WayBack {
    fn not(self, why: &str) -> Self {
        Self {
            possible: false,
            text: why.to_owned(),
            ..self
        }
    }

    fn by(self, verb: Option<&str>, text: &str) -> Self {
        Self {
            possible: true,
            by: verb.map(str::to_owned),
            text: text.to_owned(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::{Progress, SharedTable},
        status::{HealthStatus, SideHealth},
    };

    fn switched(reverse: StreamProgress) -> ExtractionStatus {
        ExtractionStatus {
            name: "orders".to_owned(),
            phase: "switched".to_owned(),
            owner: "service".to_owned(),
            progress: Progress {
                reverse: Some(reverse),
                ..Progress::default()
            },
            ..ExtractionStatus::default()
        }
    }

    fn stream(state: &str, lag_bytes: u64, trouble: Option<&str>) -> StreamProgress {
        StreamProgress {
            state: state.to_owned(),
            lag_bytes,
            lag_seconds: 1.25,
            trouble: trouble.map(str::to_owned),
            ..StreamProgress::default()
        }
    }

    #[test]
    fn after_the_switch_it_costs_what_has_still_to_flow() {
        let back = way_back(&switched(stream("applying", 0, None)));
        assert!(back.possible && back.text.contains("is there already"));
        let back = way_back(&switched(stream("applying", 700, None)));
        assert!(back.possible);
        assert!(back.text.contains("700 bytes (1.2 s)"), "{}", back.text);
        assert_eq!((back.lag_bytes, back.lag_seconds), (Some(700), Some(1.25)));
        assert_eq!(back.no_return.as_deref(), Some("finish"));
        let mut split = switched(stream("applying", 0, None));
        split.progress.shared_tables = vec![SharedTable {
            table: "sessions".to_owned(),
            writes: "split".to_owned(),
            flows: false,
        }];
        assert!(way_back(&split).text.contains("of sessions each side"));
    }

    #[test]
    fn what_hinders_it_is_named() {
        let full = "orders_note: value too long for varchar(5)";
        let failed = way_back(&switched(stream("failed", 700, Some(full))));
        assert!(!failed.possible);
        for part in ["stopped at what the monolith does not take", full] {
            assert!(failed.text.contains(part), "{}", failed.text);
        }
        let mut sick = switched(stream("applying", 0, None));
        sick.health = Some(HealthStatus {
            monolith: SideHealth {
                state: "unhealthy".to_owned(),
                reason: Some("503".to_owned()),
                for_seconds: None,
            },
            ..HealthStatus::default()
        });
        let sick = way_back(&sick);
        assert!(!sick.possible && sick.text.contains("not healthy: 503"));
        let ended = way_back(&switched(stream("ended", 0, None)));
        assert!(!ended.possible);
    }

    #[test]
    fn each_phase_has_a_way_back_or_says_why_not() {
        let of = |phase: &str, reads_percent| {
            let back = way_back(&ExtractionStatus {
                phase: phase.to_owned(),
                owner: "monolith".to_owned(),
                reads_percent,
                ..ExtractionStatus::default()
            });
            assert!(!back.text.is_empty(), "{phase}");
            (back.possible, back.by, back.no_return.is_some())
        };
        let by = |verb: &str| Some(verb.to_owned());
        assert_eq!(of("planned", 0.0), (true, None, true));
        assert_eq!(of("copying", 0.0), (true, by("cancel"), true));
        assert_eq!(of("following", 0.0), (true, by("cancel"), true));
        assert_eq!(of("following", 5.0), (true, by("withdraw"), true));
        assert_eq!(of("switching", 5.0), (false, None, true));
        assert_eq!(of("finished", 100.0), (false, None, false));
    }
}
