//! Rules about tables that stay and are tied to those that move by what is done
//! with them, not by a constraint.

use super::staying_facts::{StayingFacts, Together};
use plan::TableName;
use protocol::finding::{Finding, FindingId as Id};

/// Rules about the monolith's side.
pub(super) fn of_monolith(facts: &StayingFacts) -> Vec<Finding> {
    let together = facts.together.iter().map(written_together);
    let keys = facts.idempotency_keys.iter().map(idempotency_keys);
    together.chain(keys).collect()
}

fn written_together(one: &Together) -> Finding {
    let Together {
        table,
        with,
        transactions,
    } = one;
    let moved: Vec<String> = with.iter().map(ToString::to_string).collect();
    Finding::warn(
        Id::WrittenTogether,
        format!("{table}, which stays"),
        format!(
            "at least {transactions} transactions wrote it together with tables that move ({}): \
             after a switch neither side could do both, and a switch is refused once one is seen",
            moved.join(", ")
        ),
        format!(
            "Move it as well, list it under `tables:` as `{table}: {{ writes: append }}` or `{{ \
             writes: split }}`, or split the transaction"
        ),
    )
}

fn idempotency_keys(table: &TableName) -> Finding {
    Finding::warn(
        Id::IdempotencyKeys,
        format!("{table}, which stays"),
        "it looks like the keys by which repeated requests are recognised: a request that the \
         monolith answered before the switch, and that its client repeats after it, meets a service \
         that knows nothing of it, and is executed twice",
        format!(
            "If only requests of the routes that move have such keys, let it move. If others have \
             them, too, list it under `tables:` as `{table}: {{ writes: split }}`: the service then \
             has those from before the switch. If none of the routes that move has: nothing"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn both_sides_of_a_torn_transaction_are_named() {
        let name = |table: &str| TableName {
            schema: "s".into(),
            table: table.into(),
        };
        let facts = StayingFacts {
            together: vec![Together {
                table: name("audit"),
                with: BTreeSet::from([name("orders"), name("items")]),
                transactions: 4,
            }],
            idempotency_keys: vec![name("keys")],
        };
        let found = of_monolith(&facts);
        assert_eq!(found[0].object, "s.audit, which stays");
        let problem = &found[0].problem;
        assert!(problem.contains("4 transactions"), "{problem}");
        assert!(problem.contains("(s.items, s.orders)"), "{problem}");
        assert!(
            found[0]
                .remedy
                .words
                .contains("s.audit: { writes: append }")
        );
        assert!(found[1].object.contains("s.keys"));
        assert_eq!(of_monolith(&StayingFacts::default()), []);
    }
}
