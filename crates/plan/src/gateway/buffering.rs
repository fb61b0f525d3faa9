//! Where bodies are kept that come without a length: `gateway.buffering`.

use crate::base::{ByteSize, Environment, PlanError, Text, plain, size_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Where bodies are kept that come without a length, until all of them is there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BufferingFile {
    /// Directory for those that are too large for memory (default: `TMPDIR`, or
    /// `/tmp`). Their files have no names and are gone with the process.
    #[serde(default)]
    directory: Option<Text>,
    /// Most bytes of all of them together on this disk (default 1GiB); 413
    /// for a body above, 503 for one that finds too little left.
    #[serde(default)]
    bytes: Option<Text>,
}

/// Where bodies are kept that come without a length, until all of them is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffering {
    /// The directory; `None` is the system's for temporary files.
    pub directory: Option<PathBuf>,
    /// The most bytes of all of them together.
    pub bytes: ByteSize,
}

pub(crate) fn resolve(
    file: &BufferingFile,
    environment: Environment<'_>,
) -> Result<Buffering, PlanError> {
    let directory = file.directory.as_ref();
    let directory = directory.map(|text| plain(text, environment)).transpose()?;
    Ok(Buffering {
        directory: directory.map(PathBuf::from),
        bytes: size_or(file.bytes.as_ref(), 1 << 30)?,
    })
}
