//! A cluster that nobody reaches over the network without TLS.

use super::installation::Installation;
use crate::certificates::Identity;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// How a cluster speaks TLS. Through its socket it does not.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// What it shows of itself.
    pub identity: Identity,
    /// The authority of its clients' certificates, in PEM.
    pub clients: Option<String>,
    /// How pg_hba.conf lets in who comes over TLS: `scram-sha-256`, `cert`.
    pub login: &'static str,
}

impl ServerTls {
    /// Passwords over TLS.
    pub fn of(identity: Identity) -> Self {
        Self {
            identity,
            clients: None,
            login: "scram-sha-256",
        }
    }

    /// The settings that it needs.
    pub(super) fn settings(&self) -> Vec<(&'static str, &'static str)> {
        let mut settings = vec![("ssl", "on")];
        if self.clients.is_some() {
            settings.push(("ssl_ca_file", "clients.crt"));
        }
        settings
    }

    /// Writes its files into a data directory.
    pub(super) fn write(&self, installation: &Installation, data: &Path) -> Result<()> {
        let rules = format!(
            "local all all trust\nhostssl all all 127.0.0.1/32 {}\n",
            self.login
        );
        let mut files = vec![
            ("server.crt", self.identity.certificate.as_str()),
            ("server.key", self.identity.key.as_str()),
            ("pg_hba.conf", rules.as_str()),
        ];
        if let Some(clients) = &self.clients {
            files.push(("clients.crt", clients));
        }
        for (name, text) in files {
            let path = data.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            installation.take_private(&path)?;
        }
        Ok(())
    }
}
