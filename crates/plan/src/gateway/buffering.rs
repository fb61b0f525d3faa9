//! Where bodies are kept that come without a length: `gateway.buffering`.

use crate::base::{ByteSize, Environment, PlanError, Text, plain, size, size_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Where bodies are kept that come without a length, until all of them is there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BufferingFile {
    /// Directory for those that are too large for memory (default: `TMPDIR`, or
    /// `/tmp`). Their files have no names and are gone with the process.
    #[serde(default)]
    directory: Option<Text>,
    /// Most bytes of all of them together on this disk (default 1GiB); 413
    /// for a body above, 503 for one that finds too little left.
    #[serde(default)]
    bytes: Option<Text>,
    /// Most bytes of one client's (default: half of `bytes`); 413 for a body above,
    /// 503 for one that finds too little left. A client is an address, or of IPv6 a
    /// network of 64 bits.
    #[serde(default)]
    client_bytes: Option<Text>,
}

/// Where bodies are kept that come without a length, until all of them is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffering {
    /// The directory; `None` is the system's for temporary files.
    pub directory: Option<PathBuf>,
    /// The most bytes of all of them together.
    pub bytes: ByteSize,
    /// The most bytes of one client's.
    pub client_bytes: ByteSize,
}

pub(crate) fn resolve(
    file: &BufferingFile,
    environment: Environment<'_>,
) -> Result<Buffering, PlanError> {
    let directory = file.directory.as_ref();
    let directory = directory.map(|text| plain(text, environment)).transpose()?;
    let bytes = size_or(file.bytes.as_ref(), 1 << 30)?;
    Ok(Buffering {
        directory: directory.map(PathBuf::from),
        client_bytes: match &file.client_bytes {
            None => ByteSize(bytes.0.div_ceil(2)),
            Some(own) if size(own)?.0 > bytes.0 => {
                let why = "one client cannot have more than all together";
                return Err(PlanError::at(own.at, why).remedy("Raise `bytes`, too"));
            }
            Some(own) => size(own)?,
        },
        bytes,
    })
}
