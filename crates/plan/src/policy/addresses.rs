//! Who may come at all: `allow` and `deny`.

use crate::base::{Environment, PlanError, Text, address_block, parse};
use ipnet::IpNet;

/// Who may come at all. A denied block wins over an allowed one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressRule {
    /// Only these, where there is any.
    pub allow: Vec<IpNet>,
    /// Never these.
    pub deny: Vec<IpNet>,
}

pub(super) fn resolve(
    allow: Option<Vec<Text>>,
    deny: Option<Vec<Text>>,
    environment: Environment<'_>,
) -> Result<Option<AddressRule>, PlanError> {
    if allow.is_none() && deny.is_none() {
        return Ok(None);
    }
    let blocks = |all: Option<Vec<Text>>| {
        all.unwrap_or_default()
            .iter()
            .map(|one| parse(one, environment, address_block))
            .collect::<Result<_, _>>()
    };
    Ok(Some(AddressRule {
        allow: blocks(allow)?,
        deny: blocks(deny)?,
    }))
}
