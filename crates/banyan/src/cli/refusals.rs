//! What a fence has refused, in words.

use conductor::status::{FailedRoute, RefusalStatus};
use protocol::Side;

/// The most routes that are named; `--json` has more.
const SHOWN_MAX: usize = 5;

/// What was refused, what failed meanwhile, and what to do.
pub(super) fn text(refused: &RefusalStatus, owner: &str) -> String {
    let RefusalStatus {
        side,
        statements,
        first_seen,
        last_seen,
        failed,
        ..
    } = refused;
    let count = match statements {
        1 => "1 statement".to_owned(),
        many => format!("{many} statements"),
    };
    let meanwhile = if failed.is_empty() {
        String::new()
    } else {
        format!(" Meanwhile the {side} answered 5xx on: {}.", named(failed))
    };
    format!(
        "the {side}'s fence has refused {count} since {first_seen}, the last at {last_seen}.\
         {meanwhile} {}",
        remedy(side, owner, failed)
    )
}

fn remedy(side: &str, owner: &str, failed: &[FailedRoute]) -> String {
    if side == owner {
        return "It owns the data now: what its fence still refuses is TRUNCATE of a table that both \
                sides insert into (`writes: append`). Delete the rows instead"
            .to_owned();
    }
    if side == Side::Monolith.as_str() {
        return "Something there still writes tables that have moved: give its routes to the \
                extraction, or have it write through the gateway"
            .to_owned();
    }
    match failed.iter().find(|route| route.is_read) {
        Some(read) => format!(
            "Reads that write belong to the owner: give the route `{}` of the plan `as: writes`, \
             and `banyan reload`. Until then the share of the reads goes back to 0%",
            read.path
        ),
        None => "Something there writes tables that the monolith still owns".to_owned(),
    }
}

/// What was shifted though it writes.
pub(super) fn waived_text(waived: &[FailedRoute]) -> Option<String> {
    (!waived.is_empty()).then(|| {
        format!(
            "Reads that write stay shifted until the next start of `banyan serve`: {}. Another \
             route that is seen to write sends the reads back",
            named(waived)
        )
    })
}

fn named(failed: &[FailedRoute]) -> String {
    let one = |route: &FailedRoute| format!("{} {} ({})", route.method, route.path, route.answers);
    let mut named: Vec<_> = failed.iter().take(SHOWN_MAX).map(one).collect();
    if failed.len() > SHOWN_MAX {
        named.push(format!("{} more", failed.len() - SHOWN_MAX));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str, is_read: bool, answers: u64) -> FailedRoute {
        FailedRoute {
            method: method.to_owned(),
            path: path.to_owned(),
            has_route: true,
            is_read,
            answers,
        }
    }

    fn refused(side: &str, statements: u64, failed: Vec<FailedRoute>) -> String {
        let owner = if side == "monolith" {
            "service"
        } else {
            "monolith"
        };
        text(&status(side, statements, failed), owner)
    }

    fn status(side: &str, statements: u64, failed: Vec<FailedRoute>) -> RefusalStatus {
        RefusalStatus {
            side: side.to_owned(),
            statements,
            first_seen: "A".to_owned(),
            last_seen: "B".to_owned(),
            last_seen_ms: 1,
            failed,
        }
    }

    #[test]
    fn an_owner_is_not_told_that_its_tables_have_moved() {
        for owner in ["monolith", "service"] {
            let text = text(&status(owner, 1, vec![route("GET", "/x", true, 1)]), owner);
            assert!(text.contains("TRUNCATE of a table"), "{text}");
            assert!(!text.contains("have moved") && !text.contains("as: writes"));
        }
    }

    #[test]
    fn it_names_the_side_the_routes_and_the_way_out() {
        let text = refused("monolith", 1, vec![route("POST", "/admin/x/*", false, 3)]);
        assert!(
            text.starts_with(
                "the monolith's fence has refused 1 statement since A, the last at B. Meanwhile the \
                 monolith answered 5xx on: POST /admin/x/* (3). Something there still writes"
            ),
            "{text}"
        );
        let text = refused("service", 7, vec![route("GET", "/orders/*", true, 7)]);
        assert!(
            text.contains("`/orders/*` of the plan `as: writes`"),
            "{text}"
        );
        let text = refused("service", 2, Vec::new());
        assert!(
            text.contains("2 statements") && !text.contains("Meanwhile"),
            "{text}"
        );
        let many = (0..8).map(|at| route("PUT", "/", false, at)).collect();
        assert!(refused("monolith", 8, many).contains("PUT / (4), 3 more. "));
    }
}
