//! Whether the old side of an extraction is used, and what is missing until it may go.

use super::{
    checklist::{ListView, list},
    format,
};
use crate::role::Role;
use conductor::status::{ChecklistStatus, ExtractionStatus, QuietStatus, RetireStatus};
use report::clock::{length, minute};
use std::cmp::Reverse;

/// The list that `banyan retire` wants done.
const DECOMMISSIONING: &str = "decommissioning";

/// What the page shows.
#[derive(Debug)]
pub(crate) struct RetireView {
    pub(crate) name: String,
    pub(crate) lead: String,
    pub(crate) trouble: Option<String>,
    /// For how long nobody may use it.
    pub(crate) wanted: String,
    /// Empty before the evidence begins.
    pub(crate) evidence: Vec<EvidenceLine>,
    pub(crate) counts: Vec<CountLine>,
    /// Who came by the old ways, the most frequent first.
    pub(crate) callers: Vec<CallerLine>,
    /// Whose counts these are, and of when.
    pub(crate) counted: String,
    pub(crate) list: Option<ListView>,
    /// Whether `banyan retire` would write the files now.
    pub(crate) is_ready: bool,
}

/// Something that is to be unused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EvidenceLine {
    pub(crate) what: &'static str,
    /// Of 100, for the bar.
    pub(crate) width: String,
    pub(crate) quiet: String,
    pub(crate) since: String,
    pub(crate) class: &'static str,
    pub(crate) chip: String,
}

/// What the monolith's server has counted of a table.
#[derive(Debug)]
pub(crate) struct CountLine {
    pub(crate) table: String,
    pub(crate) reads: String,
    pub(crate) writes: String,
}

/// Who came by an old way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallerLine {
    pub(crate) route: String,
    pub(crate) agent: String,
    pub(crate) requests: String,
    pub(crate) refused: String,
}

/// The page of an extraction's old side.
pub(crate) fn retire(
    one: &ExtractionStatus,
    found: &RetireStatus,
    lists: &[ChecklistStatus],
    role: Role,
    now_ms: i64,
) -> RetireView {
    let decommissioning = lists.iter().find(|list| list.name == DECOMMISSIONING);
    let open = decommissioning.map_or(0, |list| {
        list.items
            .iter()
            .filter(|item| item.state != "done")
            .count()
    });
    let both = [
        ("the old tables", found.tables.as_ref()),
        ("the routes to the monolith", found.routes.as_ref()),
    ];
    let lines = both
        .into_iter()
        .filter_map(|(what, quiet)| Some(line(what, quiet?, found.wanted_ms, now_ms)));
    let has_begun = found.tables.is_some();
    let counts = found.counts.as_ref();
    let tables = counts.into_iter().flat_map(|counts| &counts.tables);
    RetireView {
        name: one.name.clone(),
        lead: lead(found, open, now_ms),
        // Before `finish` that is no trouble, and said first.
        trouble: found.trouble.clone().filter(|_| has_begun),
        wanted: length(found.wanted_ms),
        evidence: lines.collect(),
        counts: tables
            .map(|(table, counts)| CountLine {
                table: table.clone(),
                reads: format::count(counts.reads.try_into().unwrap_or_default()),
                writes: format::count(counts.writes.try_into().unwrap_or_default()),
            })
            .collect(),
        callers: callers(found),
        counted: counts.map_or_else(String::new, |counts| {
            format!(
                "Counted by the monolith's server since its statistics began, at {} by its clock.",
                minute(counts.at.0)
            )
        }),
        list: decommissioning.map(|one| list(one, role)),
        is_ready: found.enough && open == 0,
    }
}

fn lead(found: &RetireStatus, open: usize, now_ms: i64) -> String {
    if found.tables.is_none() {
        let why = found.trouble.as_deref().unwrap_or("nothing was seen yet");
        return format!(
            "There is no evidence yet that nobody uses the old side: {why}. From then on nothing \
             of Banyan's own reads or writes the old tables, and whoever else does is seen."
        );
    }
    let missing = [&found.tables, &found.routes]
        .into_iter()
        .flatten()
        .map(|quiet| missing_ms(quiet, found.wanted_ms))
        .max()
        .unwrap_or(found.wanted_ms);
    let items = match open {
        0 => String::new(),
        1 => " One item of the checklist is open.".to_owned(),
        open => format!(" {open} items of the checklist are open."),
    };
    if missing > 0 || !found.enough {
        return format!(
            "Nobody may use the old side for {}. If nobody does, that is proven on {} at the \
             earliest, in {}.{items}",
            length(found.wanted_ms),
            minute(now_ms.saturating_add(missing)),
            length(missing)
        );
    }
    match open {
        0 => format!(
            "Nobody has used the old side for {}, and the checklist is done: it can be retired.",
            length(found.wanted_ms)
        ),
        _ => format!(
            "Nobody has used the old side for {}.{items}",
            length(found.wanted_ms)
        ),
    }
}

fn callers(found: &RetireStatus) -> Vec<CallerLine> {
    let mut all: Vec<_> = found.callers.iter().collect();
    all.sort_by_key(|one| Reverse(one.requests));
    let lines = all.into_iter().map(|one| CallerLine {
        route: one.route.clone(),
        agent: one.agent.clone(),
        requests: format::count(one.requests),
        refused: format::count(one.refused),
    });
    lines.collect()
}

fn missing_ms(quiet: &QuietStatus, wanted_ms: i64) -> i64 {
    wanted_ms.saturating_sub(quiet.quiet_ms).max(0)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn line(what: &'static str, quiet: &QuietStatus, wanted_ms: i64, now_ms: i64) -> EvidenceLine {
    let share = (100.0 * quiet.quiet_ms.max(0) as f64 / wanted_ms.max(1) as f64).min(100.0);
    let missing = missing_ms(quiet, wanted_ms);
    EvidenceLine {
        what,
        width: format!("{share:.2}"),
        quiet: format!("{} of {}", length(quiet.quiet_ms), length(wanted_ms)),
        since: format!(
            "since {}: {}{}",
            minute(quiet.since_ms),
            quiet.because,
            if quiet.enough {
                String::new()
            } else {
                let enough = now_ms.saturating_add(missing);
                format!("; long enough on {}", minute(enough))
            }
        ),
        class: if quiet.enough { "pass" } else { "wait" },
        chip: if quiet.enough {
            "long enough".to_owned()
        } else {
            format!("{} to go", length(missing))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::status::ItemStatus;
    use serde_json::json;

    const DAY: i64 = 86_400_000;

    fn quiet(days: i64) -> QuietStatus {
        QuietStatus {
            since_ms: 0,
            quiet_ms: days * DAY,
            because: "it was looked at from then on".to_owned(),
            enough: days >= 14,
        }
    }

    fn shown(tables: i64, routes: i64, items: &[&str]) -> RetireView {
        let found = RetireStatus {
            enough: tables >= 14 && routes >= 14,
            wanted_ms: 14 * DAY,
            tables: Some(quiet(tables)),
            routes: Some(quiet(routes)),
            ..RetireStatus::default()
        };
        let item = |state: &&str| ItemStatus {
            state: (*state).to_owned(),
            ..ItemStatus::default()
        };
        let list = ChecklistStatus {
            name: DECOMMISSIONING.to_owned(),
            done: false,
            items: items.iter().map(item).collect(),
        };
        let one = ExtractionStatus::default();
        retire(&one, &found, &[list], Role::Viewer, 20 * DAY)
    }

    #[test]
    fn it_says_what_is_missing_and_until_when() {
        let view = shown(10, 14, &["done", "open"]);
        assert!(!view.is_ready);
        assert_eq!(
            view.lead,
            "Nobody may use the old side for 14 d. If nobody does, that is proven on 1970-01-25 \
             00:00 UTC at the earliest, in 4 d. One item of the checklist is open."
        );
        let chips: Vec<_> = view.evidence.iter().map(|one| one.chip.as_str()).collect();
        assert_eq!(chips, ["4 d to go", "long enough"]);
        let since = &view.evidence[0].since;
        assert!(
            since.ends_with("then on; long enough on 1970-01-25 00:00 UTC"),
            "{since}"
        );
        assert_eq!(view.evidence[0].width, "71.43");

        let view = shown(15, 14, &["done", "open", "failed"]);
        assert!(!view.is_ready, "the list is not done");
        assert!(view.lead.ends_with("2 items of the checklist are open."));
        let view = shown(15, 14, &["done"]);
        assert!(view.is_ready);
        assert!(view.lead.ends_with("it can be retired."), "{}", view.lead);
    }

    #[test]
    fn before_the_end_there_is_no_evidence() {
        let found = RetireStatus {
            wanted_ms: 14 * DAY,
            trouble: Some("it is not looked at before `banyan finish`".to_owned()),
            ..RetireStatus::default()
        };
        let one = ExtractionStatus::default();
        let view = retire(&one, &found, &[], Role::Viewer, 0);
        assert!(view.lead.contains("not looked at before `banyan finish`."));
        assert!(view.evidence.is_empty() && view.trouble.is_none() && !view.is_ready);
    }

    #[test]
    fn who_came_by_the_old_ways_is_listed_the_most_frequent_first() {
        let callers = json!([
            { "route": "GET /legacy/*", "agent": "curl", "requests": 2, "refused": 1 },
            { "route": "GET /legacy/*", "agent": "browser", "requests": 7, "refused": 1 },
        ]);
        let found = RetireStatus {
            callers: serde_json::from_value(callers).unwrap(),
            ..RetireStatus::default()
        };
        let view = retire(&ExtractionStatus::default(), &found, &[], Role::Viewer, 0);
        let lines = view.callers.iter();
        let lines: Vec<_> = lines
            .map(|one| {
                (
                    one.agent.as_str(),
                    one.requests.as_str(),
                    one.refused.as_str(),
                )
            })
            .collect();
        assert_eq!(lines, [("browser", "7", "1"), ("curl", "2", "1")]);
    }
}
