//! What each finding means: the one table from which `check --explain` and the
//! page of the documentation are made.

mod boundary;
mod columns;
mod constraints;
mod entry;
mod gateway;
mod roles;
mod servers;
mod shared_tables;
mod tables;

use super::id::FindingId;
pub use entry::Explanation;

/// The groups of findings, with a heading each.
pub const GROUPS: &[(&str, &[Explanation])] = &[
    ("Servers", servers::EXPLANATIONS),
    ("Roles", roles::EXPLANATIONS),
    ("Tables", tables::EXPLANATIONS),
    ("Columns", columns::EXPLANATIONS),
    ("Constraints", constraints::EXPLANATIONS),
    ("The boundary, and sequences", boundary::EXPLANATIONS),
    (
        "Tables that both sides write, or should",
        shared_tables::EXPLANATIONS,
    ),
    ("The gateway", gateway::EXPLANATIONS),
];

/// The explanation of a finding; none of one that is not known.
pub fn of(id: FindingId) -> Option<&'static Explanation> {
    let mut all = GROUPS.iter().flat_map(|(_, group)| group.iter());
    all.find(|explanation| explanation.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_explained_once_and_in_order() {
        let explained: Vec<FindingId> = GROUPS
            .iter()
            .flat_map(|(_, group)| group.iter().map(|explanation| explanation.id))
            .collect();
        assert_eq!(explained, FindingId::ALL);
        for id in FindingId::ALL {
            assert_eq!(id.to_string().parse(), Ok(*id));
        }
    }
}
