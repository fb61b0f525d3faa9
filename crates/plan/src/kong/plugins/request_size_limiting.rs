//! Kong's plugin request-size-limiting.

use crate::{
    base::{ByteSize, PlanError},
    kong::tree::Map,
};

pub(super) fn read(map: &mut Map) -> Result<ByteSize, PlanError> {
    // It is always so here, where a size is limited.
    map.flag("require_content_length", false)?;
    let at = map.at_of("size_unit");
    let unit: u64 = match map.text("size_unit")?.map(|unit| unit.value).as_deref() {
        None | Some("megabytes") => 1 << 20,
        Some("kilobytes") => 1 << 10,
        Some("bytes") => 1,
        Some(other) => {
            return Err(PlanError::at(at, format!("`{other}` is no unit"))
                .remedy("Write megabytes, kilobytes or bytes"));
        }
    };
    let size = map
        .whole("allowed_payload_size")?
        .map_or(128, |size| size.value);
    size.checked_mul(unit)
        .map(ByteSize)
        .ok_or_else(|| PlanError::at(map.at, "`allowed_payload_size` is too large"))
}
