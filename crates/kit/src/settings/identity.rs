//! Who a service is.

/// Who a service is. Constant, known before anything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its name in metrics, tokens and the registry: `auth`.
    pub name: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// Where it listens unless `SERVICE_PORT` says otherwise.
    pub port: u16,
}

impl Identity {
    /// A service of this name.
    pub const fn new(name: &'static str, version: &'static str, port: u16) -> Self {
        Self {
            name,
            version,
            port,
        }
    }

    /// `{NAME}` in the names of variables: `auth` reads `AUTH_...`.
    pub(super) fn variable_prefix(&self) -> String {
        variable_prefix(self.name)
    }
}

/// The name of a service as variables begin with it.
pub(crate) fn variable_prefix(service: &str) -> String {
    service.to_ascii_uppercase().replace('-', "_")
}
