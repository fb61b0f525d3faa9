//! What the reader of a plan hands in, so that parsing itself does no I/O.

use super::file_loader::FileLoader;
use std::num::NonZeroUsize;

/// What a plan takes from the machine that it is read on.
pub struct ParseContext<'a> {
    /// Looks up a variable for `${NAME}`.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Reads the files that the plan names.
    pub files: FileLoader<'a>,
    /// How many workers the gateway has where the plan does not say it.
    pub processors: NonZeroUsize,
}

impl<'a> ParseContext<'a> {
    /// No file can be read, and there is one processor.
    pub fn new(environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            environment,
            files: FileLoader::none(),
            processors: NonZeroUsize::MIN,
        }
    }
}
