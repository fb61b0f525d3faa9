//! Kong's plugin jwt.

use crate::{
    base::{PlanError, header_name, http_token},
    kong::tree::Map,
    policy::Jwt,
};
use std::time::Duration;

pub(super) fn read(map: &mut Map) -> Result<Jwt, PlanError> {
    let plain = |text: &str| Ok(text.to_owned());
    map.only_flag(
        "run_on_preflight",
        true,
        "Answer preflights with the plugin cors",
    )?;
    let at = map.at_of("claims_to_verify");
    let required = map.names("claims_to_verify", &[], plain)?;
    if let Some(other) = required
        .iter()
        .find(|name| !matches!(name.as_str(), "exp" | "nbf"))
    {
        return Err(PlanError::at(
            at,
            format!("the claim `{other}` cannot be verified"),
        ));
    }
    let longest = map
        .whole("maximum_expiration")?
        .filter(|time| time.value > 0);
    Ok(Jwt {
        headers: map.names("header_names", &["authorization"], header_name)?,
        query: map.names("uri_param_names", &["jwt"], plain)?,
        cookies: map.names("cookie_names", &[], http_token)?,
        key_claim: map
            .text("key_claim_name")?
            .map_or_else(|| "iss".to_owned(), |name| name.value),
        issuers: Vec::new(),
        audiences: Vec::new(),
        required,
        leeway: Duration::ZERO,
        lifetime_max: longest.map(|time| Duration::from_secs(time.value)),
        secrets_are_base64: map.flag("secret_is_base64", false)?,
        // Without a consumer's credential nobody is let in.
        jwks: false,
    })
}
