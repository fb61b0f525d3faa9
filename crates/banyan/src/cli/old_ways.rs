//! The old ways to a monolith, in words: who came by them, and until when they are refused.

use conductor::status::ExtractionStatus;
use protocol::retire::OldCaller;
use report::clock::minute;

/// The most callers that are named.
const CALLERS_MAX: usize = 10;

/// That one lasts.
pub(super) fn line(one: &ExtractionStatus) -> Option<String> {
    let brown_out = one.brown_out.as_ref()?;
    Some(format!(
        "until {} its old ways answer 410, by {}: `banyan brown-out {} --end` ends that, `banyan \
         retire {}` says who came",
        minute(brown_out.until_ms),
        brown_out.by,
        one.name,
        one.name
    ))
}

/// Who came by the old ways, the most frequent first.
pub(super) fn callers(all: &[OldCaller]) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    let mut sorted: Vec<_> = all.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.requests));
    let named = sorted.iter().take(CALLERS_MAX).map(|one| {
        format!(
            "`{}` by `{}`: {} times, refused {}",
            one.route, one.agent, one.requests, one.refused
        )
    });
    let rest = sorted.len().saturating_sub(CALLERS_MAX);
    let rest = (rest > 0).then(|| format!("{rest} more in `--json`"));
    let named: Vec<_> = named.chain(rest).collect();
    Some(format!("Who came by its old ways: {}", named.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_is_told_the_most_frequent_first() {
        let caller = |agent: &str, requests| OldCaller {
            route: "GET /legacy/*".to_owned(),
            agent: agent.to_owned(),
            requests,
            refused: 1,
        };
        assert_eq!(callers(&[]), None);
        let text = callers(&[caller("curl", 2), caller("browser", 7)]).unwrap();
        assert_eq!(
            text,
            "Who came by its old ways: `GET /legacy/*` by `browser`: 7 times, refused 1; `GET \
             /legacy/*` by `curl`: 2 times, refused 1"
        );
        let many: Vec<_> = (0..12).map(|at| caller(&format!("a{at}"), at)).collect();
        assert!(callers(&many).unwrap().ends_with("2 more in `--json`"));
    }
}
