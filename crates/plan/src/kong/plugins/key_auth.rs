//! Kong's plugin key-auth.

use crate::{
    base::{PlanError, http_token},
    kong::tree::Map,
    policy::Keys,
};

pub(super) fn read(map: &mut Map) -> Result<Keys, PlanError> {
    map.only_flag(
        "run_on_preflight",
        true,
        "Answer preflights with the plugin cors",
    )?;
    map.only_flag("key_in_body", false, "Bring keys in a header")?;
    let names = map.names("key_names", &["apikey"], http_token)?;
    let header = map.flag("key_in_header", true)?;
    let query = map.flag("key_in_query", true)?;
    if !(header || query) {
        return Err(PlanError::at(map.at, "a key can be brought nowhere"));
    }
    Ok(Keys {
        headers: names
            .iter()
            .filter(|_| header)
            .map(|name| name.to_ascii_lowercase())
            .collect(),
        query: names.iter().filter(|_| query).cloned().collect(),
        hide: map.flag("hide_credentials", false)?,
    })
}
