//! Rules about checks and exclusion constraints that both sides do not have
//! alike.
//!
//! A check, and an exclusion that is not deferrable, are enforced while rows are
//! applied: one that only the target has stops the stream. A deferrable one is a
//! trigger, which does not fire then.

use super::{
    cautions::REPLACES, constraints::drop_constraint, definitions::Texts, relations::TableFacts,
};
use crate::{
    catalog::constraints::{common_names, names_of},
    database::sql,
};
use plan::TableMapping;
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};

/// A check or an exclusion.
struct Rule<'a> {
    name: &'a str,
    definition: &'a str,
    /// What it forbids, with the service's names.
    forbids: String,
    deferrable: bool,
}

/// Which findings there are.
struct Kind {
    noun: &'static str,
    at_service: Id,
    at_monolith: Id,
}

const CHECKS: Kind = Kind {
    noun: "constraint",
    at_service: Id::CheckAtService,
    at_monolith: Id::CheckAtMonolith,
};

const EXCLUSIONS: Kind = Kind {
    noun: "exclusion constraint",
    at_service: Id::ExclusionAtService,
    at_monolith: Id::ExclusionAtMonolith,
};

/// Rules about the checks and exclusions of two tables.
pub(super) fn of_pair(
    mapping: &TableMapping,
    old: &TableFacts,
    new: &TableFacts,
    findings: &mut Vec<Finding>,
) {
    let pair = Pair {
        mapping,
        texts: Texts::of(mapping, &old.table, &new.table),
    };
    let (here, there) = (Side::Monolith, Side::Service);
    let checks = |side, facts| checks(mapping, side, facts);
    pair.compare(&CHECKS, &checks(here, old), &checks(there, new), findings);
    let exclusions = |side, facts| exclusions(mapping, side, facts);
    let (here, there) = (exclusions(here, old), exclusions(there, new));
    pair.compare(&EXCLUSIONS, &here, &there, findings);
}

fn checks<'a>(mapping: &TableMapping, side: Side, facts: &'a TableFacts) -> Vec<Rule<'a>> {
    let rules = facts.checks.iter().map(|one| Rule {
        name: &one.name,
        definition: &one.definition,
        forbids: common_names(mapping, side, &one.definition),
        deferrable: false,
    });
    rules.collect()
}

fn exclusions<'a>(mapping: &TableMapping, side: Side, facts: &'a TableFacts) -> Vec<Rule<'a>> {
    let rules = facts.exclusions.iter().map(|one| Rule {
        name: &one.name,
        definition: &one.definition,
        forbids: one.forbids(mapping, side),
        deferrable: one.deferrable,
    });
    rules.collect()
}

struct Pair<'a> {
    mapping: &'a TableMapping,
    texts: Texts<'a>,
}

impl Pair<'_> {
    fn alike(&self, old: &Rule<'_>, new: &Rule<'_>) -> bool {
        self.texts.same(self.mapping, &old.forbids, &new.forbids)
    }

    fn compare(&self, kind: &Kind, old: &[Rule<'_>], new: &[Rule<'_>], found: &mut Vec<Finding>) {
        let is_alone = |rule: &&Rule<'_>| !new.iter().any(|twin| self.alike(rule, twin));
        let mut alone: Vec<&Rule<'_>> = old.iter().filter(is_alone).collect();
        for rule in new {
            if let Some(twin) = old.iter().find(|twin| self.alike(twin, rule)) {
                if twin.deferrable != rule.deferrable {
                    found.push(self.deferrability(kind, twin, rule));
                }
                continue;
            }
            // Of the same name, and another one.
            let named = alone.iter().position(|twin| twin.name == rule.name);
            let twin = named.map(|at| alone.remove(at));
            found.push(self.at_service(kind, rule, twin));
        }
        for rule in alone {
            found.push(Finding::warn(
                kind.at_monolith,
                format!("{} {} on {}", kind.noun, rule.name, self.mapping.monolith),
                "the service has none like it: rows that it accepts may close the way back",
                Remedy::run("Run at the service", [self.add(Side::Service, rule)]),
            ));
        }
    }

    fn at_service(&self, kind: &Kind, rule: &Rule<'_>, twin: Option<&Rule<'_>>) -> Finding {
        let object = format!("{} {} on {}", kind.noun, rule.name, self.mapping.service);
        let drop = Statement::new(
            Side::Service,
            drop_constraint(&self.mapping.service, rule.name),
        );
        let has = match twin {
            Some(twin) => format!(
                "it is {}, the monolith's of that name is {}",
                rule.definition, twin.definition
            ),
            None => "the monolith has none like it".to_owned(),
        };
        let remedy = match twin {
            Some(twin) => Remedy::run(
                "Run at the service",
                [drop, self.add(Side::Service, twin)].map(|one| one.caution(REPLACES)),
            ),
            None => Remedy::run(
                "Add it to the monolith, or until after the switch drop it at the service: run one \
                 of",
                [self.add(Side::Monolith, rule), drop]
                    .map(|one| one.caution("one of two ways: which side is right is not known")),
            ),
        };
        if rule.deferrable {
            let problem = format!(
                "{has}, and as it is deferrable it is not enforced while rows are applied: what it \
                 forbids would be stored"
            );
            Finding::refuse(kind.at_service, object, problem, remedy)
        } else {
            let problem = format!("{has}: rows that it accepts may stop the copy and the stream");
            Finding::warn(kind.at_service, object, problem, remedy)
        }
    }

    fn deferrability(&self, kind: &Kind, old: &Rule<'_>, new: &Rule<'_>) -> Finding {
        let word = |rule: &Rule<'_>| {
            if rule.deferrable {
                "deferrable"
            } else {
                "not deferrable"
            }
        };
        Finding::refuse(
            Id::DeferrabilityDiffers,
            format!("{} {} on {}", kind.noun, new.name, self.mapping.service),
            format!(
                "it is {}, the monolith's {} is {}: what is in conflict within one transaction only \
                 stops the stream",
                word(new),
                old.name,
                word(old)
            ),
            Remedy::run(
                "Run at the service",
                [
                    Statement::new(
                        Side::Service,
                        drop_constraint(&self.mapping.service, new.name),
                    ),
                    self.add(Side::Service, old),
                ]
                .map(|one| one.caution(REPLACES)),
            ),
        )
    }

    /// What makes one of the other side's on this one.
    fn add(&self, side: Side, rule: &Rule<'_>) -> Statement {
        let table = match side {
            Side::Monolith => &self.mapping.monolith,
            Side::Service => &self.mapping.service,
        };
        let add = format!(
            "alter table {} add constraint {} {}",
            sql::table(table),
            sql::identifier(rule.name),
            names_of(self.mapping, side, rule.definition)
        );
        Statement::new(side, add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::exclusions::{Element, Exclusion},
        check::fixtures,
    };
    use plan::{ColumnName, ColumnPair, TableWrites};
    use protocol::finding::Severity;

    fn mapping() -> TableMapping {
        let table = fixtures::table(Vec::new()).table.name;
        TableMapping {
            monolith: table.clone(),
            service: table,
            writes: TableWrites::Owner,
            renames: vec![ColumnPair {
                monolith: ColumnName::new("room").unwrap(),
                service: ColumnName::new("Place").unwrap(),
            }],
        }
    }

    fn exclusion(column: &str, predicate: &str) -> Exclusion {
        let element = |expression: &str, operator: &str| Element {
            expression: expression.into(),
            collation: String::new(),
            collation_key: String::new(),
            operator: format!("operator(pg_catalog.{operator})"),
            operator_name: operator.into(),
        };
        let predicate_text = if predicate.is_empty() {
            String::new()
        } else {
            format!(" WHERE ({predicate})")
        };
        Exclusion {
            name: "apart".into(),
            definition: format!(
                "EXCLUDE USING gist ({column} WITH =, span WITH &&){predicate_text}"
            ),
            elements: vec![element(column, "="), element("span", "&&")],
            predicate: predicate.into(),
            deferrable: false,
        }
    }

    #[test]
    fn exclusions_are_compared_by_what_they_forbid() {
        type Spoil = fn(&mut Exclusion);
        use Severity::{Refuse, Warn};
        let cases: &[(Spoil, &[(Severity, Id)])] = &[
            (|_| {}, &[]),
            // Another name, order, access method: nothing else is forbidden.
            (
                |one| {
                    one.name = "otherwise".into();
                    one.elements.reverse();
                    one.definition = "EXCLUDE USING spgist".into();
                },
                &[],
            ),
            (
                |one| one.deferrable = true,
                &[(Refuse, Id::DeferrabilityDiffers)],
            ),
            (
                |one| one.predicate = "(id > 3)".into(),
                &[(Warn, Id::ExclusionAtService)],
            ),
            (
                |one| one.elements[1].operator_name = "-|-".into(),
                &[(Warn, Id::ExclusionAtService)],
            ),
            (
                |one| one.elements[0].collation_key = "icu de".into(),
                &[(Warn, Id::ExclusionAtService)],
            ),
            (
                |one| drop(one.elements.pop()),
                &[(Warn, Id::ExclusionAtService)],
            ),
            (
                |one| {
                    drop(one.elements.pop());
                    one.deferrable = true;
                },
                &[(Refuse, Id::ExclusionAtService)],
            ),
            (
                |one| {
                    one.name = "otherwise".into();
                    drop(one.elements.pop());
                },
                &[
                    (Warn, Id::ExclusionAtService),
                    (Warn, Id::ExclusionAtMonolith),
                ],
            ),
        ];
        for (at, (spoil, expected)) in cases.iter().enumerate() {
            let mut old = fixtures::table(Vec::new());
            let mut new = old.clone();
            old.exclusions = vec![exclusion("room", "")];
            new.exclusions = vec![exclusion("\"Place\"", "")];
            spoil(&mut new.exclusions[0]);
            let mut found = Vec::new();
            of_pair(&mapping(), &old, &new, &mut found);
            let ids: Vec<_> = found.iter().map(|one| (one.severity, one.id)).collect();
            assert_eq!(ids, *expected, "{at}: {found:?}");
        }
    }

    #[test]
    fn what_mends_it_has_the_names_of_its_side() {
        let mut old = fixtures::table(Vec::new());
        let mut new = old.clone();
        let mut found = Vec::new();
        old.exclusions = vec![exclusion("room", "room > 3")];
        of_pair(&mapping(), &old, &new, &mut found);
        assert_eq!(
            found[0].remedy.to_string(),
            "Run at the service: alter table \"s\".\"t\" add constraint \"apart\" EXCLUDE USING \
             gist (\"Place\" WITH =, span WITH &&) WHERE (\"Place\" > 3)"
        );
        old.exclusions.clear();
        new.exclusions = vec![exclusion("\"Place\"", "")];
        of_pair(&mapping(), &old, &new, &mut found);
        assert_eq!(
            found[1].remedy.to_string(),
            "Add it to the monolith, or until after the switch drop it at the service: run one of: \
             alter table \"s\".\"t\" add constraint \"apart\" EXCLUDE USING gist (\"room\" WITH =, span \
             WITH &&); alter table \"s\".\"t\" drop constraint \"apart\""
        );
    }
}
