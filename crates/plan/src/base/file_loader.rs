//! How files that a plan names are read.

use std::path::{Path, PathBuf};

/// Finds and reads the files that a plan names. Parsing itself does no I/O.
pub struct FileLoader<'a> {
    directory: PathBuf,
    read: &'a dyn Fn(&Path) -> std::io::Result<String>,
}

impl<'a> FileLoader<'a> {
    /// Paths are relative to `directory`, that of the plan.
    pub fn new(
        directory: impl Into<PathBuf>,
        read: &'a dyn Fn(&Path) -> std::io::Result<String>,
    ) -> Self {
        Self {
            directory: directory.into(),
            read,
        }
    }

    /// No file can be read.
    pub fn none() -> FileLoader<'static> {
        FileLoader {
            directory: PathBuf::new(),
            read: &|_| Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Result<String, String> {
        let path = self.path(name);
        (self.read)(&path).map_err(|error| {
            format!(
                "the file `{}` cannot be read: {error}. Paths are relative to the plan",
                path.display()
            )
        })
    }
}
