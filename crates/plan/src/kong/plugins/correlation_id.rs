//! Kong's plugin correlation-id.

use crate::{
    base::{PlanError, header_name},
    kong::tree::Map,
    policy::{Correlation, Generator},
};

pub(super) fn read(map: &mut Map) -> Result<Correlation, PlanError> {
    let at = map.at_of("generator");
    let generator = match map.text("generator")?.map(|name| name.value).as_deref() {
        None | Some("uuid#counter") => Generator::UuidCounter,
        Some("uuid") => Generator::Uuid,
        Some(other) => {
            return Err(
                PlanError::at(at, format!("the generator `{other}` is not supported"))
                    .remedy("Write uuid or uuid#counter"),
            );
        }
    };
    let header = match map.text("header_name")? {
        Some(name) => header_name(&name.value).map_err(|why| PlanError::at(name.at, why))?,
        None => "kong-request-id".to_owned(),
    };
    Ok(Correlation {
        header,
        generator,
        echo: map.flag("echo_downstream", false)?,
    })
}
